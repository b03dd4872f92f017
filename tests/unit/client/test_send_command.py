"""`botwatch send` against a fake endpoint: what is typed, a file, standard input, Redis."""

import io
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from botwatch import cli
from botwatch.cli.exit_codes import FULL, OK, REFUSED, UNREACHABLE, USAGE_ERROR
from botwatch.redis_publisher import STREAM
from tests.support import free_port
from tests.unit.client.fake_server import CannedResponse, FakeServer

EQUITY = {"kind": "equity", "bot": "a", "equity": 12500}


@pytest.fixture(autouse=True)
def _endpoint(fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOTWATCH_INGESTION_URL", fake_server.url)


def run(*words: str) -> int:
    return cli.main(["send", *words])


def received(server: FakeServer) -> list[Any]:
    """Return the records of each request, without their IDs."""
    bodies = [one.body if isinstance(one.body, list) else [one.body] for one in server.asked]
    assert all(record["id"] for body in bodies for record in body)
    return [[{n: v for n, v in record.items() if n != "id"} for record in body] for body in bodies]


def test_fields_that_are_typed(fake_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers become numbers where the schema has them; labels are nested; a name of digits stays text."""
    assert run("equity", "bot=42", "equity=12500", "netFlow=-1.5", "labels.desk=7", "currency=USD") == OK
    assert received(fake_server) == [
        [{**EQUITY, "bot": "42", "netFlow": -1.5, "labels": {"desk": "7"}, "currency": "USD"}]
    ]
    assert capsys.readouterr().out == "sent 1 record\n"


@pytest.mark.parametrize(
    ("words", "faults"),
    [
        (
            ("equity", "equity=abc", "eqity=1"),
            (
                "$.equity: expected a number, got 'abc'; $.eqity: unknown field; did you mean equity?; "
                "$.bot: required, but missing"
            ),
        ),
        (("equit", "bot=a"), "$.kind: expected one of "),
        (("equity", "bot"), "expected NAME=VALUE, got 'bot'"),
        ((), "expected a KIND with fields, '-' or --file"),
        (("-", "bot=a"), "expected a KIND with fields, '-' or --file"),
        (("--file", "/none"), "cannot read /none"),
    ],
)
def test_input_that_is_not_valid(
    words: tuple[str, ...], faults: str, fake_server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every fault has its path, the exit code is 2, and nothing is sent."""
    assert run(*words) == USAGE_ERROR
    assert faults in capsys.readouterr().err
    assert fake_server.asked == []


def test_a_file(fake_server: FakeServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON lines or an array; with one fault nothing is sent, and it has its line."""
    file = tmp_path / "records"
    for text in (f"{json.dumps(EQUITY)}\n\n{json.dumps(EQUITY)}\n", json.dumps([EQUITY, EQUITY])):
        file.write_text(text, encoding="utf-8")
        assert run("--file", str(file), "--json") == OK
        assert json.loads(capsys.readouterr().out) == {"accepted": 2}
    assert received(fake_server) == [[EQUITY, EQUITY]] * 2
    file.write_text(f"{json.dumps(EQUITY)}\n{{'kind'}}\n", encoding="utf-8")
    assert run("--file", str(file)) == USAGE_ERROR
    assert "line 2: $: not JSON" in capsys.readouterr().err
    file.write_text(json.dumps([EQUITY, EQUITY | {"equity": None}]), encoding="utf-8")
    assert run("--file", str(file)) == USAGE_ERROR
    assert "$[1].equity: expected a number, got None" in capsys.readouterr().err
    assert len(fake_server.asked) == 2


def test_standard_input(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A faulty line is skipped and named, the others are sent, and the exit code is 2 at the end."""
    lines = [json.dumps(EQUITY), "", "[]", json.dumps(EQUITY | {"equity": 2})]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert run("-") == USAGE_ERROR
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (
        "sent 2 records\n", "botwatch: line 3 is skipped: $: expected an object, got []\n",
    )  # fmt: skip
    assert [*chain(*received(fake_server))] == [EQUITY, EQUITY | {"equity": 2}]


def test_dry_run(fake_server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The record is printed, not sent."""
    assert run("heartbeat", "bot=a", "--dry-run") == OK
    assert json.loads(capsys.readouterr().out)["kind"] == "heartbeat"
    assert fake_server.asked == []


def test_refused_full_and_unreachable(
    fake_server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each has its exit code and the server's reason."""
    monkeypatch.setattr("botwatch.http_client.RETRIES", 0)
    fake_server.answers = [CannedResponse(403, {"error": "the token may not send for a"})]
    assert run("heartbeat", "bot=a") == REFUSED
    assert "may not send for a" in capsys.readouterr().err
    fake_server.answers = [CannedResponse(507, {"error": "the disk is full"})]
    assert run("heartbeat", "bot=a") == FULL
    assert run("heartbeat", "bot=a", "--url", f"http://127.0.0.1:{free_port()}") == UNREACHABLE


def test_through_redis(redis: Redis, valkey_url: str, tmp_path: Path) -> None:
    """`--redis @FILE` adds the record to the stream."""
    (tmp_path / "url").write_text(f"{valkey_url}\n", encoding="utf-8")
    assert run("equity", "bot=a", "equity=12500", "--redis", f"@{tmp_path}/url") == OK
    entries: Any = redis.xrange(STREAM)
    [(_, fields)] = entries
    record = json.loads(fields[b"data"])
    assert {name: record[name] for name in EQUITY} == EQUITY

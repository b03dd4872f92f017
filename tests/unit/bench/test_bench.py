"""The bench on a few records: each part without a stack measures and prints, and nothing is left behind."""

import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import peers, rules, websocket
from tests.bench.figures import Latencies, Round, Throughput

pytestmark = pytest.mark.slow  # measures for seconds

FEW = replace(bench.QUICK, records=100, minutes=2_000, events=(100, 200))


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Let the bench measure little, and return the folder for its temporary files."""
    monkeypatch.setattr(bench, "QUICK", FEW)
    monkeypatch.setattr(bench, "ANSWERS", 2)
    monkeypatch.setattr(rules, "SECONDS", 10)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield tmp_path
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


def test_a_quick_look_measures_and_leaves_no_folder(few: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [word for part in ("history", "analytics", "rules", "scale") for word in ("--only", part)]
    assert bench.main(["--quick", *parts]) == 0
    printed = capsys.readouterr().out
    assert "2,000 minutes of a bot" in printed
    assert "200 events" in printed
    assert "one rule of each kind" in printed
    assert "rules, by bots" in printed
    assert list(few.iterdir()) == []


def test_every_client_of_the_websocket_gets_every_message(tmp_path: Path) -> None:
    """At a steady pace and at once, from the broadcaster and from NATS."""
    for found in websocket.measure(tmp_path, clients=3, paced=2, flat_out=120, rounds=1):
        assert [(one.lost, one.p99_ms > 0, one.per_s > 0) for one in found.rounds] == [(0, True, True)]


def test_peers_that_are_not_installed_are_named_once_and_not_measured(
    few: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "find", lambda: None)
    assert bench.main(["--quick", "--only", "peers"]) == 0
    assert capsys.readouterr().out.count("Prometheus") == 1
    assert list(few.iterdir()) == []


def test_doors_are_printed_with_what_arrived_and_what_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    doors = [Latencies(name, 20, [5.0] * 20) for name in ("channel", "stream", "http")]
    taken = [Throughput("XADD of single records", [Round(100, 1.0, 2.0, 1.0)])]
    bench._print(bench.BenchResults(doors=doors, throughputs=taken))  # noqa: SLF001 - what `make bench` shows
    printed = capsys.readouterr().out
    assert printed.count("20/20") == 3
    assert "XADD of single records" in printed

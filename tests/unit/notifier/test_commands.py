"""`botwatch notify test` and `botwatch encrypt`."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Inbox
from redis import Redis

from botwatch import cli
from services.notifier import commands
from services.notifier.channel_tests import ChannelTester
from shared.runtime.config.documents import load_documents
from shared.runtime.encrypted_values import decrypt, encrypt, new_key
from shared.runtime.redis.channel_tests import request_channel_test
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import PresencePublisher
from shared.runtime.settings import REPOSITORY
from shared.schema.redis_keys import CHANNEL_TESTS, PARTS
from tests.support import free_port, wait_until
from tests.unit.notifier.fake_receivers import FakeContent, WebhookReceiver

# apprise imports it; it says so on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


@pytest.fixture
def environ(tmp_path: Path, receiver: WebhookReceiver) -> dict[str, str]:
    """Configure a channel of each kind that leads to the receiver."""
    hook = f"http://ann:password@127.0.0.1:{receiver.port}/hush?token=hush"
    lines = [
        "channels:",
        f"  desk: {{ url: {hook!r}, type: slack }}",
        f"  ops: {{ url: {hook!r}, format: alertmanager, secret: '${{HOOK}}' }}",
        f"  hook: {{ url: {hook!r} }}",
        f"  chat: {{ url: 'json://ann:password@127.0.0.1:{receiver.port}/hush' }}",
        "  idle: { url: '${UNSET}' }",
    ]
    (tmp_path / "notifications.yml").write_text("\n".join(lines))
    return {
        "BOTWATCH_CONFIG": str(tmp_path),
        "HOOK": "whsec",
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
    }


ALONE = (
    "botwatch notify test: cannot reach the notifier: Redis is unreachable (ConnectionError); "
    "testing with this environment's configuration\n"
)


def configure(environ: dict[str, str], text: str) -> None:
    Path(environ["BOTWATCH_CONFIG"], "notifications.yml").write_text(text)


def test_the_running_notifier_tests_with_its_own_configuration_and_secrets(
    environ: dict[str, str],
    receiver: WebhookReceiver,
    redis: Redis,
    valkey_url: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Whoever asks needs neither; the receiver's answer is shown."""
    documents = load_documents(Path(environ["BOTWATCH_CONFIG"]), environ)
    tester = ChannelTester(
        connect_redis(valkey_url), "http://page.example", documents, lambda _: FakeContent()
    )
    presence = PresencePublisher(redis, "notifier", None)
    asking = {"BOTWATCH_CONFIG": str(tmp_path_factory.mktemp("empty")), "REDIS_URL": valkey_url}
    redis.rpush(CHANNEL_TESTS, b"[", b'{"id":"late","channel":"hook","until":"2026-01-31T12:00:00Z"}')
    tester.start()
    try:
        wait_until(lambda: bool(redis.hexists(PARTS, "notifier")), "the notifier shows that it runs")
        assert commands.run_channel_test_command("ops", asking) == 0
        assert commands.run_channel_test_command("dsek", asking) == 2
        assert commands.run_channel_test_command(None, asking) == 0
    finally:
        tester.close()
        presence.close()
    assert [headers.get("botwatch-signature") is not None for headers in receiver.headers] == [True]
    written = capsys.readouterr()
    assert "to ops (127.0.0.1): [LOW]" in written.out
    assert "response: 200 OK: ok\n" in written.out
    assert "chat: json\n" in written.out
    assert written.err == (
        "botwatch notify test: unknown channel 'dsek'; did you mean `desk`? "
        "(channels: desk, ops, hook, chat)\n"
    )


def test_a_notifier_that_does_not_answer_in_time_is_said(redis: Redis) -> None:
    """Nothing is sent later: the request has an end."""
    result = request_channel_test(redis, "hook", 0.2)
    assert (result.error, result.code) == ("the running notifier did not respond within 0.2 s", 1)


@pytest.mark.usefixtures("redis")
def test_without_a_running_notifier_the_test_is_sent_from_here(
    environ: dict[str, str], receiver: WebhookReceiver, valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A plain sentence says whose configuration it was."""
    assert commands.run_channel_test_command("hook", environ | {"REDIS_URL": valkey_url}) == 0
    assert len(receiver.bodies) == 1
    assert capsys.readouterr().err == (
        "botwatch notify test: no notifier is running; testing with this environment's configuration\n"
    )


def test_the_result_is_printed_as_json(
    environ: dict[str, str], receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """The channels with their destinations, or the result of a test part by part."""
    assert commands.run_channel_test_command(None, environ, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)[-1] == {"name": "chat", "destination": "json"}
    assert commands.run_channel_test_command("hook", environ, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "channel": "hook", "sent": True, "destination": "127.0.0.1", "response": "200 OK: ok",
        "reason": "", "error": "",
    }  # fmt: skip
    assert len(receiver.bodies) == 1


def test_channels_that_cannot_be_listed_are_said(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json too: the faults are on stderr, and nothing looks like an empty list."""
    configure(environ, "channels: {desk: 1}")
    assert commands.run_channel_test_command(None, environ, as_json=True) == 1
    written = capsys.readouterr()
    assert written.out == ""
    assert "desk" in written.err


@pytest.mark.parametrize("name", ["desk", "ops", "hook", "chat"])
def test_a_test_says_so_wherever_it_arrives_and_shows_the_answer(
    environ: dict[str, str], receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert commands.run_channel_test_command(name, environ) == 0
    (body,) = receiver.bodies
    assert f"Test notification for channel {name}. No action needed." in json.dumps(body)
    written = capsys.readouterr()
    assert f"to {name} (" in written.out
    assert "TEST" in written.out
    assert written.out.splitlines()[-1] in ("response: 200 OK: ok", "response: accepted by JSON")
    for secret in ("hush", "password", "whsec"):
        assert secret not in written.out + written.err


def test_a_mailbox_can_be_tried(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    mails: list[Any] = []

    class Box(Inbox):
        def handle_message(self, message: Any) -> None:
            mails.append(message)

    port = free_port()
    mailbox = f"{{ smtp: 127.0.0.1, port: {port}, from: watch@example.org, to: [ann@example.org] }}"
    configure(environ, f"channels: {{ mail: {{ email: {mailbox} }} }}")
    controller = Controller(Box(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        assert commands.run_channel_test_command("mail", environ) == 0
    finally:
        controller.stop()
    assert "TEST" in mails[0]["Subject"]
    out = capsys.readouterr().out
    assert f"to mail (ann@example.org by 127.0.0.1:{port})" in out
    assert "response: 250" in out


def test_a_failure_is_one_line_and_an_exit_code(
    environ: dict[str, str], receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.answers.append((404, {}))
    receiver.body = b"no_service"
    assert commands.run_channel_test_command("desk", environ) == 1
    expected = "botwatch notify test: receiver returned 404 Not Found: no_service (refused)\n"
    assert capsys.readouterr().err == ALONE + expected


def test_what_a_library_raises_is_named_without_its_words(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def burst(*_: object) -> None:
        raise RuntimeError("hush")

    monkeypatch.setattr("services.notifier.channels.json_poster.JsonPoster.post", burst)
    assert commands.run_channel_test_command("desk", environ) == 1
    assert capsys.readouterr().err == f"{ALONE}botwatch notify test: unexpected error: RuntimeError\n"


def test_an_unknown_channel_is_answered_with_the_nearest_name_and_all(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.run_channel_test_command("dsek", environ) == 2
    err = capsys.readouterr().err
    assert "unknown channel 'dsek'; did you mean `desk`? (channels: desk, ops, hook, chat)" in err


def test_a_channel_that_is_off_says_so(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.run_channel_test_command("idle", environ) == 1
    assert "is disabled" in capsys.readouterr().err


def test_without_a_name_the_channels_are_listed_without_their_secrets(
    environ: dict[str, str], receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.run_channel_test_command(None, environ) == 0
    assert capsys.readouterr().out.splitlines() == [
        "desk: 127.0.0.1", "ops: 127.0.0.1", "hook: 127.0.0.1", "chat: json",
    ]  # fmt: skip
    assert receiver.bodies == []
    configure(environ, "channels: { desk: { url: 'encrypted:abc' } }")
    assert commands.run_channel_test_command(None, environ) == 0
    assert capsys.readouterr().out == "desk: encrypted address\n"


def test_nothing_configured_is_said(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    configure(environ, "")
    assert commands.run_channel_test_command(None, environ) == 0
    assert capsys.readouterr().out == "no channels enabled\n"
    configure(environ, "channels: { desk: { url: '${UNSET}' } }")
    assert commands.run_channel_test_command(None, environ) == 0
    assert capsys.readouterr().out == "no channels enabled; without an address: desk\n"


def test_a_wrong_config_and_a_missing_key_are_named(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(environ, "channels: { desk: { ulr: 'x' } }")
    assert commands.run_channel_test_command("desk", environ) == 1
    assert "unknown key; did you mean `url`?" in capsys.readouterr().err
    configure(environ, "channels: { desk: { url: 'encrypted:abc' } }")
    assert commands.run_channel_test_command("desk", environ) == 1
    assert "botwatch notify test: channels.desk: BOTWATCH_KEY: not set" in capsys.readouterr().err


def test_an_encrypted_address_is_used_and_its_host_shown(
    environ: dict[str, str], receiver: WebhookReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    environ["BOTWATCH_KEY"] = new_key()
    configure(environ, f"channels: {{ desk: {{ url: '{encrypt(receiver.url, environ)}' }} }}")
    assert commands.run_channel_test_command("desk", environ) == 0
    assert "to desk (127.0.0.1)" in capsys.readouterr().out
    assert len(receiver.bodies) == 1


def test_a_value_is_read_from_standard_input_and_can_be_revealed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["encrypt", "--new-key"]) == 0
    key = capsys.readouterr().out.strip()
    monkeypatch.setenv("BOTWATCH_KEY", key)
    monkeypatch.setattr("sys.stdin", io.StringIO("tgram://hush/1\n"))
    assert cli.main(["encrypt"]) == 0
    hidden = capsys.readouterr().out.strip()
    assert "hush" not in hidden
    assert decrypt(hidden, {"BOTWATCH_KEY": key}) == "tgram://hush/1"


@pytest.mark.parametrize(
    ("text", "code", "said"), [("\n", 2, "expected the value"), ("x", 1, "BOTWATCH_KEY: not set")]
)
def test_nothing_to_encrypt_and_nothing_to_do_it_with_are_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, code: int, said: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert commands.encrypt_value({}) == code
    assert said in capsys.readouterr().err


def test_values_are_encrypted_again_in_all_documents_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a key missing nothing changes; with both keys each document is rewritten and keeps its mode."""
    old, new = new_key(), new_key()
    document, other = tmp_path / "notifications.yml", tmp_path / "health_monitor.json"
    document.write_text(
        f"channels: {{ desk: {{ url: '{encrypt('tgram://hush/1', {'BOTWATCH_KEY': old})}' }} }}\n"
    )
    document.chmod(0o640)
    other.write_text("{}")
    before = document.read_text()
    monkeypatch.setenv("BOTWATCH_CONFIG", str(tmp_path))
    monkeypatch.setenv("BOTWATCH_KEY", new)
    assert cli.main(["encrypt", "--rotate"]) == 1
    assert "BOTWATCH_KEY: does not match" in capsys.readouterr().err
    assert document.read_text() == before
    monkeypatch.setenv("BOTWATCH_KEY", f"{new},{old}")
    assert cli.main(["encrypt", "--rotate"]) == 0
    assert capsys.readouterr().out == f"{document}: 1 encrypted again\n"
    assert document.stat().st_mode & 0o777 == 0o640
    assert other.read_text() == "{}"
    (url,) = re.findall("encrypted:[^']+", document.read_text())
    assert decrypt(url, {"BOTWATCH_KEY": new}) == "tgram://hush/1"


@pytest.mark.slow
def test_the_command_needs_neither_redis_nor_a_database(
    environ: dict[str, str], receiver: WebhookReceiver
) -> None:
    command = [sys.executable, "-W", "error", "-m", "botwatch.cli", "notify", "test", "hook"]
    paths = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'client'}"}
    done = subprocess.run(
        command,
        cwd=environ["BOTWATCH_CONFIG"],
        env=environ | paths,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(b"response: 200 OK: ok\n")
    assert done.stderr.decode() == ALONE
    assert receiver.bodies[0]["details"]["labels"] == {"test": "true"}
    assert {path.name for path in Path(environ["BOTWATCH_CONFIG"]).iterdir()} == {"notifications.yml"}

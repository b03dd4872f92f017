"""The commands `botwatch notify` (test a channel) and `botwatch encrypt` (encrypt a config value)."""

import getpass
import os
import sys
from collections.abc import Mapping
from contextlib import closing
from typing import Annotated

import msgspec
import typer
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from services.notifier.channel_tests import REPLY_TIMEOUT_S, run_channel_test
from services.notifier.content.rendering import ContentFactory, NotificationContent
from services.notifier.content.templates import Templates
from shared.runtime import clock
from shared.runtime.command_home import demo_hint
from shared.runtime.config.documents import load_documents
from shared.runtime.credentials import operator_redis_url
from shared.runtime.encrypted_values import encrypt, new_key, rotate
from shared.runtime.environment import load_settings
from shared.runtime.file_modes import write_private
from shared.runtime.local_audit import append_local_audit, local_actor
from shared.runtime.redis.channel_tests import FAILED, USAGE_ERROR, TestResult, request_channel_test
from shared.runtime.redis.connection import connect_redis, describe_redis_error
from shared.runtime.redis.presence import read_presence
from shared.runtime.settings import PartSettings
from shared.schema.faults import InvalidError
from shared.schema.terminal_escaping import escape_controls
from shared.store.audit import AuditEntry, Outcome

notify_app = typer.Typer()
encrypt_app = typer.Typer()


@notify_app.callback()
def notify() -> None:
    """Test notification channels."""


@notify_app.command("test")
def send_test(
    channel: Annotated[str | None, typer.Argument(help="The channel; without it all are listed.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Send a test message through a channel and print the response."""
    return run_channel_test_command(channel, os.environ, as_json=as_json)


@encrypt_app.command()
def encrypt_command(
    *,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Print a new key for BOTWATCH_KEY instead.")
    ] = False,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate",
            help="Encrypt the values of the config again with the first key of BOTWATCH_KEY=NEW,OLD.",
        ),
    ] = False,
) -> int:
    """Encrypt a value, on standard input, for the config."""
    if new_key and rotate:
        raise typer.BadParameter("expected --new-key or --rotate, got both")
    if new_key:
        return print_new_key()
    return rotate_values(os.environ) if rotate else encrypt_value(os.environ)


def run_channel_test_command(name: str | None, environ: Mapping[str, str], *, as_json: bool = False) -> int:
    """Send a test message through a channel and print the result, or list the channels; return the exit code.

    The running notifier sends it, with its own configuration and secrets. If none is running, this process
    does, with the configuration and secrets of its environment.
    """
    try:
        settings = load_settings(PartSettings, environ)
        result, why = _test_through_notifier(operator_redis_url(settings, environ), name)
        if result is None:
            hint = demo_hint(settings.botwatch_home)
            sys.stderr.write(
                f"botwatch notify test: {why}; testing with this environment's configuration{hint}\n"
            )
            documents = load_documents(settings.botwatch_config, environ)
            contents = _contents(settings)
            result = run_channel_test(name, documents, contents, settings.dashboard_url, environ)
        if name is not None:
            _append_audit(settings, environ, name, result)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch notify test: {fault}\n" for fault in error.faults)
        return FAILED
    if as_json and (name or not result.code):
        sys.stdout.write(f"{msgspec.json.encode(_as_answer(name, result)).decode()}\n")
        return result.code
    sys.stdout.writelines(f"{escape_controls(line)}\n" for line in result.output.splitlines())
    sys.stderr.writelines(
        f"botwatch notify test: {escape_controls(line)}\n" for line in result.error.splitlines()
    )
    return result.code


def _as_answer(name: str | None, result: TestResult) -> object:
    """Return what `--json` prints: the result of a test, or the channels."""
    if name is None:
        return [{"name": channel, "destination": address} for channel, address in result.channels.items()]
    return {
        "channel": name,
        "sent": not result.code,
        "destination": result.destination,
        "response": result.response,
        "reason": result.reason,
        "error": result.error,
    }


def _append_audit(
    settings: PartSettings, environ: Mapping[str, str], channel: str, result: TestResult
) -> None:
    """Append the test to the audit log; a fault of that is a warning, since the message was sent."""
    outcome: Outcome = "failed" if result.code else "ok"
    entry = AuditEntry(action="notify.test", actor=local_actor(), target=channel, outcome=outcome)
    try:
        append_local_audit(settings, load_documents(settings.botwatch_config, environ), entry)
    except (InvalidError, SQLAlchemyError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"botwatch notify test: warning: not in the audit log: {reason}\n")


def _test_through_notifier(url: str, name: str | None) -> tuple[TestResult | None, str]:
    """Return the result from the running notifier, or None and why there is none."""
    with closing(connect_redis(url, call_timeout_s=5.0, retries=0)) as redis:
        try:
            _, is_running = read_presence(redis, clock.now()).get("notifier", (None, False))
            if not is_running:
                return None, "no notifier is running"
            return request_channel_test(redis, name, REPLY_TIMEOUT_S), ""
        except RedisError as error:
            return None, f"cannot reach the notifier: {describe_redis_error(error)} ({type(error).__name__})"


def _contents(settings: PartSettings) -> ContentFactory:
    templates = Templates.load(settings.botwatch_config / "templates")
    return lambda _channel: NotificationContent(templates, lambda _notice, _at: (), lambda _notice: None)


def encrypt_value(environ: Mapping[str, str]) -> int:
    """Read a value from standard input and print it encrypted, for use in the config.

    Not from the command line: arguments are visible to all users of the machine.
    """
    text = getpass.getpass("Value: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not text:
        sys.stderr.write("botwatch encrypt: expected the value on standard input\n")
        return USAGE_ERROR
    try:
        sys.stdout.write(f"{encrypt(text, environ)}\n")
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch encrypt: {fault}\n" for fault in error.faults)
        return FAILED
    return 0


def print_new_key() -> int:
    """Print a new key for encrypted values."""
    sys.stdout.write(f"{new_key()}\n")
    return 0


def rotate_values(environ: Mapping[str, str]) -> int:
    """Encrypt the values in the config documents again with the first key; all documents, or none."""
    try:
        folder = load_settings(PartSettings, environ).botwatch_config
        found = {
            path: rotate(path.read_text(encoding="utf-8"), environ)
            for path in sorted(folder.iterdir())
            if path.suffix in (".json", ".yml")
        }
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch encrypt: {fault}\n" for fault in error.faults)
        return FAILED
    except OSError as error:
        sys.stderr.write(f"botwatch encrypt: {error.filename}: {error.strerror}\n")
        return FAILED
    for path, (text, values) in found.items():
        if values:
            write_private(path, text, path.stat().st_mode & 0o777)
            sys.stdout.write(f"{path}: {values} encrypted again\n")
    if not any(values for _, values in found.values()):
        sys.stdout.write(f"{folder}: no encrypted value\n")
    return 0

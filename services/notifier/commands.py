"""What `botwatch notify` and `botwatch encrypt` do: try a channel, and hide a value of the config."""

import getpass
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from redis.exceptions import RedisError

from services.notifier.channel_tests import (
    ANSWER_WITHIN_S,
    FAILED,
    MISUSED,
    TestResult,
    request_test,
    run_test,
)
from services.notifier.content.notices import NoticeContent
from services.notifier.content.templates import Templates
from services.notifier.contents import Contents
from services.notifier.secrets import encrypt, new_key
from shared.runtime import clock
from shared.runtime.documents import load_documents
from shared.runtime.parts import running
from shared.runtime.redis import connect
from shared.runtime.settings import Settings, load_settings
from shared.schema.faults import InvalidError
from shared.schema.printable import printable

CREDENTIALS = Path("secrets", "botwatch", "redis-url")
"""Below BOTWATCH_HOME: the URL of the operator's Redis user, which `botwatch up` makes."""


def test_channel(name: str | None, environ: Mapping[str, str]) -> int:
    """Send a test to one channel and print what became of it, or list the channels; return the exit code.

    The running notifier does it, with its own configuration and secrets. Where none runs it is done here,
    with the configuration and secrets of this environment.
    """
    try:
        settings = load_settings(Settings, environ)
        result, why = _by_notifier(_redis_url(settings, environ), name)
        if result is None:
            sys.stderr.write(f"botwatch notify test: {why}; testing with this environment's configuration\n")
            documents = load_documents(settings.botwatch_config, environ)
            contents = _contents(settings)
            result = run_test(name, documents, contents, settings.dashboard_url, environ)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch notify test: {fault}\n" for fault in error.faults)
        return FAILED
    sys.stdout.writelines(f"{printable(line)}\n" for line in result.output.splitlines())
    sys.stderr.writelines(f"botwatch notify test: {printable(line)}\n" for line in result.error.splitlines())
    return result.code


def _by_notifier(url: str, name: str | None) -> tuple[TestResult | None, str]:
    """Return what the running notifier answered, or None and why it was not asked."""
    with closing(connect(url, call_timeout_s=5.0, retries=0)) as redis:
        try:
            _, is_running = running(redis, clock.now()).get("notifier", (None, False))
            if not is_running:
                return None, "no notifier is running"
            return request_test(redis, name, ANSWER_WITHIN_S), ""
        except RedisError as error:
            return None, f"no notifier can be asked, Redis does not answer ({type(error).__name__})"


def _redis_url(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the URL that is set, else the one of the stack that `botwatch up` runs here."""
    if environ.get("REDIS_URL") or environ.get("REDIS_URL_FILE"):
        return settings.redis_url
    try:
        return (settings.botwatch_home / CREDENTIALS).read_text(encoding="utf-8").strip()
    except OSError:
        return f"redis://127.0.0.1:{environ.get('REDIS_PORT') or 6379}/0"


def _contents(settings: Settings) -> Contents:
    templates = Templates.load(settings.botwatch_config / "templates")
    return lambda _channel: NoticeContent(templates, lambda _notice, _at: (), lambda _notice: None)


def encrypt_value(environ: Mapping[str, str]) -> int:
    """Read a value from standard input and print what may stand for it in the config.

    Not from the command line: everybody on the machine can see that.
    """
    text = getpass.getpass("Value: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not text:
        sys.stderr.write("botwatch encrypt: expected the value on standard input\n")
        return MISUSED
    try:
        sys.stdout.write(f"{encrypt(text, environ)}\n")
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch encrypt: {fault}\n" for fault in error.faults)
        return FAILED
    return 0


def make_key() -> int:
    """Print a new key for encrypted values."""
    sys.stdout.write(f"{new_key()}\n")
    return 0

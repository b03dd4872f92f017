"""What `botwatch notify` and `botwatch encrypt` do: try a channel, and hide a value of the config."""

import getpass
import socket
import sys
from collections.abc import Mapping
from uuid import uuid4

from services.notifier.channels.registry import place_of, revealed, transport_of
from services.notifier.channels.transport import Message, TransportError
from services.notifier.content.notices import NoticeContent
from services.notifier.content.templates import Templates
from services.notifier.secrets import encrypt, new_key
from shared.runtime import clock
from shared.runtime.documents import Documents, load_documents
from shared.runtime.settings import Settings, load_settings
from shared.schema.alerts import Details, Notice
from shared.schema.faults import InvalidError, nearest
from shared.schema.printable import printable

FAILED, MISUSED = 1, 2


def test_channel(name: str | None, environ: Mapping[str, str]) -> int:
    """Send a test to one channel and print what became of it, or list the channels; return the exit code.

    It needs the config alone: neither Redis nor a database, nor a notifier that runs.
    """
    try:
        settings = load_settings(Settings, environ)
        documents = load_documents(settings.botwatch_config, environ)
        if name is None:
            return _list(documents)
        if name not in documents.channels:
            return _refuse(name, documents)
        return _test(name, settings, documents, environ)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch notify test: {fault}\n" for fault in error.faults)
        return FAILED


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


def _list(documents: Documents) -> int:
    for name, channel in documents.channels.items():
        sys.stdout.write(f"{name}: {place_of(channel)}\n")
    if not documents.channels:
        sys.stdout.write("no channel is switched on\n")
    return 0


def _refuse(name: str, documents: Documents) -> int:
    if name in documents.notifications.channels:
        why = "is switched off: it has no address, or alerts are not enabled"
        sys.stderr.write(f"botwatch notify test: the channel {name!r} {why}\n")
        return FAILED
    known = ", ".join(documents.channels) or "none"
    close = nearest(name, documents.channels)
    sys.stderr.write(f"botwatch notify test: there is no channel {name!r}{close} (channels: {known})\n")
    return MISUSED


def _test(name: str, settings: Settings, documents: Documents, environ: Mapping[str, str]) -> int:
    templates = Templates.load(settings.botwatch_config / "templates")
    content = NoticeContent(templates, lambda _notice, _at: (), lambda _notice: None)
    channel = documents.channels[name]
    transport = transport_of(name, channel, content, environ)
    message = _message(name, settings.dashboard_url)
    where = place_of(revealed(name, channel, environ))
    sys.stdout.write(f"to {name} ({where}): {content.subject(message)}\n")
    try:
        transport.send(message)
    except TransportError as error:
        sys.stderr.write(f"botwatch notify test: {printable(str(error))} ({error.reason})\n")
        return FAILED
    except Exception as error:  # noqa: BLE001 - whatever a library raises, its words may hold the address
        sys.stderr.write(f"botwatch notify test: unexpected: {type(error).__name__}\n")
        return FAILED
    sys.stdout.write(f"answer: {printable(transport.answer())}\n")
    return 0


def _message(name: str, page: str) -> Message:
    """Make up a message that everybody sees to be a test, also where only its JSON arrives."""
    now, key = clock.now(), f"test-{uuid4().hex}"
    details = Details(
        rule="test",
        host=socket.gethostname(),
        metric="test",
        value=1,
        operator=">",
        threshold=0,
        labels={"test": "true"},
        links={"alert": page},
    )
    notice = Notice(
        id=key,
        timestamp=now,
        severity="LOW",
        category="CONNECTIVITY",
        component="botwatch",
        message=f"A test of the channel {name}: nothing is wrong",
        status="ACTIVE",
        details=details,
        fingerprint=key,
        updated_at=now,
        change="opened",
    )
    return Message((notice,), key, now, is_test=True)

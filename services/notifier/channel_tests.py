"""Channel tests: a test message through one channel, sent by the running notifier or without one."""

import os
import socket
import threading
from collections.abc import Mapping
from typing import cast
from uuid import uuid4

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from services.notifier.channels.base import TransportError
from services.notifier.channels.registry import build_transport, decrypted, destination
from services.notifier.content.message import NotificationMessage
from services.notifier.content.rendering import ContentFactory
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.runtime.redis.channel_tests import FAILED, USAGE_ERROR, TestRequest, TestResult, reply_key
from shared.schema.alerts import Details, Notice
from shared.schema.faults import InvalidError, did_you_mean
from shared.schema.redis_keys import CHANNEL_TESTS
from shared.schema.terminal_escaping import escape_controls

log = structlog.get_logger()

REPLY_TIMEOUT_S = 45.0
"""A receiver may take 10 s for each of several steps."""
BLOCK_S = 1
REPLY_TTL_S = 60


class ChannelTester:
    """Handles test requests in its own thread; `redis` must not be shared."""

    def __init__(
        self, redis: Redis, dashboard_url: str, documents: Documents, contents: ContentFactory
    ) -> None:
        self._redis = redis
        self._dashboard_url = dashboard_url
        self._current = documents, contents
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="channel-tests", daemon=True)

    def reload(self, documents: Documents, contents: ContentFactory) -> None:
        """Use these documents from now on."""
        self._current = documents, contents

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop, without waiting for a test in progress."""
        self._closed.set()
        self._thread.join(timeout=BLOCK_S + 1)

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                entry = cast(
                    "tuple[bytes, bytes] | None", self._redis.blpop([CHANNEL_TESTS], timeout=BLOCK_S)
                )
                if entry is not None:
                    self._handle_request(entry[1])
            except RedisError as error:
                log.debug("redis is down: channel test requests cannot be received", error=str(error))
                self._closed.wait(BLOCK_S)

    def _handle_request(self, data: bytes) -> None:
        try:
            request = msgspec.json.decode(data, type=TestRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("malformed channel test request; skipped", error=str(error))
            return
        if clock.now() > request.until:
            return
        documents, contents = self._current
        try:
            result = run_channel_test(request.channel, documents, contents, self._dashboard_url)
        except InvalidError as error:
            result = TestResult(error="\n".join(map(str, error.faults)), code=FAILED)
        log.info("channel tested", channel=request.channel, code=result.code)
        with self._redis.pipeline() as pipe:
            pipe.rpush(reply_key(request.id), msgspec.json.encode(result))
            pipe.expire(reply_key(request.id), REPLY_TTL_S)
            pipe.execute()


def run_channel_test(
    name: str | None, documents: Documents, contents: ContentFactory, page: str,
    environ: Mapping[str, str] = os.environ,
) -> TestResult:  # fmt: skip
    """Send a test through the channel `name` (None: list all). Raises InvalidError for a bad config."""
    if name is None:
        return _list_channels(documents)
    if name not in documents.channels:
        return _unknown_channel(name, documents)
    channel, content = documents.channels[name], contents(name)
    transport = build_transport(name, channel, content, environ)
    message = _test_message(name, page)
    where = destination(decrypted(name, channel, environ))
    output = f"to {name} ({where}): {content.subject(message)}\n"
    try:
        transport.send(message)
    except TransportError as error:
        text = escape_controls(str(error))
        return TestResult(output, f"{text} ({error.reason})", FAILED, where, reason=error.reason)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; its text may contain the URL
        text = f"unexpected error: {type(error).__name__}"
        return TestResult(output, text, FAILED, where, reason="unexpected")
    response = escape_controls(transport.last_response())
    return TestResult(f"{output}response: {response}\n", destination=where, response=response)


def _list_channels(documents: Documents) -> TestResult:
    found = {name: destination(channel) for name, channel in documents.channels.items()}
    lines = [f"{name}: {address}\n" for name, address in found.items()]
    disabled = ", ".join(documents.notifications.channels)
    none = f"no channels enabled; without an address: {disabled}\n" if disabled else "no channels enabled\n"
    return TestResult("".join(lines) or none, channels=found)


def _unknown_channel(name: str, documents: Documents) -> TestResult:
    if name in documents.notifications.channels:
        why = "is disabled: no address, or alerts are disabled"
        return TestResult(error=f"channel {name!r} {why}", code=FAILED)
    known = ", ".join(documents.channels) or "none"
    close = did_you_mean(name, documents.channels)
    return TestResult(error=f"unknown channel {name!r}{close} (channels: {known})", code=USAGE_ERROR)


def _test_message(name: str, page: str) -> NotificationMessage:
    """Return a message that is recognisable as a test, in its JSON form too."""
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
        message=f"Test notification for channel {name}. No action needed.",
        status="ACTIVE",
        details=details,
        fingerprint=key,
        updated_at=now,
        change="opened",
    )
    return NotificationMessage((notice,), key, now, is_test=True)

"""Channel tests: a test message through one channel, sent by the running notifier or without one.

The command pushes a request to a list in Redis and waits for the reply on a list of its own. The notifier
sends with its own configuration and secrets, as it does for real alerts.
"""

import os
import socket
import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
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
from shared.schema.alerts import Details, Notice
from shared.schema.faults import InvalidError, did_you_mean
from shared.schema.redis_keys import CHANNEL_TESTS
from shared.schema.terminal_escaping import escape_controls

log = structlog.get_logger()

OK, FAILED, USAGE_ERROR = 0, 1, 2
"""Exit codes of the command."""
REPLY_TIMEOUT_S = 45.0
"""A receiver may take 10 s for each of several steps."""
BLOCK_S = 1
REPLY_TTL_S = 60


class TestRequest(msgspec.Struct):
    """Request to the notifier. From: `botwatch notify test`."""

    __test__ = False

    id: str
    channel: str | None
    """None: list the channels."""
    until: datetime
    """Deadline; after it no test is sent, because the command no longer waits."""


class TestResult(msgspec.Struct):
    """Result of a test, as the command prints it."""

    __test__ = False

    output: str = ""
    error: str = ""
    code: int = OK


def request_channel_test(redis: Redis, channel: str | None, timeout_s: float) -> TestResult:
    """Request a test from the running notifier and wait for the result. Raises RedisError."""
    until = clock.now() + timedelta(seconds=timeout_s)
    request = TestRequest(uuid4().hex, channel, until)
    redis.rpush(CHANNEL_TESTS, msgspec.json.encode(request))
    while clock.now() < until:
        answer = cast("tuple[bytes, bytes] | None", redis.blpop([_reply_key(request.id)], timeout=BLOCK_S))
        if answer is not None:
            return msgspec.json.decode(answer[1], type=TestResult)
    return TestResult(error=f"the running notifier did not respond within {timeout_s:g} s", code=FAILED)


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
            pipe.rpush(_reply_key(request.id), msgspec.json.encode(result))
            pipe.expire(_reply_key(request.id), REPLY_TTL_S)
            pipe.execute()


def _reply_key(request: str) -> str:
    return f"{CHANNEL_TESTS}:{request}"


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
        return TestResult(output, f"{escape_controls(str(error))} ({error.reason})", FAILED)
    except Exception as error:  # noqa: BLE001 - a library may raise anything; its text may contain the URL
        return TestResult(output, f"unexpected error: {type(error).__name__}", FAILED)
    return TestResult(f"{output}response: {escape_controls(transport.last_response())}\n")


def _list_channels(documents: Documents) -> TestResult:
    lines = [f"{name}: {destination(channel)}\n" for name, channel in documents.channels.items()]
    return TestResult("".join(lines) or "no channels enabled\n")


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

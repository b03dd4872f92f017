"""Channel tests: the command and the dashboard ask the running notifier to send a test message.

They push a request to a list in Redis and wait for the reply on a list of its own. The notifier sends with
its own configuration and secrets, as it does for real alerts.
"""

from datetime import datetime, timedelta
from typing import cast
from uuid import uuid4

import msgspec
from redis import Redis

from shared.runtime import clock
from shared.schema.redis_keys import CHANNEL_TESTS

OK, FAILED, USAGE_ERROR = 0, 1, 2
"""Exit codes of the command."""
BLOCK_S = 0.5
"""How long one call waits for the reply; shorter than the timeout of any connection."""


class TestRequest(msgspec.Struct):
    """Request to the notifier. From: `botwatch notify test`, the dashboard."""

    __test__ = False

    id: str
    channel: str | None
    """None: list the channels."""
    until: datetime
    """Deadline; after it no test is sent, because nobody waits any more."""


class TestResult(msgspec.Struct):
    """Result of a test: as the command prints it, and part by part."""

    __test__ = False

    output: str = ""
    error: str = ""
    code: int = OK
    destination: str = ""
    """Where the message went, without secrets; empty if none was sent."""
    response: str = ""
    """What the receiver answered when it accepted the message."""
    reason: str = ""
    """Why it was not delivered, in one word; see `services.notifier.channels.base.Reason`."""
    channels: dict[str, str] = {}
    """Destinations of all channels by name, where these were asked for."""
    is_answered: bool = True
    """False: the notifier did not reply in time."""


def request_channel_test(redis: Redis, channel: str | None, timeout_s: float) -> TestResult:
    """Request a test from the running notifier and wait for the result. Raises RedisError."""
    until = clock.now() + timedelta(seconds=timeout_s)
    request = TestRequest(uuid4().hex, channel, until)
    redis.rpush(CHANNEL_TESTS, msgspec.json.encode(request))
    while clock.now() < until:
        answer = cast("tuple[bytes, bytes] | None", redis.blpop([reply_key(request.id)], timeout=BLOCK_S))
        if answer is not None:
            return msgspec.json.decode(answer[1], type=TestResult)
    text = f"the running notifier did not respond within {timeout_s:g} s"
    return TestResult(error=text, code=FAILED, is_answered=False)


def reply_key(request: str) -> str:
    """Return the key of the list with the reply to a request."""
    return f"{CHANNEL_TESTS}:{request}"

"""Reload requests: the dashboard requests a reload of the config documents, and parts reply with the result.

A request is an increasing number. A part polls it once a second, or at once on SIGHUP, and writes its reply;
it also wakes the notifier.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import cast

import msgspec
from redis import Redis
from redis.exceptions import ResponseError

from shared.runtime import clock
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.wake import wake
from shared.schema import redis_keys
from shared.schema.faults import Fault

POLL_INTERVAL_S = 1.0
RESULT_POLL_S = 0.05


RELOADING_PARTS = ("evaluator", "notifier")
"""The parts that reply."""


class ReloadResult(msgspec.Struct, kw_only=True):
    """The reply of a part: what is now in effect, or why the previous configuration stays."""

    request: int
    holds: dict[str, int]
    """Such as `{"rules": 24}`."""
    faults: list[Fault] = []
    warnings: list[str] = []
    """Valid settings that are probably a mistake."""
    at: datetime | None = None
    """When the part replied; None in a reply of an earlier release."""


def request_reload(redis: Redis) -> int:
    """Request a reload and return the request's number; wake the notifier."""
    try:
        number = int(redis.incr(redis_keys.RELOAD))
    except ResponseError as error:
        if "not an integer" not in str(error):
            raise
        redis.delete(redis_keys.RELOAD)
        number = int(redis.incr(redis_keys.RELOAD))
    wake(redis)
    return number


def wait_for_results(redis: Redis, request: int, timeout_s: float) -> dict[str, ReloadResult]:
    """Return the replies to `request` by part: of all `RELOADING_PARTS`, or those within the timeout."""
    until = time.monotonic() + timeout_s
    pause = threading.Event()
    while True:
        replies = latest_results(redis)
        found = {part: answer for part, answer in replies.items() if answer.request >= request}
        if found.keys() >= set(RELOADING_PARTS) or time.monotonic() > until:
            return found
        pause.wait(RESULT_POLL_S)


def latest_results(redis: Redis) -> dict[str, ReloadResult]:
    """Return the latest reply of each part that has replied."""
    said = cast("dict[bytes, bytes]", redis.hgetall(redis_keys.RELOADED))
    found = {}
    for part, data in said.items():
        answer = decode_or_none(redis_keys.RELOADED, partial(msgspec.json.decode, data, type=ReloadResult))
        if answer:
            found[part.decode(errors="replace")] = answer
    return found


class ReloadRequests:
    """A part's view of reload requests; its start counts as the reply to earlier ones."""

    def __init__(self, redis: Redis, hangup: threading.Event, part: str) -> None:
        self._redis = redis
        self._part = part
        self._hangup = hangup
        self._done = self._latest_request()
        self._looked = time.monotonic()

    def is_pending(self, *, at_once: bool = False) -> bool:
        """Return whether a reload was requested since the last reply; poll once a second unless `at_once`."""
        if self._hangup.is_set():
            self._hangup.clear()
            self._done = self._latest_request()
            return True
        if not at_once and time.monotonic() - self._looked < POLL_INTERVAL_S:
            return False
        self._looked = time.monotonic()
        latest = self._latest_request()
        is_new, self._done = latest != self._done, latest
        return is_new

    def reply(
        self, holds: Mapping[str, int], faults: Sequence[Fault] = (), warnings: Sequence[str] = ()
    ) -> None:
        """Reply to the latest request."""
        answer = ReloadResult(
            request=self._done,
            holds=dict(holds),
            faults=list(faults),
            warnings=list(warnings),
            at=clock.now(),
        )
        self._redis.hset(redis_keys.RELOADED, self._part, msgspec.json.encode(answer))

    def _latest_request(self) -> int:
        number = self._redis.get(redis_keys.RELOAD) or 0
        return decode_or_none(redis_keys.RELOAD, lambda: int(number)) or 0

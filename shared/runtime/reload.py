"""Reloading: the dashboard asks for it, the parts that read rules answer what came of it.

A request is a number that grows; a part looks for it once a second, or at once on SIGHUP, and leaves its
answer.
"""

import threading
import time
from collections.abc import Sequence

import msgspec
from redis import Redis

from shared.schema import streams
from shared.schema.faults import Fault

LOOK_EVERY_S = 1.0
ANSWER_EVERY_S = 0.05


class Answer(msgspec.Struct, kw_only=True):
    """What came of a request: how many rules hold now, or why the old ones stay."""

    request: int
    rules: int
    faults: list[Fault] = []


def ask(redis: Redis) -> int:
    """Ask for a reload and return the request's number."""
    return int(redis.incr(streams.RELOAD))


def wait_for_answer(redis: Redis, request: int, timeout_s: float) -> Answer | None:
    """Return the answer to `request`; None when none came in time."""
    until = time.monotonic() + timeout_s
    pause = threading.Event()
    while time.monotonic() < until:
        data = redis.get(streams.RELOADED)
        answer = msgspec.json.decode(data, type=Answer) if data else None
        if answer and answer.request >= request:
            return answer
        pause.wait(ANSWER_EVERY_S)
    return None


class Requests:
    """A part's view of requests; those from before its start are answered by its start."""

    def __init__(self, redis: Redis, hangup: threading.Event) -> None:
        self._redis = redis
        self._hangup = hangup
        self._done = self._latest()
        self._looked = time.monotonic()

    def is_asked(self) -> bool:
        """Say, at most once a second, whether a reload was asked for since the last answer."""
        if self._hangup.is_set():
            self._hangup.clear()
            self._done = self._latest()
            return True
        if time.monotonic() - self._looked < LOOK_EVERY_S:
            return False
        self._looked = time.monotonic()
        latest = self._latest()
        is_new, self._done = latest > self._done, latest
        return is_new

    def answer(self, rules: int, faults: Sequence[Fault] = ()) -> None:
        """Tell what came of it."""
        answer = Answer(request=self._done, rules=rules, faults=list(faults))
        self._redis.set(streams.RELOADED, msgspec.json.encode(answer))

    def _latest(self) -> int:
        return int(self._redis.get(streams.RELOAD) or 0)

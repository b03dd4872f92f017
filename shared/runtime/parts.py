"""Who is running: each part says so in Redis every two seconds, and the dashboard shows it."""

import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, cast

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime import clock
from shared.runtime.read_back import read_back
from shared.schema import streams

log = structlog.get_logger()

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
INTERVAL_S = 2.0
GONE_AFTER = timedelta(seconds=10)
EXPECTED = frozenset(
    (
        *("broadcaster", "collector", "dashboard", "evaluator", "ingestion", "ingestion-redis"),
        *("notifier", "recorder", "watchdog"),
    )
)
"""The parts that always run, wherever; one that was stopped, or never started, left no sign of life."""

_TAKE_DOWN = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
"""


class Part(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """A running part's sign of life."""

    part: str
    host: str
    pid: int
    started_at: Moment
    seen_at: Moment
    url: str | None = None
    """Where it serves /metrics and /health."""
    damaged: dict[str, str] = {}
    """The databases that it found to be damaged: name → what is said of it."""


def address(host: str, port: int) -> str:
    """Return the URL of a server here; one that listens everywhere is reached by this host's name."""
    return f"http://{socket.gethostname() if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared


class Presence:
    """Says that this process is running until it is closed."""

    def __init__(
        self, redis: Redis, part: str, url: str | None, damaged: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._redis = redis
        self._damaged = damaged
        now = clock.now()
        self._part = Part(
            part=part, host=socket.gethostname(), pid=os.getpid(), started_at=now, seen_at=now, url=url
        )
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failing = False
        while True:
            self._part.seen_at = clock.now()
            self._part.damaged = self._damaged()
            try:
                self._redis.hset(streams.PARTS, self._part.part, msgspec.json.encode(self._part))
                failing = False
            except RedisError as error:
                if not failing:
                    log.warning("cannot say that this part is running", error=str(error))
                failing = True
            if self._closed.wait(INTERVAL_S):
                return

    def close(self) -> None:
        """Stop saying so, and take the sign down."""
        self._closed.set()
        self._thread.join(timeout=1)
        try:
            # Another process of this part may have said since that it runs.
            take_down = self._redis.register_script(_TAKE_DOWN)
            take_down(keys=[streams.PARTS], args=[self._part.part, msgspec.json.encode(self._part)])
        except RedisError as error:
            log.info("could not take the sign of life down", error=str(error))


def running(redis: Redis, now: datetime) -> dict[str, tuple[Part, bool]]:
    """Return every known part, and whether it gave a sign of life lately."""
    found = {}
    known = cast("dict[bytes, bytes]", redis.hgetall(streams.PARTS))
    for name, data in known.items():
        if part := read_back(streams.PARTS, partial(msgspec.json.decode, data, type=Part)):
            found[name.decode(errors="replace")] = (part, now - part.seen_at <= GONE_AFTER)
    return dict(sorted(found.items()))

"""Presence: each part writes every two seconds to Redis that it runs; dashboard and watchdog read it."""

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
from shared.runtime.redis.connection import WRITE_REFUSED_ERRORS
from shared.runtime.redis.decoding import decode_or_none
from shared.schema import redis_keys

log = structlog.get_logger()

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
INTERVAL_S = 2.0
PRESENCE_TTL = timedelta(seconds=10)
EXPECTED_PARTS = frozenset(
    (
        *("broadcaster", "collector", "dashboard", "evaluator", "ingestion", "ingestion-redis"),
        *("jobs", "notifier", "recorder", "watchdog"),
    )
)
"""The parts that must always run, on any host."""

_DELETE_OWN = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
"""


class PartPresence(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """A running part, as it is stored in Redis."""

    part: str
    host: str
    pid: int
    started_at: Timestamp
    seen_at: Timestamp
    url: str | None = None
    """Where it serves /metrics and /health."""
    damaged: dict[str, str] = {}
    """Databases that it found damaged: name → SQLite's error."""


def server_url(host: str, port: int, scheme: str = "http") -> str:
    """Return the URL of a server on this host; for one that listens on all addresses, by the host's name."""
    return f"{scheme}://{socket.gethostname() if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared


class PresencePublisher:
    """Writes the presence of this process to Redis until it is closed."""

    def __init__(
        self, redis: Redis, part: str, url: str | None, damaged: Callable[[], dict[str, str]] = dict
    ) -> None:
        self._redis = redis
        self._damaged = damaged
        now = clock.now()
        self._part = PartPresence(
            part=part, host=socket.gethostname(), pid=os.getpid(), started_at=now, seen_at=now, url=url
        )
        self.refusal: RedisError | None = None
        """Why Redis rejected the last write, if it responded."""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        failing = False
        while True:
            self._part.seen_at = clock.now()
            self._part.damaged = self._damaged()
            try:
                self._redis.hset(redis_keys.PARTS, self._part.part, msgspec.json.encode(self._part))
                failing, self.refusal = False, None
            except RedisError as error:
                if not failing:
                    log.warning("cannot write the presence key", error=str(error))
                failing, self.refusal = True, error if isinstance(error, WRITE_REFUSED_ERRORS) else None
            if self._closed.wait(INTERVAL_S):
                return

    def close(self) -> None:
        """Stop, and delete the presence of this process."""
        self._closed.set()
        self._thread.join(timeout=1)
        try:
            # Another process of this part may have written its own since.
            delete_own = self._redis.register_script(_DELETE_OWN)
            delete_own(keys=[redis_keys.PARTS], args=[self._part.part, msgspec.json.encode(self._part)])
        except RedisError as error:
            log.info("could not delete the presence key", error=str(error))


def read_presence(redis: Redis, now: datetime) -> dict[str, tuple[PartPresence, bool]]:
    """Return every known part, and whether its presence is younger than `PRESENCE_TTL`."""
    found = {}
    known = cast("dict[bytes, bytes]", redis.hgetall(redis_keys.PARTS))
    for name, data in known.items():
        if part := decode_or_none(redis_keys.PARTS, partial(msgspec.json.decode, data, type=PartPresence)):
            found[name.decode(errors="replace")] = (part, now - part.seen_at <= PRESENCE_TTL)
    return dict(sorted(found.items()))

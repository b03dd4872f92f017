"""The bookmark: where a demo bot keeps its place, so that a restart goes on instead of beginning anew."""

import logging
from types import TracebackType
from typing import Self, cast

from botwatch.demo.replay import ReplayPosition
from botwatch.http_client import TIMEOUT_S
from botwatch.publishers import connect_bot_redis, translate_redis_errors
from botwatch.typed_json import decode, encode

log = logging.getLogger("botwatch.demo")


class ReplayPositionStore:
    """The key `demo:<bot>:place` in Redis; calls raise BotwatchError, its UnavailableError without answer."""

    def __init__(self, url: str, bot: str) -> None:
        self._redis = connect_bot_redis(url, timeout_s=TIMEOUT_S)
        self._key = f"demo:{bot}:place"

    def read(self) -> ReplayPosition | None:
        """Return the place, None where none is kept."""
        with translate_redis_errors():
            kept = self._redis.get(self._key)
        try:
            return decode(cast("bytes", kept), ReplayPosition) if kept else None
        except ValueError as error:
            log.warning("%s holds no place (%s): a new session begins", self._key, error)
            return None

    def write(self, place: ReplayPosition) -> None:
        """Keep `place`."""
        with translate_redis_errors():
            self._redis.set(
                self._key,
                encode(vars(place)),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()

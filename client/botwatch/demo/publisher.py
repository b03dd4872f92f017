"""Publishes a replay at an even pace, resumes it where it stopped, and waits while Redis is down."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, cast

from botwatch.client import MonitoringController
from botwatch.demo.replay import ReplayPosition, Step
from botwatch.errors import UnavailableError
from botwatch.records import Record, record
from botwatch.redis_publisher import connect_bot_redis, translate_redis_errors
from botwatch.timeouts import TIMEOUT_S
from botwatch.typed_json import decode, encode

log = logging.getLogger("botwatch.demo")

HEARTBEAT_S = 5.0
RETRY_S = 0.5

T = TypeVar("T")


class ReplayPositionStore:
    """The key `demo:<bot>:place` in Redis; calls raise BotwatchError, UnavailableError if Redis is down."""

    def __init__(self, url: str, bot: str) -> None:
        self._redis = connect_bot_redis(url, timeout_s=TIMEOUT_S)
        self._key = f"demo:{bot}:place"

    def read(self) -> ReplayPosition | None:
        """Return the saved position, None if there is none or it is unreadable."""
        with translate_redis_errors():
            saved = self._redis.get(self._key)
        try:
            return decode(cast("bytes", saved), ReplayPosition) if saved else None
        except ValueError as error:
            log.warning("saved position in %s is unreadable: %s; starting a new session", self._key, error)
            return None

    def write(self, position: ReplayPosition) -> None:
        """Save `position`."""
        with translate_redis_errors():
            self._redis.set(self._key, encode(vars(position)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._redis.close()


class ReplayPublisher:
    """Publishes the history at once, then bar after bar at an even pace; while Redis is down it waits."""

    def __init__(
        self,
        controller: MonitoringController,
        positions: ReplayPositionStore,
        bars_per_second: float,
        heartbeat_file: Path | None = None,
    ) -> None:
        self._controller = controller
        self._positions = positions
        self._heartbeat_file = heartbeat_file
        self._pause = threading.Event()
        self._interval_s = 1 / bars_per_second
        self._heartbeat_due = time.monotonic()

    def run(self, steps: Iterable[Step]) -> None:
        """Publish every step and save the position after it.

        What was published but not saved is published again after a restart, with the same ids: harmless.
        """
        due = time.monotonic()
        for position, made in steps:
            batch = [*made, *self._heartbeat(position)]
            self.retry_until_up(partial(self._controller.publish, batch))
            self.retry_until_up(partial(self._positions.write, position))
            if self._heartbeat_file:
                self._heartbeat_file.touch()
            if position.is_live:
                # After a delay the pace continues from now: no burst to catch up.
                due = max(due + self._interval_s, time.monotonic())
                self._pause.wait(due - time.monotonic())

    def retry_until_up(self, call: Callable[[], T]) -> T:
        """Return the result of `call`, repeated until Redis is up."""
        is_down = False
        while True:
            try:
                result = call()
            except UnavailableError as error:
                if not is_down:
                    log.warning("%s; replay paused, retrying", error)
                is_down = True
                self._pause.wait(RETRY_S)
            else:
                if is_down:
                    log.info("Redis is up; replay resumed")
                return result

    def _heartbeat(self, position: ReplayPosition) -> list[Record]:
        if not position.is_live or time.monotonic() < self._heartbeat_due:
            return []
        self._heartbeat_due = time.monotonic() + HEARTBEAT_S
        bot = self._controller.bot
        return [record("heartbeat", bot, timestamp=position.at, status="ok", intervalSeconds=HEARTBEAT_S)]

"""`python -m botwatch.demo`: the demo bot, publishing through Redis as a real bot would."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import TypeVar

from botwatch.client import MonitoringController
from botwatch.demo.prices import load_bars
from botwatch.demo.replay import ReplayPosition, Step, batch_history, replay
from botwatch.demo.saved_position import ReplayPositionStore
from botwatch.errors import UnavailableError
from botwatch.records import Record, record

log = logging.getLogger("botwatch.demo")

HEARTBEAT_S = 5.0
RETRY_S = 0.5
UNBOUNDED = 0

T = TypeVar("T")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m botwatch.demo", description=__doc__)
    parser.add_argument("--bot", default="demo-eurusd", help="the name to publish under")
    parser.add_argument(
        "--redis-url",
        default=_redis_url(os.environ),
        help="where to publish",
    )
    parser.add_argument("--bars-per-second", type=_positive, default=10.0, help="how fast to replay")
    parser.add_argument("--bars", type=int, default=UNBOUNDED, help="stop after so many bars; 0 never stops")
    parser.add_argument(
        "--history",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="publish the first half of the bars at once, as if it lay behind us",
    )
    parser.add_argument(
        "--heartbeat-file", type=Path, metavar="FILE", help="touch this file whenever Redis took a batch"
    )
    return parser.parse_args()


def _redis_url(environ: Mapping[str, str]) -> str:
    if path := environ.get("REDIS_URL_FILE"):
        return Path(path).read_text(encoding="utf-8").strip()
    return environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


class DemoPublisher:
    """Publishes the history at once, then bar after bar at an even pace; while Redis is away it waits."""

    def __init__(
        self,
        controller: MonitoringController,
        bookmark: ReplayPositionStore,
        bars_per_second: float,
        heartbeat_file: Path | None = None,
    ) -> None:
        self._controller = controller
        self._bookmark = bookmark
        self._heartbeat_file = heartbeat_file
        self._pause = threading.Event()
        self._span = 1 / bars_per_second
        self._heartbeat_due = time.monotonic()

    def run(self, steps: Iterable[Step]) -> None:
        """Publish every step, and note the place after it.

        What was published and not noted is published again after a restart, with the ids it had: harmless.
        """
        due = time.monotonic()
        for place, made in steps:
            batch = [*made, *self._heartbeat(place)]
            self.retry_until_up(partial(self._controller.publish, batch))
            self.retry_until_up(partial(self._bookmark.write, place))
            if self._heartbeat_file:
                self._heartbeat_file.touch()
            if place.is_live:
                # After a hold-up the pace goes on from now: no burst to catch up.
                due = max(due + self._span, time.monotonic())
                self._pause.wait(due - time.monotonic())

    def retry_until_up(self, call: Callable[[], T]) -> T:
        """Call until Redis answers."""
        away = False
        while True:
            try:
                answer = call()
            except UnavailableError as error:
                if not away:
                    log.warning("%s; the replay waits", error)
                away = True
                self._pause.wait(RETRY_S)
            else:
                if away:
                    log.info("Redis is back; the replay goes on")
                return answer

    def _heartbeat(self, place: ReplayPosition) -> list[Record]:
        if not place.is_live or time.monotonic() < self._heartbeat_due:
            return []
        self._heartbeat_due = time.monotonic() + HEARTBEAT_S
        bot = self._controller.bot
        return [record("heartbeat", bot, timestamp=place.at, status="ok", intervalSeconds=HEARTBEAT_S)]


def _now() -> datetime:
    return datetime.now(UTC)


def _new_session(history: int) -> ReplayPosition:
    now = _now()
    return ReplayPosition(session=uuid.uuid4().hex[:8], history=history, began=now, at=now)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    log.info("stopping on %s", signal.Signals(number).name)
    sys.exit(0)


def main() -> None:
    """Replay until the bars asked for are done, or a signal comes."""
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s demo bot: %(message)s")
    signal.signal(signal.SIGTERM, _exit_on_signal)
    signal.signal(signal.SIGINT, _exit_on_signal)
    try:
        bars = load_bars()
    except OSError as error:
        sys.exit(f"botwatch.demo: {error}")
    log.info("replaying %d EURUSD bars as %s at %g a second", len(bars), options.bot, options.bars_per_second)
    with (
        MonitoringController(bot=options.bot, redis_url=options.redis_url) as controller,
        ReplayPositionStore(options.redis_url, options.bot) as bookmark,
    ):
        publishing = DemoPublisher(controller, bookmark, options.bars_per_second, options.heartbeat_file)
        place = publishing.retry_until_up(bookmark.read) or _new_session(
            len(bars) // 2 if options.history else 0
        )
        log.info("session %s, from bar %d on", place.session, place.step)
        steps = replay(options.bot, place, bars, _now)
        publishing.run(batch_history(islice(steps, options.bars or None)))
    log.info("done")


if __name__ == "__main__":
    main()

"""`python -m botwatch.demo`: the demo bot, publishing through Redis as a real bot would."""

import argparse
import logging
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from random import Random
from types import FrameType

from botwatch.client import MonitoringController
from botwatch.demo.prices import load_bars
from botwatch.demo.replay import replay
from botwatch.errors import UnavailableError
from botwatch.records import Record, record

log = logging.getLogger("botwatch.demo")

SEED = 1703
HEARTBEAT_S = 5.0
AGAIN_AFTER_S = 0.5
UNBOUNDED = 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m botwatch.demo", description=__doc__)
    parser.add_argument("--bot", default="demo-eurusd", help="the name to publish under")
    parser.add_argument(
        "--redis-url",
        default=os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0",
        help="where to publish",
    )
    parser.add_argument("--bars-per-second", type=_positive, default=10.0, help="how fast to replay")
    parser.add_argument("--bars", type=int, default=UNBOUNDED, help="stop after so many bars; 0 never stops")
    return parser.parse_args()


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


class Publishing:
    """Publishes bar after bar at an even pace; while Redis is away the replay waits."""

    def __init__(self, controller: MonitoringController, bars_per_second: float) -> None:
        self._controller = controller
        self._pause = threading.Event()
        self._span = 1 / bars_per_second
        self._heartbeat_due = time.monotonic()

    def run(self, batches: Iterator[list[Record]]) -> None:
        """Publish every batch."""
        due = time.monotonic()
        for batch in batches:
            self._publish([*batch, *self._heartbeat()])
            # After a hold-up the pace goes on from now: no burst to catch up.
            due = max(due + self._span, time.monotonic())
            self._pause.wait(due - time.monotonic())

    def _heartbeat(self) -> list[Record]:
        if time.monotonic() < self._heartbeat_due:
            return []
        self._heartbeat_due = time.monotonic() + HEARTBEAT_S
        return [record("heartbeat", self._controller.bot, status="ok", intervalSeconds=HEARTBEAT_S)]

    def _publish(self, batch: list[Record]) -> None:
        away = False
        while True:
            try:
                self._controller.publish(batch)
            except UnavailableError as error:
                if not away:
                    log.warning("%s; the replay waits", error)
                away = True
                self._pause.wait(AGAIN_AFTER_S)
            else:
                if away:
                    log.info("Redis is back; the replay goes on")
                return


def _end(number: int, _frame: FrameType | None) -> None:
    log.info("stopping on %s", signal.Signals(number).name)
    sys.exit(0)


def main() -> None:
    """Replay until the bars asked for are done, or a signal comes."""
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s demo bot: %(message)s")
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        bars = load_bars()
    except OSError as error:
        sys.exit(f"botwatch.demo: {error}")
    session = uuid.uuid4().hex[:8]
    batches = replay(options.bot, session, bars, Random(SEED), lambda: datetime.now(UTC))  # noqa: S311
    log.info("replaying %d EURUSD bars as %s at %g a second", len(bars), options.bot, options.bars_per_second)
    with MonitoringController(bot=options.bot, redis_url=options.redis_url) as controller:
        wanted = islice(batches, options.bars) if options.bars != UNBOUNDED else batches
        Publishing(controller, options.bars_per_second).run(wanted)
    log.info("done")


if __name__ == "__main__":
    main()

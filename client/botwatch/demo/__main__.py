"""`python -m botwatch.demo`: the demo bot, publishing through Redis as a real bot would."""

import argparse
import logging
import os
import signal
import sys
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import FrameType

from botwatch.client import MonitoringController
from botwatch.demo.prices import load_bars
from botwatch.demo.publisher import ReplayPositionStore, ReplayPublisher
from botwatch.demo.replay import ReplayPosition, batch_history, replay
from botwatch.errors import BotwatchError

log = logging.getLogger("botwatch.demo")

UNBOUNDED = 0


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m botwatch.demo", description=__doc__)
    parser.add_argument("--bot", default="demo-eurusd", help="name of the bot")
    parser.add_argument(
        "--redis-url",
        default=_redis_url(os.environ),
        help="where to publish (default: REDIS_URL_FILE or REDIS_URL)",
    )
    parser.add_argument("--bars-per-second", type=_positive, default=10.0, help="speed of the replay")
    parser.add_argument("--bars", type=int, default=UNBOUNDED, help="stop after this many bars; 0: never")
    parser.add_argument(
        "--history",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="publish the first half of the bars at once, with times in the past",
    )
    parser.add_argument(
        "--heartbeat-file", type=Path, metavar="FILE", help="touch this file whenever Redis accepts a batch"
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


def _now() -> datetime:
    return datetime.now(UTC)


def _new_session(history: int) -> ReplayPosition:
    now = _now()
    return ReplayPosition(session=uuid.uuid4().hex[:8], history=history, began=now, at=now)


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    log.info("%s received; stopping", signal.Signals(number).name)
    sys.exit(0)


def main() -> None:
    """Replay until `--bars` are published or a signal arrives; an error ends it with one line."""
    options = arguments()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s demo bot: %(message)s")
    signal.signal(signal.SIGTERM, _exit_on_signal)
    signal.signal(signal.SIGINT, _exit_on_signal)
    try:
        _publish(options)
    except (OSError, BotwatchError) as error:
        sys.exit(f"botwatch.demo: {error}")


def _publish(options: argparse.Namespace) -> None:
    bars = load_bars()
    log.info("replaying %d EURUSD bars as %s at %g/s", len(bars), options.bot, options.bars_per_second)
    with (
        MonitoringController(bot=options.bot, redis_url=options.redis_url) as controller,
        ReplayPositionStore(options.redis_url, options.bot) as positions,
    ):
        publisher = ReplayPublisher(controller, positions, options.bars_per_second, options.heartbeat_file)
        position = publisher.retry_until_up(positions.read) or _new_session(
            len(bars) // 2 if options.history else 0
        )
        log.info("session %s, starting at bar %d", position.session, position.step)
        steps = replay(options.bot, position, bars, _now)
        publisher.run(batch_history(islice(steps, options.bars or None)))
    log.info("done")


if __name__ == "__main__":
    main()

"""The replay: run after run over the same bars, as records. Pure.

The first bars of a session are its history, with times in the past, an hour apart as in the data. After that,
a bar is dated when it is requested.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from random import Random

from botwatch import records
from botwatch.demo.bot import REPLAY, START, BarSpan, TradingBot
from botwatch.demo.prices import Bar
from botwatch.demo.simulated_exchange import SimulatedExchange
from botwatch.records import Record

SEED = 1703
HOUR = timedelta(hours=1)
BARS_AT_ONCE = 50
"""Bars of the history per step: a bar has one to ten records."""


@dataclass(frozen=True, kw_only=True)
class ReplayPosition:
    """The position of a session; with the bars, all that a restart needs to go on with the same records."""

    session: str
    """Makes the ids of orders, fills and records unique."""
    history: int
    """Number of bars of the first run that are published as history."""
    began: datetime
    """When the session began: the close of the last bar of the history."""
    at: datetime
    """Close of the last published bar; `began` before the first."""
    step: int = 0
    """Number of published bars."""

    @property
    def is_live(self) -> bool:
        """Return whether the last bar was live, not history."""
        return self.step > self.history


Step = tuple[ReplayPosition, list[Record]]
"""The position after a bar or several, and their records."""


def seeded_exchange(run: int) -> SimulatedExchange:
    """Return the exchange of one run, with its own random generator: no run depends on another."""
    return SimulatedExchange(Random(f"{SEED}-{run}"))  # noqa: S311 - a simulation


def replay(
    name: str,
    position: ReplayPosition,
    bars: Sequence[Bar],
    now: Callable[[], datetime],
    exchange: Callable[[int], SimulatedExchange] = seeded_exchange,
) -> Iterator[Step]:
    """Yield the records of bar after bar, from `position` on, without end.

    At the end of the bars the trade is closed at the last open, and a new run begins with the start money:
    the loss of the account is paid in, and is the `netFlow` of the first equity record. To continue at
    `position`, the bars before it are traded again, unpublished, from the beginning of the previous run.
    """
    paid_in = 0.0
    for run in count(max(position.step // len(bars) - 1, 0)):
        bot = TradingBot(name, f"{position.session}-{run + 1}", exchange(run + 1))
        for index, bar in enumerate(bars):
            step = run * len(bars) + index
            span = _span(position, bars, step, now)
            made = [] if index else [_start_event(name, run, bars, span.opened)]
            closing = index >= len(bars) - 2
            made += bot.trade(bar, span, closing=closing, net_flow=0.0 if index else paid_in)
            if step < position.step:
                continue
            for number, record in enumerate(made):
                record["id"] = f"{position.session}-{step}-{number}"
            position = replace(position, step=step + 1, at=span.closed)
            yield position, made
        paid_in = START - bot.account.equity(bars[-1].close)


def batch_history(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the bars of the history many at a time, and live ones one by one."""
    gathered: list[Record] = []
    position = None
    for position, made in steps:
        gathered += made
        if position.step >= position.history or position.step % BARS_AT_ONCE == 0:
            yield position, gathered
            gathered = []
    if position and gathered:
        yield position, gathered


def _span(position: ReplayPosition, bars: Sequence[Bar], step: int, now: Callable[[], datetime]) -> BarSpan:
    """Return when the bar of `step` opens and closes; a live one lasts from the previous one until now."""
    if step < position.history:
        opened = position.began - HOUR - (bars[position.history - 1].time - bars[step].time)
        return BarSpan(opened, opened + HOUR)
    return BarSpan(position.at, position.at if step < position.step else max(position.at, now()))


def _start_event(name: str, run: int, bars: Sequence[Bar], at: datetime) -> Record:
    text = (
        f"SMA 10/30 reversal on {len(bars)} hourly EURUSD bars, "
        f"{bars[0].time:%Y-%m-%d} to {bars[-1].time:%Y-%m-%d}, from {START:,.0f}"
    )
    title = "replay restarted" if run else "replay started"
    return records.record("event", name, timestamp=at, labels=REPLAY, level="info", title=title, text=text)

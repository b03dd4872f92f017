"""The replay: run after run over the same bars, as the records that each bar gives rise to. Pure.

The first bars of a session are its history, dated in the past at the bars' own spacing; from there on every
bar happens as it is asked for.
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
"""Of the history: a bar gives rise to ten records at most, and most to one."""


@dataclass(frozen=True, kw_only=True)
class ReplayPosition:
    """How far a session has come; with the bars, all that a restart needs to go on in the same way."""

    session: str
    """Makes the ids of orders, fills and records unique."""
    history: int
    """How many bars of the first run are published as history."""
    began: datetime
    """When the session began, and the last bar of the history closed."""
    at: datetime
    """When the last bar that was published closed; `began` before the first."""
    step: int = 0
    """How many bars were published."""

    @property
    def is_live(self) -> bool:
        """Whether the bar that led here happened as it was published."""
        return self.step > self.history


Step = tuple[ReplayPosition, list[Record]]
"""The records of a bar or of several, and the place they lead to."""


def seeded_exchange(run: int) -> SimulatedExchange:
    """Return the exchange of one run: each has a generator of its own, so that none depends on another."""
    return SimulatedExchange(Random(f"{SEED}-{run}"))  # noqa: S311 - a simulation


def replay(
    name: str,
    place: ReplayPosition,
    bars: Sequence[Bar],
    now: Callable[[], datetime],
    exchange: Callable[[int], SimulatedExchange] = seeded_exchange,
) -> Iterator[Step]:
    """Yield the records of one bar after another from `place` on, for ever.

    At the end of the bars the position is closed at the last open, and a new run begins with the start
    money: what the account lost until then is paid in, which the first equity point says as its `netFlow`.
    What lies before `place` is lived through again, unpublished, from the run before its own on.
    """
    paid_in = 0.0
    for run in count(max(place.step // len(bars) - 1, 0)):
        bot = TradingBot(name, f"{place.session}-{run + 1}", exchange(run + 1))
        for index, bar in enumerate(bars):
            step = run * len(bars) + index
            span = _span(place, bars, step, now)
            made = [] if index else [_start_event(name, run, bars, span.opened)]
            closing = index >= len(bars) - 2
            made += bot.trade(bar, span, closing=closing, net_flow=0.0 if index else paid_in)
            if step < place.step:
                continue
            for number, record in enumerate(made):
                record["id"] = f"{place.session}-{step}-{number}"
            place = replace(place, step=step + 1, at=span.closed)
            yield place, made
        paid_in = START - bot.account.equity(bars[-1].close)


def batch_history(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield the bars of the history many at a time, and those that are live one by one."""
    gathered: list[Record] = []
    place = None
    for place, made in steps:
        gathered += made
        if place.step >= place.history or place.step % BARS_AT_ONCE == 0:
            yield place, gathered
            gathered = []
    if place and gathered:
        yield place, gathered


def _span(place: ReplayPosition, bars: Sequence[Bar], step: int, now: Callable[[], datetime]) -> BarSpan:
    """Return when the bar of `step` happens; a live one reaches from the one before until now."""
    if step < place.history:
        opened = place.began - HOUR - (bars[place.history - 1].time - bars[step].time)
        return BarSpan(opened, opened + HOUR)
    return BarSpan(place.at, place.at if step < place.step else max(place.at, now()))


def _start_event(name: str, run: int, bars: Sequence[Bar], at: datetime) -> Record:
    text = (
        f"SMA 10/30 reversal on {len(bars)} hourly EURUSD bars, "
        f"{bars[0].time:%Y-%m-%d} to {bars[-1].time:%Y-%m-%d}, from {START:,.0f}"
    )
    title = "replay begins again" if run else "replay begins"
    return records.record("event", name, timestamp=at, labels=REPLAY, level="info", title=title, text=text)

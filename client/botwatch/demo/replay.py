"""The replay: run after run over the same bars, as the batches of records that a bar gives rise to. Pure."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from random import Random

from botwatch import records
from botwatch.demo.bot import REJECT_RATE, REPLAY, START, TradingBot
from botwatch.demo.prices import Bar
from botwatch.records import Record


def replay(
    name: str,
    session: str,
    bars: Sequence[Bar],
    random: Random,
    now: Callable[[], datetime],
    *,
    reject_rate: float = REJECT_RATE,
) -> Iterator[list[Record]]:
    """Yield the records of one bar after another, for ever; `session` makes the ids of orders unique.

    At the end of the bars the position is closed at the last open, and a new run begins with the start
    money: what the account lost until then is paid in, which the first equity point says as its `netFlow`.
    """
    run, paid_in = 0, 0.0
    while True:
        run += 1
        bot = TradingBot(name, f"{session}-{run}", random, reject_rate=reject_rate)
        title = "replay begins" if run == 1 else "replay begins again"
        opening = [_event(name, title, bars, now())]
        for index, bar in enumerate(bars):
            moment = now()
            yield [
                *opening,
                *bot.on_open(bar.open, moment),
                *bot.on_close(bar, moment, last=index == len(bars) - 2, net_flow=paid_in),
            ]
            opening, paid_in = [], 0.0
        paid_in = START - bot.account.equity(bars[-1].close)


def _event(name: str, title: str, bars: Sequence[Bar], now: datetime) -> Record:
    text = (
        f"SMA 10/30 reversal on {len(bars)} hourly EURUSD bars, "
        f"{bars[0].time:%Y-%m-%d} to {bars[-1].time:%Y-%m-%d}, from {START:,.0f}"
    )
    return records.record("event", name, timestamp=now, labels=REPLAY, level="info", title=title, text=text)

"""Cost of a bot's figures: the pure fold alone, as the recorder calls it, after short and long histories."""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import islice

import msgspec

from shared.analytics.account import BotAccount
from shared.analytics.events import EquityPoint, Execution, OrderUpdate, Quote, TradingEvent
from shared.analytics.settings import AnalyticsSettings
from shared.schema.records import Side
from tests.bench.figures import Cost

BEGIN = 1_767_225_600_000
"""2026-01-01, epoch milliseconds."""
SYMBOLS = tuple(f"COIN{number}/USDT" for number in range(20))
HISTORY_MS = 30_000
"""From one event to the next in the history: a million events are a year."""
BURST_MS = 10
"""From one event to the next in what is timed: 100 events a second."""
BURST = 6_000
RECORD_EVERY_MS = 1_000


def mixed_events(
    begin: int = BEGIN, every_ms: int = HISTORY_MS, symbols: Sequence[str] = SYMBOLS
) -> Iterator[TradingEvent]:
    """Yield events of a bot without end: quotes, orders from submission to fill, and its equity."""
    chance = random.Random(begin)
    at, equity = begin, 10_000.0
    while True:
        symbol, price = chance.choice(symbols), 100 + chance.random()
        side: Side = "buy" if chance.random() < 0.5 else "sell"
        order, quantity = f"order-{at}", chance.choice((0.5, 1.0, 1.5))
        moments = [at := at + chance.randrange(1, 2 * every_ms) for _ in range(6)]
        yield Quote(moments[0], symbol, price)
        yield OrderUpdate(moments[1], order, symbol, side, quantity, "submitted", price)
        yield OrderUpdate(moments[2], order, symbol, side, quantity, "acknowledged")
        yield Execution(moments[3], order, symbol, side, quantity, price * 1.0001, 0.1, "USDT")
        yield OrderUpdate(moments[4], order, symbol, side, quantity, "filled")
        equity *= 1 + chance.gauss(0, 1e-4)
        yield EquityPoint(moments[5], equity)


def measure(sizes: Sequence[int]) -> list[Cost]:
    """Fold as many events as the largest of `sizes` (ascending), and look at the cost after each of them."""
    account = BotAccount(AnalyticsSettings(currency="USDT"))
    history = mixed_events()
    found: list[Cost] = []
    for before, size in zip((0, *sizes), sizes, strict=False):
        for event in islice(history, size - before):
            account.apply(event)
        account.trades.clear()
        account.minutes.clear()
        account.hours.clear()
        found.append(_cost(account, size))
    return found


def _cost(account: BotAccount, events: int) -> Cost:
    """Let the account go through a burst, with a record once a second, and leave it as it was."""
    dump = account.to_json()
    busy = BotAccount.from_json(dump, account.state.settings)
    if busy is None:
        raise RuntimeError("the account does not take its own state")
    burst = list(islice(mixed_events(busy.last_event[0] + 1, BURST_MS), BURST))
    records_s, due = 0.0, 0
    begun = time.perf_counter()
    records = 0
    for event in burst:
        busy.apply(event)
        if event.at >= due:
            due = event.at + RECORD_EVERY_MS
            before = time.perf_counter()
            busy.performance("bench")
            records_s += time.perf_counter() - before
            records += 1
    took_s = time.perf_counter() - begun
    return Cost(
        events=events,
        fold_us=(took_s - records_s) / BURST * 1e6,
        record_us=records_s / records * 1e6,
        both_us=took_s / BURST * 1e6,
        dumped=len(dump),
        held=deep_size(busy.state),
    )


def deep_size(thing: object, seen: set[int] | None = None) -> int:
    """Return the bytes that `thing` and all that it refers to take in memory."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, msgspec.Struct):
        parts = [getattr(thing, name) for name in thing.__struct_fields__]
    elif isinstance(thing, dict):
        parts = [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple):
        parts = list(thing)
    else:
        parts = []
    return sys.getsizeof(thing) + sum(deep_size(part, seen) for part in parts)

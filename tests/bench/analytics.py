"""Cost of the figures: time per event in short and long histories, time per record, bytes per bot.

No services: the pure fold alone, as the recorder calls it, with a computed record once a second of the bot's
clock.
"""

import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from shared.analytics.account import Account
from shared.analytics.events import EquityPoint, Event, Execution, OrderStep, Quote
from shared.analytics.settings import Settings
from shared.schema.records import Side

BEGIN = 1_767_225_600_000
"""2026-01-01, epoch milliseconds."""
SYMBOLS = tuple(f"COIN{number}/USDT" for number in range(20))
EVENTS_PER_ORDER = 6
RECORD_EVERY_MS = 1000
RECORDS_TIMED = 100
MOST_US = 20.0
MOST_BYTES = 1024**2


def mixed_events(count: int, *, symbols: Sequence[str] = SYMBOLS, seed: int = 1) -> Iterator[Event]:
    """Yield events of a busy bot, about 6 a second: quotes, orders from submission to fill, equity."""
    chance = random.Random(seed)
    at, equity = BEGIN, 10_000.0
    for number in range(count // EVENTS_PER_ORDER):
        order, symbol, price = f"order-{number}", chance.choice(symbols), 100 * (1 + 0.01 * chance.random())
        side: Side = "buy" if chance.random() < 0.5 else "sell"
        quantity = chance.choice((0.5, 1.0, 1.5))
        moments = sorted(at + later for later in chance.sample(range(1200), EVENTS_PER_ORDER))
        yield Quote(moments[0], symbol, price)
        yield OrderStep(moments[1], order, symbol, side, quantity, "submitted", price)
        yield OrderStep(moments[2], order, symbol, side, quantity, "acknowledged")
        yield Execution(moments[3], order, symbol, side, quantity, price * 1.0001, 0.1, "USDT")
        yield OrderStep(moments[4], order, symbol, side, quantity, "filled")
        equity *= 1 + chance.gauss(0, 1e-4)
        yield EquityPoint(moments[5], equity)
        at = moments[5] + 1


@dataclass(frozen=True)
class Cost:
    """What the figures of one bot cost after `events`."""

    events: int
    event_us: float
    """Of the latest events, a record once a second included."""
    record_us: float
    """To make a record right after an event."""
    dumped: int
    """Bytes of the state as JSON."""
    held: int
    """Bytes of the state in memory."""


def measure(sizes: Sequence[int]) -> list[Cost]:
    """Fold as many events as the largest of `sizes` (ascending), and look at the cost at each of them."""
    account = Account(Settings(currency="USDT"))
    events = mixed_events(sizes[-1])
    found: list[Cost] = []
    folded = 0
    for size in sizes:
        piece = [event for _, event in zip(range(size - folded), events, strict=False)]
        event_us = _fold(account, piece)
        found.append(Cost(size, event_us, _record_us(account), len(account.dump()), deep_size(account.state)))
        folded = size
    return found


def _fold(account: Account, events: Sequence[Event]) -> float:
    """Return the microseconds an event took, of the latest tenth of `events`."""
    last = len(events) - len(events) // 10
    for event in events[:last]:
        account.take(event)
    account.trades.clear()
    account.minutes.clear()
    account.hours.clear()
    due, begun = 0, time.perf_counter()
    for event in events[last:]:
        account.take(event)
        if event.at >= due:
            account.performance("bench")
            due = event.at + RECORD_EVERY_MS
    return (time.perf_counter() - begun) / (len(events) - last) * 1e6


def _record_us(account: Account) -> float:
    at, _ = account.head
    took = 0.0
    for number in range(RECORDS_TIMED):
        account.take(OrderStep(at, f"last-{number}", SYMBOLS[0], "buy", 1.0, "submitted"))
        begun = time.perf_counter()
        account.performance("bench")
        took += time.perf_counter() - begun
        at += 1
    return took / RECORDS_TIMED * 1e6


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

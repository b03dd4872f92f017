"""Prices of currencies for sums over accounts: the newest one, and the last one of each step of a range.

The analytics convert single amounts at their own time; a sum on the dashboard may use an older price, which
it names.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, bindparam, desc, func, select

from shared.analytics.symbols import common_code
from shared.schema.timestamps import epoch_ms, from_epoch_ms
from shared.store.tables import rates
from shared.store.time_buckets import TimeBuckets

MAX_AGE = timedelta(days=1)
"""Older prices are not used."""
_MINUTE_MS = 60_000

_PAIR = (rates.c.base == bindparam("base"), rates.c.quote == bindparam("quote"))
_NEWEST = (
    select(rates.c.price, rates.c.at)
    .where(*_PAIR, rates.c.minute >= bindparam("since"), rates.c.minute <= bindparam("until"))
    .order_by(desc(rates.c.minute))
    .limit(1)
)
_STEP = (rates.c.minute - bindparam("start", type_=Integer)) // bindparam("width", type_=Integer)
_PER_STEP = (
    # With max(), SQLite takes the other columns from the row that has the maximum.
    select(_STEP.label("step"), func.max(rates.c.minute), rates.c.price, rates.c.at)
    .where(*_PAIR, rates.c.minute >= bindparam("start"), rates.c.minute < bindparam("until"))
    .group_by("step")
    .order_by("step")
)


class StoredRate(NamedTuple):
    """The price of one currency in another, and when it was reported."""

    price: float
    at: datetime


def is_same_currency(one: str, other: str) -> bool:
    """Return whether two names are the same currency."""
    return common_code(one) == common_code(other)


def newest_rate(connection: Connection, base: str, quote: str, now: datetime) -> StoredRate | None:
    """Return the newest price of one `base` in `quote`, at most a day old at `now`; None if there is none."""
    until = epoch_ms(now) // _MINUTE_MS
    span = {"since": until - MAX_AGE // timedelta(minutes=1), "until": until}
    found = [
        StoredRate(1 / row.price if inverse else row.price, from_epoch_ms(row.at))
        for names, inverse in _pairs(base, quote)
        for row in connection.execute(_NEWEST, names | span)
        if row.price > 0
    ]
    return max(found, key=lambda rate: rate.at, default=None)


def rates_by_step(connection: Connection, base: str, quote: str, steps: TimeBuckets) -> dict[int, StoredRate]:
    """Return the price of one `base` in `quote` at the end of each step, by the step's number.

    It is the last price before the end, at most a day old; steps without one are left out.
    """
    start = epoch_ms(steps.start) // _MINUTE_MS
    width = steps.width // timedelta(minutes=1)
    span = {"start": start, "width": width, "until": start + width * steps.bucket_count}
    found: dict[int, StoredRate] = {}
    for names, inverse in _pairs(base, quote):
        for row in connection.execute(_PER_STEP, names | span):
            rate = StoredRate(1 / row.price if inverse else row.price, from_epoch_ms(row.at))
            if row.price > 0 and (row.step not in found or found[row.step].at < rate.at):
                found[row.step] = rate
    return _carried(found, newest_rate(connection, base, quote, steps.start), steps)


def _carried(
    found: dict[int, StoredRate], last: StoredRate | None, steps: TimeBuckets
) -> dict[int, StoredRate]:
    """Give steps without a price the one before, up to a day."""
    carried: dict[int, StoredRate] = {}
    for step in range(steps.bucket_count):
        last = found.get(step, last)
        if last and steps.start + steps.width * step - last.at <= MAX_AGE:
            carried[step] = last
    return carried


def _pairs(base: str, quote: str) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield the pair as it may be in the table, and whether its price is the inverse."""
    one, other = common_code(base), common_code(quote)
    yield {"base": one, "quote": other}, False
    yield {"base": other, "quote": one}, True

"""Rates as stored: the first price of each pair and minute, written by the recorder, read by the fold."""

from bisect import insort
from collections import OrderedDict
from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.sqlite import insert

from shared.analytics.rates import LATER_MS, MINUTE_MS, PairRate, Rate, Rates, find_rate
from shared.store.database import Database
from shared.store.tables import rates

BLOCK_MINUTES = 360
"""Prices of a pair are read by blocks of this length, which then stay in memory."""
BLOCKS = 128
"""Blocks in memory, up to about 50 KiB each."""

_BLOCK = (
    select(rates.c.at, rates.c.price)
    .where(
        rates.c.base == bindparam("base"),
        rates.c.quote == bindparam("quote"),
        rates.c.minute >= bindparam("since"),
        rates.c.minute < bindparam("until"),
    )
    .order_by(rates.c.at)
)


def insert_rates(connection: Connection, found: Iterable[PairRate]) -> list[PairRate]:
    """Insert the rates whose pair has none of that minute, and return these."""
    statement = insert(rates).on_conflict_do_nothing()
    return [
        one
        for one in found
        if connection.execute(
            statement,
            {
                "base": one.base, "quote": one.quote, "minute": one.minute,
                "at": one.rate.at, "price": one.rate.price,
            },
        ).rowcount
    ]  # fmt: skip


class StoredRates(Rates):
    """The rates of a performance database, for the one process that writes them."""

    def __init__(self, database: Database, max_age_s: float) -> None:
        self._database = database
        self._max_age_ms = int(max_age_s * 1000)
        self._blocks: OrderedDict[tuple[str, str, int], list[Rate]] = OrderedDict()
        self._found: tuple[tuple[str, str, int], Rate | None] | None = None
        """The latest lookup: amounts of the same event need the same rate."""

    def find(self, base: str, quote: str, at: int) -> Rate | None:
        """Return the rate at a time; see `Rates`."""
        key = (base, quote, at)
        if self._found is not None and self._found[0] == key:
            return self._found[1]
        length = BLOCK_MINUTES * MINUTE_MS
        blocks = range((at - self._max_age_ms) // length, (at + LATER_MS) // length + 1)
        direct, inverse = self._prices(base, quote, blocks), self._prices(quote, base, blocks)
        found = find_rate(direct, inverse, at, self._max_age_ms)
        self._found = (key, found)
        return found

    def add(self, new: Iterable[PairRate]) -> None:
        """Take rates that have been written."""
        self._found = None
        for one in new:
            block = self._blocks.get((one.base, one.quote, one.minute // BLOCK_MINUTES))
            if block is not None:
                insort(block, one.rate)

    def _prices(self, base: str, quote: str, blocks: range) -> list[Rate]:
        """Return the prices of the blocks in the order of time."""
        if len(blocks) == 1:
            return self._block(base, quote, blocks[0])
        return [price for block in blocks for price in self._block(base, quote, block)]

    def _block(self, base: str, quote: str, block: int) -> list[Rate]:
        key = (base, quote, block)
        if (known := self._blocks.get(key)) is not None:
            self._blocks.move_to_end(key)
            return known
        span = {"since": block * BLOCK_MINUTES, "until": (block + 1) * BLOCK_MINUTES}
        with self._database.read() as connection:
            rows = connection.execute(_BLOCK, {"base": base, "quote": quote, **span}).all()
        self._blocks[key] = found = [Rate(*row) for row in rows]
        if len(self._blocks) > BLOCKS:
            self._blocks.popitem(last=False)
        return found

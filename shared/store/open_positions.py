"""Open positions as the recorder keeps them: lists for the API, gauges for Prometheus."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    delete,
    desc,
    func,
    insert,
    select,
    tuple_,
)

from shared.analytics.open_positions import OpenPosition
from shared.schema.timestamps import from_epoch_ms, to_store
from shared.store.tables import open_positions

_P = open_positions.c
_KEY = (_P.bot, _P.symbol, _P.leg)

PositionKey = tuple[str, str, str]
"""Bot, symbol and leg of a position."""


class PositionFilter(NamedTuple):
    """Which positions are wanted; None lets any pass."""

    bot: str | None = None
    symbol: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of a query."""
        wanted = ((_P.bot, self.bot), (_P.symbol, self.symbol))
        return [column == value for column, value in wanted if value is not None]


class PositionSum(NamedTuple):
    """Positions of one bot, symbol, side and quote currency."""

    bot: str
    symbol: str
    side: str
    quote_currency: str | None
    number: int
    quantity: float
    notional: float | None
    """Account currency, without those that are undefined; None if all are."""
    unrealized_pnl: float | None
    """Likewise."""
    undefined: int
    """How many have no notional."""


def replace_positions(
    connection: Connection, bot: str, positions: Sequence[OpenPosition], updated_at: int
) -> None:
    """Replace the open positions of a bot by those that it has at `updated_at`, epoch milliseconds."""
    connection.execute(delete(open_positions).where(_P.bot == bot))
    if positions:
        updated = _text(updated_at)
        rows = [{"bot": bot, "updatedAt": updated, **_columns(one)} for one in positions]
        connection.execute(insert(open_positions), rows)


def _columns(position: OpenPosition) -> dict[str, Any]:
    return {
        "symbol": position.symbol,
        "leg": position.leg,
        "side": position.side,
        "quantity": position.quantity,
        "entryPrice": position.entry_price,
        "openedAt": _text(position.opened_at),
        "markPrice": position.mark_price,
        "markAt": _text(position.mark_at),
        "unrealizedPnL": position.unrealized_pnl,
        "notional": position.notional,
        "quoteCurrency": position.quote_currency,
        "contractType": position.contract_type,
        "multiplier": position.multiplier,
        "fees": position.fees,
        "funding": position.funding,
        "margin": position.margin,
        "liquidationPrice": position.liquidation_price,
        "foldedQuantity": position.folded_quantity,
        "reportedAt": _text(position.reported_at),
        "undefined": position.undefined,
    }


def _text(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else to_store(from_epoch_ms(milliseconds))


def list_positions(
    connection: Connection, wanted: PositionFilter, after: PositionKey | None, limit: int
) -> Sequence[RowMapping]:
    """Return open positions by bot, symbol and leg; `after` is the last one of the page before."""
    found = select(open_positions).where(*wanted.conditions()).order_by(*_KEY).limit(limit)
    if after is not None:
        found = found.where(tuple_(*_KEY) > tuple_(*after))
    return connection.execute(found).mappings().all()


def position_sums(connection: Connection, wanted: PositionFilter) -> list[PositionSum]:
    """Return all open positions, those of one bot, symbol, side and quote currency summed."""
    found = _sums(_P.quoteCurrency).where(*wanted.conditions())
    return [_position_sum(row) for row in connection.execute(found.order_by(_P.bot, _P.symbol, _P.side))]


def largest_positions(connection: Connection, most: int, most_per_bot: int) -> tuple[list[PositionSum], int]:
    """Return the `most` largest positions by notional, and how many there are altogether.

    A bot with more rows than `most_per_bot` has none among them.
    """
    found = _sums(func.min(_P.quoteCurrency).label("quoteCurrency"), by_quote=False)
    grouped = found.subquery()
    total = connection.execute(select(func.count()).select_from(grouped)).scalar() or 0
    usual = select(_P.bot).group_by(_P.bot).having(func.count() <= most_per_bot)
    found = found.where(_P.bot.in_(usual))
    largest = found.order_by(desc(func.abs(func.sum(_P.notional))), _P.bot, _P.symbol, _P.side).limit(most)
    return [_position_sum(row) for row in connection.execute(largest)], total


def _sums(quote: ColumnElement[str], *, by_quote: bool = True) -> Select[Any]:
    groups = (_P.bot, _P.symbol, _P.side, *([_P.quoteCurrency] if by_quote else []))
    return select(
        _P.bot, _P.symbol, _P.side, quote,
        func.count().label("positions"), func.sum(_P.quantity).label("quantity"),
        func.sum(_P.notional).label("notional"), func.sum(_P.unrealizedPnL).label("pnl"),
        (func.count() - func.count(_P.notional)).label("undefined"),
    ).group_by(*groups)  # fmt: skip


def _position_sum(row: Row[Any]) -> PositionSum:
    return PositionSum._make(row)

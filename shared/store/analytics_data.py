"""Analytics data: raw events, checkpoints, closed trades and equity curves.

Events are returned in the one order in which they are folded: reading them again leads to the same state.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache, reduce
from heapq import merge
from operator import add
from typing import Any, NamedTuple, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    ScalarSelect,
    Select,
    Table,
    bindparam,
    delete,
    desc,
    func,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import Insert, insert

from shared.analytics.curve import EquityBar
from shared.analytics.events import (
    NO_TERMS,
    ContractTerms,
    EquityPoint,
    Execution,
    Flow,
    FundingPaid,
    OrderUpdate,
    PositionReport,
    Quote,
    ReportedMetrics,
    TradeReport,
    TradingEvent,
    event_order,
    is_maker,
    is_plausible,
)
from shared.analytics.trade import Trade
from shared.schema.records import Performance, PositionSide, Record
from shared.schema.timestamps import epoch_ms, from_epoch_ms, from_store, to_store
from shared.schema.units import metric_fields
from shared.store.records import subjects
from shared.store.tables import (
    TABLES,
    checkpoints,
    equity,
    equity_hours,
    equity_minutes,
    fills,
    flows,
    funding,
    orders,
    performance_metrics,
    positions,
    reported_trades,
    samples,
    trades,
)

LATEST_CHECKPOINTS = 2
DAILY_CHECKPOINTS = 30
"""Checkpoints kept besides the latest: the last one of each of this many days, and of each month forever."""

# Statements that run for each bot are built once: building one takes longer than running it.
_NEWEST_CHECKPOINT = (
    select(checkpoints.c.until, checkpoints.c.state)
    .where(checkpoints.c.bot == bindparam("of"))
    .order_by(desc(checkpoints.c.until))
    .limit(1)
)
_CHECKPOINT_BEFORE = _NEWEST_CHECKPOINT.where(checkpoints.c.until < bindparam("before"))
_DELETE_TRADES = delete(trades).where(trades.c.bot == bindparam("of"), trades.c.number > bindparam("after"))


class EventBatch(NamedTuple):
    """A batch of a bot's history."""

    events: list[TradingEvent]
    is_last: bool
    """Whether it reaches the end of the stored rows."""


class StoredCheckpoint(NamedTuple):
    """A state with all rows of its bot up to and including `until` (epoch milliseconds) folded in."""

    until: int
    state: str


EVENT_TABLES = (equity, fills, orders, performance_metrics, positions, reported_trades, funding, flows)
"""Tables with the events of bots, besides market prices."""
_KINDS_FOLDED = frozenset(kind for kind, table in TABLES.items() if table in (*EVENT_TABLES, samples))


def _count_up_to(table: Table) -> ScalarSelect[int]:
    """Return the number of a bot's rows in `table`, `most` if there are more."""
    some = select(table.c.id).where(table.c.bot == bindparam("of"))
    some = some.limit(bindparam("most", type_=Integer))
    return select(func.count()).select_from(some.subquery()).scalar_subquery()


_STORED = select(reduce(add, map(_count_up_to, (*EVENT_TABLES, samples))))


def has_only(connection: Connection, bot: str, records: Sequence[Record]) -> bool:
    """Return whether `records`, all of a bot, are all that is stored of what its metrics are made from."""
    known = sum(type(record) in _KINDS_FOLDED for record in records)
    found: int = connection.execute(_STORED, {"of": bot, "most": known + 1}).scalar_one()
    return found <= known and checkpoint_before(connection, bot) is None


def bots_with_events(connection: Connection) -> list[str]:
    """Return the bots that have rows from which metrics are computed."""
    return sorted({bot for table in EVENT_TABLES for bot in subjects(connection, table)})


def last_event_ms(connection: Connection, bot: str) -> int:
    """Return the time of the bot's newest event, epoch milliseconds; 0 without events."""
    found = (
        connection.execute(select(func.max(table.c.timestamp)).where(table.c.bot == bot)).scalar()
        for table in EVENT_TABLES
    )
    return max((_ms(moment) for moment in found if moment), default=0)


def trading_events_after(connection: Connection, bot: str, after: int, most: int) -> EventBatch:
    """Return the bot's events after `after` (epoch milliseconds) in the order of folding.

    At most `most` rows of each kind; events of the same millisecond are never split across batches.
    """
    wanted = {"bot": bot, "after": _text(after), "most": most}
    found: list[list[TradingEvent]] = []
    bound: int | None = None
    for query, make in _KINDS:
        rows = connection.execute(query, wanted).all()
        made = [event for row in rows if is_plausible(event := make(_ms(row.timestamp), row))]
        found.append(sorted(made, key=event_order))
        if len(rows) == most:
            last = _ms(rows[-1].timestamp)
            if last == _ms(rows[0].timestamp):
                return trading_events_after(connection, bot, after, 4 * most)
            bound = last if bound is None else min(bound, last)
    events = list(merge(*found, key=event_order))
    if bound is None:
        return EventBatch(events, is_last=True)
    return EventBatch([event for event in events if event.at < bound], is_last=False)


def _text(milliseconds: int) -> str:
    return to_store(from_epoch_ms(milliseconds))


def _ms(moment: str) -> int:
    return epoch_ms(from_store(moment))


def _query(
    table: Table, *columns: ColumnElement[Any], where: ColumnElement[bool] | None = None
) -> Select[Any]:
    query = (
        select(table.c.timestamp, *columns)
        .where(table.c.bot == bindparam("bot"), table.c.timestamp > bindparam("after"))
        .order_by(table.c.timestamp, table.c.id)
        .limit(bindparam("most"))
    )
    return query if where is None else query.where(where)


def _quote(at: int, row: Row[Any]) -> TradingEvent:
    return Quote(at, row.name, row.value)


def _order_step(at: int, row: Row[Any]) -> TradingEvent:
    return OrderUpdate(
        at, row.orderId, row.symbol, row.side, row.quantity, row.status, row.decisionPrice, row.sequence or 0
    )


def _execution(at: int, row: Row[Any]) -> TradingEvent:
    return Execution(
        at, row.orderId, row.symbol, row.side, row.quantity, row.price, row.fee or 0.0, row.feeCurrency,
        _leg(row), _terms(row), is_maker(row.liquidity), row.sequence or 0,
    )  # fmt: skip


def _position_report(at: int, row: Row[Any]) -> TradingEvent:
    side = row.side or row.positionSide
    quantity = row.quantity if side is None else abs(row.quantity) * (1 if side == "long" else -1)
    return PositionReport(
        at, row.symbol, quantity, row.entryPrice, row.markPrice, row.liquidationPrice, row.margin,
        _optional_ms(row.openedAt), _leg(row), _terms(row), row.sequence or 0,
    )  # fmt: skip


def _trade_report(at: int, row: Row[Any]) -> TradingEvent:
    return TradeReport(
        at, row.symbol, row.side, row.quantity, row.entryPrice, row.exitPrice, row.pnl,
        _optional_ms(row.openedAt), row.fees or 0.0, row.funding or 0.0, _leg(row), row.sequence or 0,
    )  # fmt: skip


def _funding_paid(at: int, row: Row[Any]) -> TradingEvent:
    return FundingPaid(at, row.amount, row.symbol, _leg(row), row.currency, row.sequence or 0)


def _flow(at: int, row: Row[Any]) -> TradingEvent:
    return Flow(at, row.amount, row.currency, row.sequence or 0)


def _leg(row: Row[Any]) -> str:
    return row.positionId or row.positionSide or ""


def _optional_ms(text: str | None) -> int | None:
    return None if text is None else _ms(text)


def _terms(row: Row[Any]) -> ContractTerms:
    terms = ContractTerms(row.contractType, row.multiplier, row.lotSize, row.baseCurrency, row.quoteCurrency)
    return NO_TERMS if terms == NO_TERMS else terms


def _equity_point(at: int, row: Row[Any]) -> TradingEvent:
    values: Sequence[Any] = row  # by place, as these rows are many
    return EquityPoint(at, values[1], *values[2:])


def _report(at: int, row: Row[Any]) -> TradingEvent:
    return ReportedMetrics(at, row.portfolio_value, row)


def _every_column(table: Table) -> Select[Any]:
    return _query(table, *(column for column in table.c if column.name not in ("id", "timestamp", "labels")))


_KINDS: tuple[tuple[Select[Any], Callable[[int, Row[Any]], TradingEvent]], ...] = (
    (_query(samples, samples.c.name, samples.c.value, where=samples.c.unit == "price"), _quote),
    (
        _query(
            orders, orders.c.orderId, orders.c.symbol, orders.c.side, orders.c.quantity,
            orders.c.status, orders.c.decisionPrice, orders.c.sequence,
        ),
        _order_step,
    ),
    (_every_column(fills), _execution),
    (_every_column(positions), _position_report),
    (_every_column(reported_trades), _trade_report),
    (_every_column(funding), _funding_paid),
    (_every_column(flows), _flow),
    (
        _query(
            equity, equity.c.equity, func.coalesce(equity.c.netFlow, 0.0), equity.c.unrealizedPnL,
            equity.c.currency, equity.c.marginUsed, equity.c.maintenanceMargin,
            func.coalesce(equity.c.sequence, 0),
        ),
        _equity_point,
    ),
    (
        _query(
            performance_metrics,
            *(performance_metrics.c[f.wire].label(f.attribute) for f in metric_fields(Performance)),
            where=performance_metrics.c.source == "reported",
        ),
        _report,
    ),
)  # fmt: skip


_MINUTES_WITHOUT_METRICS = text("""
    SELECT minute FROM (
        SELECT timestamp AS minute FROM equity_minutes
        WHERE bot = :bot AND timestamp >= :since AND timestamp < :until
        UNION
        SELECT substr("closedAt", 1, 17) || '00.000' FROM trades
        WHERE bot = :bot AND "closedAt" >= :since AND "closedAt" < :until
    ) WHERE NOT EXISTS (
        SELECT 1 FROM performance_metrics AS found
        WHERE found.source = 'computed' AND found.bot = :bot
        AND found.timestamp >= minute AND found.timestamp < substr(minute, 1, 17) || '6'
    ) ORDER BY minute
""")


def minutes_without_metrics(connection: Connection, bot: str, since: datetime, until: datetime) -> list[int]:
    """Return the whole minutes with equity or closed trades, but no computed metrics, epoch milliseconds."""
    begin, end = (to_store(moment.replace(second=0, microsecond=0)) for moment in (since, until))
    wanted = {"bot": bot, "since": begin, "until": end}
    return [_ms(minute) for minute in connection.execute(_MINUTES_WITHOUT_METRICS, wanted).scalars()]


def newest_checkpoints(connection: Connection) -> dict[str, int]:
    """Return the end of each bot's newest checkpoint, epoch milliseconds."""
    query = select(checkpoints.c.bot, func.max(checkpoints.c.until)).group_by(checkpoints.c.bot)
    return {bot: _ms(until) for bot, until in connection.execute(query)}


def checkpoint_before(connection: Connection, bot: str, moment: int | None = None) -> StoredCheckpoint | None:
    """Return the bot's newest checkpoint, or its newest that ends before `moment` (epoch milliseconds)."""
    if moment is None:
        row = connection.execute(_NEWEST_CHECKPOINT, {"of": bot}).first()
    else:
        row = connection.execute(_CHECKPOINT_BEFORE, {"of": bot, "before": _text(moment)}).first()
    return StoredCheckpoint(_ms(row.until), row.state) if row else None


def delete_checkpoints_from(connection: Connection, bot: str, since: int) -> None:
    """Delete the bot's checkpoints that end at `since` (epoch milliseconds) or later."""
    connection.execute(
        delete(checkpoints).where(checkpoints.c.bot == bot, checkpoints.c.until >= _text(since))
    )


def save_checkpoint(connection: Connection, bot: str, checkpoint: StoredCheckpoint) -> None:
    """Add a checkpoint and thin out older ones: late events are seldom very late."""
    statement = insert(checkpoints).values(bot=bot, until=_text(checkpoint.until), state=checkpoint.state)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["bot", "until"], set_={"state": statement.excluded.state}
        )
    )
    query = select(checkpoints.c.until).where(checkpoints.c.bot == bot)
    known = list(connection.execute(query.order_by(desc(checkpoints.c.until))).scalars())
    gone = set(known) - _checkpoints_to_keep(known)
    if gone:
        connection.execute(delete(checkpoints).where(checkpoints.c.bot == bot, checkpoints.c.until.in_(gone)))


def _checkpoints_to_keep(untils: list[str]) -> set[str]:
    """Return the ends to keep; `untils` are the ends of checkpoints, newest first."""
    days: dict[date, str] = {}
    months: dict[tuple[int, int], str] = {}
    for until in untils:
        day = from_store(until).date()
        days.setdefault(day, until)
        months.setdefault((day.year, day.month), until)
    return {*untils[:LATEST_CHECKPOINTS], *list(days.values())[:DAILY_CHECKPOINTS], *months.values()}


def delete_trades_after(connection: Connection, bot: str, after: int) -> None:
    """Delete the bot's trades with numbers above `after`: they are computed again."""
    connection.execute(_DELETE_TRADES, {"of": bot, "after": after})


def write_trades(connection: Connection, bot: str, closed: Iterable[Trade]) -> None:
    """Insert or replace closed trades by number."""
    _upsert(connection, trades, ("bot", "number"), [_trade_row(bot, trade) for trade in closed])


def _trade_row(bot: str, trade: Trade) -> dict[str, Any]:
    is_side = trade.leg in get_args(PositionSide)
    return {
        "bot": bot,
        "number": trade.number,
        "symbol": trade.symbol,
        "side": trade.side,
        "quantity": trade.quantity,
        "openedAt": _text(trade.opened_at),
        "closedAt": _text(trade.closed_at),
        "entryPrice": trade.entry_price,
        "exitPrice": trade.exit_price,
        "fees": trade.fees,
        "pnl": trade.pnl,
        "funding": trade.funding,
        "positionSide": trade.leg if is_side else None,
        "positionId": None if is_side else trade.leg or None,
        "multiplier": trade.multiplier,
        "contractType": trade.contract_type,
        "matching": trade.matching,
        "maxAdverse": trade.max_adverse,
        "maxFavorable": trade.max_favorable,
        "undefined": trade.undefined,
    }


def write_curve(
    connection: Connection, bot: str, minutes: Iterable[EquityBar], hours: Iterable[EquityBar]
) -> None:
    """Insert or replace minutes and hours of the equity curve."""
    for table, bars in ((equity_minutes, minutes), (equity_hours, hours)):
        rows = [
            {
                "bot": bot,
                "timestamp": _text(bar.begin),
                "open": bar.open,
                "high": bar.high,
                "low": bar.low,
                "close": bar.close,
                "netFlow": bar.net_flow,
                "drawdown": bar.drawdown,
                "lastDrawdown": bar.last_drawdown,
                "peak": bar.peak,
                "points": bar.points,
            }
            for bar in bars
        ]
        _upsert(connection, table, ("bot", "timestamp"), rows)


def _upsert(
    connection: Connection, table: Table, key: tuple[str, ...], rows: Sequence[Mapping[str, Any]]
) -> None:
    if rows:
        connection.execute(_upserting(table, key), rows)


@cache
def _upserting(table: Table, key: tuple[str, ...]) -> Insert:
    """Return the statement, cached: building it takes longer than running it."""
    statement = insert(table)
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
    return statement.on_conflict_do_update(index_elements=key, set_=changed)

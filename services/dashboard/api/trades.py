"""The API's closed trades: as bots report them, or made from their fills."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from flask import Blueprint, Response, request
from sqlalchemy import Connection

from services.dashboard import snapshot
from services.dashboard.api.history import bot_not_found
from services.dashboard.api.parameters import MAX_LIMIT, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from services.dashboard.trade_pairs import SAME_CLOSE, pair_trades
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.schema.accounts import account_currency
from shared.schema.records import AnyRecord, Performance, Undefined
from shared.schema.timestamps import EARLIEST, from_store
from shared.schema.undefined_reasons import describe_undefined
from shared.schema.units import MAX_INTEGER
from shared.store.account_sums import AccountSum, sum_accounts
from shared.store.closed_trades import (
    TRADE_SOURCES,
    TradeSource,
    TradeTotal,
    bots_with_reported_trades,
    closed_trades,
    trade_totals,
)

_SHOWN = (
    "bot", "number", "symbol", "side", "quantity", "entryPrice", "exitPrice", "fees", "funding", "pnl",
    "positionSide", "positionId", "multiplier", "contractType",
)  # fmt: skip
_OF_FILLS = ("matching", "maxAdverse", "maxFavorable")


Money = Callable[[Mapping[str, TradeTotal]], AccountSum]
"""Returns the sum of the P&L of several bots."""


class FoundTrades(NamedTuple):
    """Trades and their totals by source and bot."""

    trades: list[Fields]
    totals: dict[TradeSource, dict[str, TradeTotal]]
    reporting: frozenset[str]
    """Bots that report trades."""

    def chosen(self, source: TradeSource | None) -> dict[str, TradeTotal]:
        """Return the totals of the trades that are shown."""
        if source:
            return self.totals[source]
        own = {bot: total for bot, total in self.totals["fills"].items() if bot not in self.reporting}
        return own | self.totals["reported"]


class TradesQuery(NamedTuple):
    """Which closed trades are wanted; None lets any pass."""

    bot: str | None
    since: datetime | None
    until: datetime
    before: int | None
    limit: int
    source: TradeSource | None = None
    """None: reported trades of bots that report any, else those made from fills."""


def add_trades(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/trades")
    def trades() -> Response:
        now = clock()
        query = trades_query(request.args, now)
        with sources.performance.read() as connection:
            found = find_trades(connection, query)
        bot = query.bot
        if (
            bot is not None
            and not any(found.totals.values())
            and (refusal := bot_not_found(sources, bot, now))
        ):
            return refusal
        known = snapshot.group_by_bot(sources.read_current(now).records)
        currencies = _currencies(sources, known)
        for trade in found.trades:
            trade["currency"] = currencies(str(trade["bot"]))

        def money(totals: Mapping[str, TradeTotal]) -> AccountSum:
            values = [(currencies(bot), total.pnl) for bot, total in totals.items()]
            return sum_accounts(values, sources.reporting_currency, sources.newest_rate_at(now))

        return json_response(
            {
                "bot": bot,
                "from": query.since,
                "to": query.until,
                "source": _source_shown(query, found),
                **_totals(found.chosen(query.source), money),
                "sources": {source: _totals(found.totals[source], money) for source in TRADE_SOURCES},
                **_notes(known.get(bot, []) if bot else []),
                "trades": found.trades,
            }
        )


def trades_query(arguments: Mapping[str, str], now: datetime) -> TradesQuery:
    """Read which closed trades are wanted."""
    read = QueryParameters(arguments, ("bot", "from", "to", "limit", "before", "source"))
    bot, before = read.text("bot"), read.number("before", MAX_INTEGER)
    if before is not None and bot is None:
        read.add_error("before", "requires `bot`: trades are numbered per bot")
    query = TradesQuery(
        bot,
        read.timestamp("from"),
        read.timestamp("to") or now,
        before,
        read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT,
        read.one_of("source", TRADE_SOURCES),
    )
    read.check()
    return query


def find_trades(connection: Connection, query: TradesQuery) -> FoundTrades:
    """Read the trades: by default of each bot what it reports, and from fills where it reports none."""
    reporting = frozenset(bots_with_reported_trades(connection))
    span = (query.since or EARLIEST, query.until)
    wanted: dict[TradeSource, frozenset[str]] = {}
    if query.source:
        wanted[query.source] = frozenset()
    elif query.bot is None:
        wanted = {"reported": frozenset(), "fills": reporting}
    else:
        wanted["reported" if query.bot in reporting else "fills"] = frozenset()
    found = [
        _trade(row, source)
        for source, without in wanted.items()
        for row in closed_trades(
            connection, source, query.bot, span, before=query.before, limit=query.limit, without=without
        )
    ]
    if len(wanted) > 1:
        found.sort(key=_closed_at, reverse=True)
    if query.bot is not None and found and "reported" in wanted:
        times = [_closed_at(trade) for trade in found]
        near = (min(times) - SAME_CLOSE, max(times) + SAME_CLOSE)
        rows = closed_trades(connection, "fills", query.bot, near, before=None, limit=MAX_LIMIT)
        pair_trades(found, [_trade(row, "fills") for row in rows])
    totals = {source: trade_totals(connection, source, query.bot, span) for source in TRADE_SOURCES}
    return FoundTrades(found[: query.limit], totals, reporting)


def _closed_at(trade: Fields) -> datetime:
    found = trade["closedAt"]
    assert isinstance(found, datetime)  # noqa: S101 - for mypy
    return found


def _trade(row: Mapping[str, Any], source: TradeSource) -> Fields:
    closed = from_store(row["closed"])
    opened = from_store(row["openedAt"]) if row["openedAt"] else None
    is_reported = source == "reported"
    matching = {name: None if is_reported else row[name] for name in _OF_FILLS}
    return {
        **{name: row[name] for name in _SHOWN},
        "multiplier": row["multiplier"] or 1.0,
        "openedAt": opened,
        "closedAt": closed,
        "durationSeconds": (closed - opened).total_seconds() if opened else None,
        "source": source,
        **matching,
        **({"matching": "reported"} if is_reported else {}),
        "reason": row["reason"] if is_reported else None,
        "undefined": None if is_reported else undefined_fields(row["undefined"]),
    }


def undefined_fields(reason: str | None) -> Fields | None:
    """Return a stored reason with its sentence; None without one."""
    return reason and {"reason": reason, "text": describe_undefined(Undefined(reason=reason))}  # type: ignore[return-value]


def _currencies(sources: DataSources, known: Mapping[str, list[AnyRecord]]) -> Callable[[str], str | None]:
    return lambda bot: account_currency(known.get(bot, [])) or sources.configured_currency(bot)


def _source_shown(query: TradesQuery, found: FoundTrades) -> str:
    """Return where the trades that are shown come from: a source, or `mixed`."""
    if query.source:
        return query.source
    if query.bot is not None:
        return "reported" if query.bot in found.reporting else "fills"
    shown = {trade["source"] for trade in found.trades}
    return "mixed" if len(shown) > 1 else str(next(iter(shown), "fills"))


def _totals(
    totals: Mapping[str, TradeTotal], money: Callable[[Mapping[str, TradeTotal]], AccountSum]
) -> Fields:
    profit = money(totals)
    return {
        "count": sum(total.number for total in totals.values()),
        "undefined": sum(total.undefined for total in totals.values()),
        "pnl": profit.total if totals else 0.0,
        "pnls": profit.by_currency,
        "currency": profit.currency,
        "pnlReason": profit.reason,
    }


def _notes(records: Iterable[AnyRecord]) -> Fields:
    """Return how a bot's fills become trades, and how many reported trades they do not confirm."""
    computed = next((r for r in records if isinstance(r, Performance) and r.source == "computed"), None)
    return {
        "matching": computed and computed.trade_matching,
        "tradeDifferences": computed and computed.trade_differences,
    }

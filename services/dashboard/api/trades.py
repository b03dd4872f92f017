"""The API's closed trades: as bots report them, or made from their fills."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Blueprint, Response, request
from sqlalchemy import Connection

from services.dashboard import snapshot
from services.dashboard.api.account_answers import Trades
from services.dashboard.api.history import bot_not_found
from services.dashboard.api.parameters import MAX_LIMIT
from services.dashboard.api.trades_query import CSV_PAGE, TRADE_PARAMETERS, TradesQuery, trades_query
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from services.dashboard.trade_pairs import SAME_CLOSE, pair_trades
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import describe
from shared.runtime.web.pagination import encode_cursor, link_next
from shared.schema.accounts import account_currency
from shared.schema.records import AnyRecord, Performance, Undefined
from shared.schema.timestamps import EARLIEST, from_store
from shared.schema.undefined_reasons import describe_undefined
from shared.store.account_sums import AccountSum, sum_accounts
from shared.store.closed_trades import (
    TRADE_SOURCES,
    TradeFilter,
    TradePage,
    TradeSource,
    TradeTotal,
    bots_with_reported_trades,
    closed_trades,
    trade_totals,
    traded_symbols,
)

_SHOWN = (
    "bot", "number", "symbol", "side", "quantity", "entryPrice", "exitPrice", "fees", "funding", "pnl",
    "positionSide", "positionId", "multiplier", "contractType",
)  # fmt: skip
_OF_FILLS = ("matching", "maxAdverse", "maxFavorable")
_CSV_COLUMNS = (
    *_SHOWN[:1], "source", *_SHOWN[1:], "currency", "openedAt", "closedAt", "durationSeconds", *_OF_FILLS,
    "reason", "undefined",
)  # fmt: skip
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


def add_trades(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/trades")
    @describe(
        "List closed trades",
        tag="Performance",
        answers=Trades,
        query=TRADE_PARAMETERS,
        errors=(HTTPStatus.NOT_FOUND,),
        csv=True,
        description="The totals are of all trades that match. As CSV without `limit`: all that match.",
    )
    def trades() -> Response:
        now = clock()
        query = trades_query(request.args, now)
        bot = query.bot
        with sources.performance.read() as connection:
            found = find_trades(connection, query)
            symbols = traded_symbols(connection, bot) if bot is not None else None
        if (
            bot is not None
            and not any(found.totals.values())
            and (refusal := bot_not_found(sources, bot, now))
        ):
            return refusal
        known = snapshot.group_by_bot(sources.read_current(now).records)
        currency = _currencies(sources, known)
        if query.is_csv:
            return csv_response(_all_pages(sources, query, currency), _CSV_COLUMNS, f"trades-{bot or 'all'}")
        for trade in found.trades:
            trade["currency"] = currency(str(trade["bot"]))

        def money(totals: Mapping[str, TradeTotal]) -> AccountSum:
            values = [(currency(bot), total.pnl) for bot, total in totals.items()]
            return sum_accounts(values, sources.reporting_currency, sources.newest_rate_at(now))

        since, until = query.wanted.span
        totals = _totals(found.chosen(query.source), money)
        return link_next(
            json_response(
                {
                    "bot": bot,
                    "from": None if since == EARLIEST else since,
                    "to": until,
                    "source": _source_shown(query, found),
                    **totals,
                    "sources": {source: _totals(found.totals[source], money) for source in TRADE_SOURCES},
                    **_notes(known.get(bot, []) if bot else []),
                    "symbols": symbols,
                    "trades": found.trades,
                }
            ),
            _next_cursor(query, found),
        )


def _next_cursor(query: TradesQuery, found: FoundTrades) -> str | None:
    """Return the cursor of the next page: how many trades are before it."""
    end = query.page.skip + len(found.trades)
    number = sum(total.number for total in found.chosen(query.source).values())
    # `before` leaves out trades that are among those counted: such a page has no next one.
    return encode_cursor(end) if query.page.before is None and end < number else None


def _all_pages(
    sources: DataSources, query: TradesQuery, currency: Callable[[str], str | None]
) -> Iterator[Fields]:
    """Yield the trades of the wanted page, or of all pages if there is no limit."""
    page, left = query.page, query.csv_limit
    while left > 0:
        page = page._replace(limit=min(CSV_PAGE, left))
        with sources.performance.read() as connection:
            found = _page(
                connection, query._replace(page=page), frozenset(bots_with_reported_trades(connection))
            )
        for trade in found:
            yield trade | {"currency": currency(str(trade["bot"]))}
        if len(found) < page.limit:
            return
        page, left = page._replace(skip=page.skip + len(found)), left - len(found)


def find_trades(connection: Connection, query: TradesQuery) -> FoundTrades:
    """Read a page of the trades: by default those that a bot reports, or from fills if it reports none."""
    reporting = frozenset(bots_with_reported_trades(connection))
    found = _page(connection, query, reporting)
    if query.bot is not None and found and found[0]["source"] == "reported":
        times = [_closed_at(trade) for trade in found]
        near = TradeFilter((min(times) - SAME_CLOSE, max(times) + SAME_CLOSE), query.bot)
        rows = closed_trades(connection, "fills", near, TradePage(MAX_LIMIT))
        pair_trades(found, [_trade(row, "fills") for row in rows])
    totals = {source: trade_totals(connection, source, query.wanted) for source in TRADE_SOURCES}
    return FoundTrades(found, totals, reporting)


def _page(connection: Connection, query: TradesQuery, reporting: frozenset[str]) -> list[Fields]:
    wanted: dict[TradeSource, frozenset[str]] = {}
    if query.source:
        wanted[query.source] = frozenset()
    elif query.bot is None:
        wanted = {"reported": frozenset(), "fills": reporting}
    else:
        wanted["reported" if query.bot in reporting else "fills"] = frozenset()
    page = query.page
    if len(wanted) == 1:
        ((source, without),) = wanted.items()
        rows = closed_trades(connection, source, query.wanted, page, without)
        return [_trade(row, source) for row in rows]
    # The page is cut out of both sources together.
    beginning = page._replace(limit=page.skip + page.limit, skip=0)
    found = [
        _trade(row, source)
        for source, without in wanted.items()
        for row in closed_trades(connection, source, query.wanted, beginning, without)
    ]
    found.sort(key=_closed_at, reverse=True)
    found.sort(key=lambda trade: _sort_key(trade[page.order]), reverse=page.is_descending)
    found.sort(key=lambda trade: trade[page.order] is None)
    return found[page.skip : page.skip + page.limit]


def _sort_key(value: object) -> Any:  # noqa: ANN401 - of one column
    return 0 if value is None else value


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

"""The API's open positions: each one, and the exposure of all that match."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from flask import Blueprint, Response, request
from sqlalchemy import RowMapping

from services.dashboard import snapshot
from services.dashboard.api.account_answers import Positions
from services.dashboard.api.history import bot_not_found
from services.dashboard.api.parameters import MAX_LIMIT, Limit, Name, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from services.dashboard.api.trades import undefined_fields
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.accounts import account_currency
from shared.schema.decoding import UNREADABLE
from shared.schema.timestamps import from_store
from shared.store.account_sums import UNKNOWN, NewestRate, sum_accounts
from shared.store.open_positions import (
    PositionFilter,
    PositionKey,
    PositionSum,
    list_positions,
    position_sums,
)

MAX_SYMBOLS = 100
"""How many symbols an exposure lists, the largest first."""


class PositionsQuery(NamedTuple):
    """Which page of the open positions is wanted."""

    wanted: PositionFilter
    after: PositionKey | None
    limit: int


def add_positions(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/positions")
    @describe(
        "List open positions",
        tag="Performance",
        answers=Positions,
        query=(
            Parameter("bot", Name, "By default all bots."),
            Parameter("symbol", Name, "Of this symbol."),
            Parameter("limit", Limit, "How many; 100 by default."),
            Parameter("after", str, "`page.next` of the page before, as JSON."),
        ),
        errors=(HTTPStatus.NOT_FOUND,),
        description="The exposure is of all positions that match. `page.next` leads to the next page.",
    )
    def positions() -> Response:
        now = clock()
        wanted, after, limit = positions_query(request.args)
        with sources.performance.read() as connection:
            rows = list_positions(connection, wanted, after, limit + 1)
            sums = position_sums(connection, wanted)
        if wanted.bot is not None and not sums and (refusal := bot_not_found(sources, wanted.bot, now)):
            return refusal
        known = snapshot.group_by_bot(sources.read_current(now).records)

        def currency(bot: str) -> str | None:
            return account_currency(known.get(bot, [])) or sources.configured_currency(bot)

        shown = rows[:limit]
        last = shown[-1] if len(rows) > limit else None
        newest = sources.newest_rate_at(now)
        return json_response(
            {
                "bot": wanted.bot,
                "symbol": wanted.symbol,
                "count": sum(one.number for one in sums),
                "positions": [_position(row, currency(row["bot"]), now) for row in shown],
                "exposure": exposures(sums, currency),
                "total": total_exposure(sums, currency, sources.reporting_currency, newest),
                "page": {"limit": limit, "next": last and [last["bot"], last["symbol"], last["leg"]]},
            }
        )


def positions_query(arguments: Mapping[str, str]) -> PositionsQuery:
    """Read which open positions are wanted; `after` is `page.next` of the page before, as JSON."""
    read = QueryParameters(arguments, ("bot", "symbol", "limit", "after"))
    after, text = None, read.text("after")
    if text:
        try:
            after = msgspec.json.decode(text, type=tuple[str, str, str])
        except UNREADABLE:
            read.add_error("after", f"expected `page.next` of the page before, as JSON; got {text!r}")
    wanted = PositionFilter(read.text("bot"), read.text("symbol"))
    query = PositionsQuery(wanted, after, read.number("limit", MAX_LIMIT) or DEFAULT_LIMIT)
    read.check()
    return query


def _position(row: RowMapping, currency: str | None, now: datetime) -> Fields:
    times = {
        name: from_store(row[name]) if row[name] else None
        for name in ("openedAt", "markAt", "reportedAt", "updatedAt")
    }
    opened = times["openedAt"]
    return {
        **row,
        **times,
        "leg": row["leg"] or None,
        "currency": currency,
        "ageSeconds": max(0.0, (now - opened).total_seconds()) if opened else None,
        "liquidationDistance": _liquidation_distance(row["markPrice"], row["liquidationPrice"]),
        "differsFromBroker": row["foldedQuantity"] is not None,
        "undefined": undefined_fields(row["undefined"]),
    }


def _liquidation_distance(mark: float | None, liquidation: float | None) -> float | None:
    """Return how far the mark price is from that of liquidation, in percent of the mark price."""
    return abs(mark - liquidation) / mark * 100 if mark and liquidation else None


class _Exposure(NamedTuple):
    long: float = 0.0
    short: float = 0.0

    def plus(self, side: str, notional: float) -> "_Exposure":
        amount = abs(notional)
        return self._replace(**{side: getattr(self, side) + amount})

    @property
    def gross(self) -> float:
        return self.long + self.short

    def fields(self) -> Fields:
        return {"long": self.long, "short": self.short, "gross": self.gross, "net": self.long - self.short}


def exposures(sums: Iterable[PositionSum], currency: Callable[[str], str | None]) -> Fields:
    """Return the exposure by account currency: by side, by symbol and by the currency of the quotes."""
    by_currency: dict[str, list[PositionSum]] = {}
    for one in sums:
        by_currency.setdefault(currency(one.bot) or UNKNOWN, []).append(one)
    return {name: _exposure(own) for name, own in sorted(by_currency.items())}


def _exposure(sums: Iterable[PositionSum]) -> Fields:
    whole = _Exposure()
    symbols: dict[str, _Exposure] = {}
    quotes: dict[str, _Exposure] = {}
    undefined, pnl = 0, 0.0
    for one in sums:
        undefined += one.undefined
        pnl += one.unrealized_pnl or 0.0
        notional = one.notional or 0.0
        whole = whole.plus(one.side, notional)
        for table, key in ((symbols, one.symbol), (quotes, one.quote_currency or UNKNOWN)):
            table[key] = table.get(key, _Exposure()).plus(one.side, notional)
    largest = sorted(symbols.items(), key=lambda item: (-item[1].gross, item[0]))
    return {
        **whole.fields(),
        "unrealizedPnL": pnl,
        "concentration": largest[0][1].gross / whole.gross * 100 if whole.gross else None,
        "largestSymbol": largest[0][0] if whole.gross else None,
        "undefined": undefined,
        "symbols": {name: found.fields() for name, found in largest[:MAX_SYMBOLS]},
        "moreSymbols": max(0, len(largest) - MAX_SYMBOLS),
        "quoteCurrencies": {name: found.fields() for name, found in sorted(quotes.items())},
    }


def total_exposure(
    sums: Iterable[PositionSum],
    currency: Callable[[str], str | None],
    reporting: str | None,
    newest: NewestRate,
) -> Fields:
    """Return gross and net exposure and unrealised P&L of all accounts in one currency, null without it."""
    known = [(currency(one.bot), one.notional, one.unrealized_pnl, one.side) for one in sums]
    gross = sum_accounts(
        ((name, None if notional is None else abs(notional)) for name, notional, _, _ in known),
        reporting,
        newest,
    )
    net = sum_accounts(
        (
            (name, None if notional is None else abs(notional) * (1 if side == "long" else -1))
            for name, notional, _, side in known
        ),
        reporting,
        newest,
    )
    pnl = sum_accounts(((name, value) for name, _, value, _ in known), reporting, newest)
    return {
        "currency": gross.currency,
        "gross": gross.total,
        "net": net.total,
        "unrealizedPnL": pnl.total,
        "reason": gross.reason,
        "rates": gross.rate_fields(),
    }

"""Which closed trades a request is for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, cast, get_args

from msgspec import Meta

from services.dashboard.api.parameters import MAX_LIMIT, Limit, Moment, Name, QueryParameters
from services.dashboard.api.queries import DEFAULT_LIMIT
from shared.runtime.web.openapi import FORMAT, Parameter
from shared.schema.records import PositionSide
from shared.schema.timestamps import EARLIEST
from shared.schema.units import MAX_INTEGER
from shared.store.closed_trades import (
    TRADE_SOURCES,
    TradeFilter,
    TradeOrder,
    TradePage,
    TradeResult,
    TradeSource,
)

ORDERS = tuple(sign + name for name in get_args(TradeOrder) for sign in ("-", ""))
MAX_CSV = 1_000_000
"""Rows of a CSV file."""
CSV_PAGE = 1000
Skip = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]

TRADE_PARAMETERS = (
    Parameter("bot", Name, "By default all bots."),
    Parameter("from", Moment, "Closed from then on; by default all."),
    Parameter("to", Moment, "Closed until then; now by default."),
    Parameter("symbol", Name, "Of this symbol."),
    Parameter("side", PositionSide, "Long or short."),
    Parameter("result", TradeResult, "By P&L: above, below or exactly 0."),
    Parameter("source", TradeSource, "By default what a bot reports, and from fills where it reports none."),
    Parameter("sort", Literal[ORDERS], "`-` in front: descending; `-closedAt` by default."),
    Parameter("limit", Limit, "How many; 100 by default."),
    Parameter("before", Annotated[int, Meta(ge=1)], "With `bot`, and newest first: a trade's `number`."),
    Parameter("cursor", str, "Of the header `Link`: the next page."),
)


class TradesQuery(NamedTuple):
    """Which page of the closed trades is wanted."""

    wanted: TradeFilter
    page: TradePage
    source: TradeSource | None = None
    """None: reported trades of bots that report any, else those made from fills."""
    is_csv: bool = False
    csv_limit: int = MAX_CSV

    @property
    def bot(self) -> str | None:
        """The bot; None: all."""
        return self.wanted.bot


def trades_query(arguments: Mapping[str, str], now: datetime) -> TradesQuery:
    """Read which closed trades are wanted."""
    read = QueryParameters(arguments, [parameter.name for parameter in (*TRADE_PARAMETERS, FORMAT)])
    bot, before, order = read.text("bot"), read.number("before", MAX_INTEGER), read.text("sort")
    sort = read.one_of("sort", ORDERS) or "-closedAt"
    if before is not None and bot is None:
        read.add_error("before", "requires `bot`: trades are numbered per bot")
    if before is not None and order not in (None, "-closedAt"):
        read.add_error("before", "requires the newest trade first: leave out `sort`, or use `cursor`")
    wanted = TradeFilter(
        (read.timestamp("from") or EARLIEST, read.timestamp("to") or now),
        bot,
        read.text("symbol"),
        read.one_of("side", get_args(PositionSide)),
        read.one_of("result", get_args(TradeResult)),
    )
    limit = read.number("limit", MAX_LIMIT)
    page = TradePage(
        limit=limit or DEFAULT_LIMIT,
        order=cast("TradeOrder", sort.removeprefix("-")),
        is_descending=sort.startswith("-"),
        skip=read.cursor(Skip) or 0,
        before=before,
    )
    source = read.one_of("source", TRADE_SOURCES)
    query = TradesQuery(wanted, page, source, read.is_csv(), limit or MAX_CSV)
    read.check()
    return query

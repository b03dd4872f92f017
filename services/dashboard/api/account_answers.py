"""The types of the answers on trades and positions: they only describe, as those of `answers`."""

from datetime import datetime
from typing import Literal

from msgspec import field

from services.dashboard.api.answers import Answer, UsedRate
from shared.schema.records import ContractType, PositionSide
from shared.store.closed_trades import TradeSource


class UndefinedAmount(Answer):
    """Why an amount is null."""

    reason: str
    text: str


class FoldedTrade(Answer):
    """The trade made from fills that closed within a minute of a reported one."""

    number: int
    pnl: float | None
    agrees: bool


class ClosedTrade(Answer):
    """A closed trade, as the bot reports it or made from its fills."""

    bot: str
    number: int
    source: TradeSource
    symbol: str
    side: str
    """`buy` and `sell` if made from fills: the side that opened it; `long` and `short` if reported."""
    quantity: float
    opened_at: datetime | None
    closed_at: datetime
    duration_seconds: float | None
    entry_price: float
    exit_price: float
    fees: float | None
    funding: float | None
    pnl: float | None
    currency: str | None
    position_side: PositionSide | None
    position_id: str | None
    multiplier: float
    contract_type: ContractType | None
    matching: str
    max_adverse: float | None
    """The lowest unrealised P&L while it was open."""
    max_favorable: float | None
    reason: str | None
    """Why it was closed."""
    undefined: UndefinedAmount | None
    folded: FoldedTrade | None = None


class TradeTotals(Answer):
    """All trades that match, on any page."""

    count: int
    undefined: int
    """How many have no known P&L."""
    pnl: float | None
    pnls: dict[str, float]
    """Currency → P&L."""
    currency: str | None
    pnl_reason: str | None
    """Why `pnl` is null."""


class Trades(TradeTotals):
    """A page of closed trades, with the totals of all that match."""

    bot: str | None
    from_: datetime | None = field(name="from")
    to: datetime
    source: Literal["reported", "fills", "mixed"]
    sources: dict[TradeSource, TradeTotals]
    matching: str | None
    """How the bot's fills become trades."""
    trade_differences: int | None
    """Trades reported in the last 24 hours that the fills do not confirm."""
    symbols: list[str] | None
    """With a bot: the symbols that it has traded."""
    trades: list[ClosedTrade]


class OpenPosition(Answer):
    """An open position."""

    bot: str
    symbol: str
    leg: str | None
    """Position side or ID."""
    side: PositionSide
    quantity: float
    entry_price: float
    opened_at: datetime | None
    age_seconds: float | None
    mark_price: float | None
    mark_at: datetime | None
    unrealized_pnl: float | None = field(name="unrealizedPnL")
    notional: float | None
    currency: str | None
    """Of notional, P&L, fees, funding and margin."""
    quote_currency: str | None
    contract_type: ContractType | None
    multiplier: float
    fees: float
    funding: float
    margin: float | None
    liquidation_price: float | None
    liquidation_distance: float | None
    """Percent of the mark price."""
    folded_quantity: float | None
    """What the fills gave, signed, where the broker's report differed from them."""
    differs_from_broker: bool
    reported_at: datetime | None
    undefined: UndefinedAmount | None
    updated_at: datetime


class SideExposure(Answer):
    """Notional by side."""

    long: float
    short: float
    gross: float
    net: float


class AccountExposure(SideExposure):
    """The exposure of the accounts in one currency."""

    unrealized_pnl: float = field(name="unrealizedPnL")
    concentration: float | None
    """Percent of the gross notional that is in `largestSymbol`."""
    largest_symbol: str | None
    undefined: int
    """Positions without a known notional, left out."""
    symbols: dict[str, SideExposure]
    """The 100 largest."""
    more_symbols: int
    quote_currencies: dict[str, SideExposure]


class TotalExposure(Answer):
    """The exposure of all accounts in one currency."""

    currency: str | None
    gross: float | None
    net: float | None
    unrealized_pnl: float | None = field(name="unrealizedPnL")
    reason: str | None
    """Why there is none."""
    rates: dict[str, UsedRate]


class PositionsPage(Answer):
    """Which page of the positions this is."""

    limit: int
    next: tuple[str, str, str] | None
    """`after` of the next page, as JSON."""


class Positions(Answer):
    """A page of open positions, with the exposure of all that match."""

    bot: str | None
    symbol: str | None
    count: int
    positions: list[OpenPosition]
    exposure: dict[str, AccountExposure]
    """Account currency → exposure."""
    total: TotalExposure
    page: PositionsPage

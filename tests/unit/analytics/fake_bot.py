"""A fake bot: events with advancing times, folded into its account."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from shared.analytics.account import BotAccount
from shared.analytics.events import (
    EquityPoint,
    Execution,
    Flow,
    FundingPaid,
    OrderUpdate,
    PositionReport,
    Quote,
    TradingEvent,
)
from shared.analytics.rates import QuotedRates
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.value import MetricValue
from shared.schema.records import OrderStatus, Side, Undefined
from shared.schema.timestamps import epoch_ms

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BTC = "BTC/USDT"


class FakeBot:
    """An account in the making; every event is a second after the one before."""

    def __init__(self, begin: datetime = NOON, **settings: Any) -> None:
        self.rates = QuotedRates()
        self.account = BotAccount(AnalyticsSettings(**settings), rates=self.rates)
        self.at = epoch_ms(begin)

    def advance(self, **span: float) -> Self:
        """Let time pass."""
        self.at += timedelta(**span) // timedelta(milliseconds=1)
        return self

    def send(self, event: TradingEvent) -> Self:
        """Fold an event, and let a second pass."""
        if isinstance(event, Quote | Execution):
            self.rates.add(event)
        self.account.apply(event)
        return self.advance(seconds=1)

    def quote(self, price: float, symbol: str = BTC) -> Self:
        """Tell a market price."""
        return self.send(Quote(self.at, symbol, price))

    def buy(self, quantity: float, price: float, **more: Any) -> Self:
        """Tell a bought execution."""
        return self._fill("buy", quantity, price, **more)

    def sell(self, quantity: float, price: float, **more: Any) -> Self:
        """Tell a sold execution."""
        return self._fill("sell", quantity, price, **more)

    def _fill(
        self,
        side: Side,
        quantity: float,
        price: float,
        fee: float = 0.0,
        of: str | None = None,
        symbol: str = BTC,
        order: str = "1",
        **more: Any,
    ) -> Self:
        return self.send(Execution(self.at, order, symbol, side, quantity, price, fee, of, **more))

    def position(self, quantity: float, entry: float | None = None, symbol: str = BTC, **more: Any) -> Self:
        """Tell a position as the broker has it."""
        return self.send(PositionReport(self.at, symbol, quantity, entry, **more))

    def funding(
        self, amount: float, symbol: str | None = BTC, leg: str = "", currency: str | None = None
    ) -> Self:
        """Tell a payment; a negative amount is paid."""
        return self.send(FundingPaid(self.at, amount, symbol, leg, currency))

    def order(
        self,
        status: OrderStatus,
        order: str = "1",
        *,
        side: Side = "buy",
        quantity: float = 1.0,
        decided: float | None = None,
    ) -> Self:
        """Tell a step in an order's life."""
        return self.send(OrderUpdate(self.at, order, BTC, side, quantity, status, decided))

    def equity(self, equity: float, flow: float = 0.0, unrealized: float | None = None) -> Self:
        """Tell the account's worth."""
        return self.send(EquityPoint(self.at, equity, flow, unrealized))

    def flow(self, amount: float, currency: str | None = None) -> Self:
        """Tell a deposit, or a withdrawal where `amount` is negative."""
        return self.send(Flow(self.at, amount, currency))

    def days(self, *worth: float | tuple[float, float]) -> Self:
        """Tell one equity a day, or an equity and what was paid in before it."""
        for one in worth:
            equity, flow = one if isinstance(one, tuple) else (one, 0.0)
            self.equity(equity, flow).advance(days=1)
        return self

    def value(self, name: str) -> MetricValue:
        """Return a figure as it is now; shares are fractions."""
        return self.account.values()[name]

    def number(self, name: str) -> float:
        """Return a figure that must have a value."""
        value = self.value(name)
        assert not isinstance(value, Undefined), f"{name}: {value}"
        return value

    def undefined_reason(self, name: str) -> tuple[str, int]:
        """Return the reason and the count of a figure that must have no value."""
        value = self.value(name)
        assert isinstance(value, Undefined), f"{name}: {value}"
        return value.reason, value.n

    def warnings(self) -> list[str]:
        """Return what is doubtful about the metrics."""
        record = self.account.performance("b")
        return record.warnings if record else []

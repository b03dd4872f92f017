"""The calls of `MonitoringController` that publish one record each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from botwatch import records
from botwatch.records import Number, Record
from botwatch.timing import OrderStatus, OrderTimer, Side, Timing

PositionSide = Literal["long", "short"]
ContractType = Literal["spot", "linear", "inverse", "quanto", "option"]
Labels = Mapping[str, str] | None


class Contract(NamedTuple):
    """The terms of a symbol's contract; what is None is taken from the settings, else from the symbol."""

    contract_type: ContractType | None = None
    """`linear`: P&L in the quote currency; `inverse`: in the base currency."""
    multiplier: Number | None = None
    """Units of the base currency (`inverse`: of the quote currency) per contract."""
    lot_size: Number | None = None
    """The smallest quantity that can be traded."""
    base_currency: str | None = None
    quote_currency: str | None = None


class RecordMethods(ABC):
    """A bot's records, one call per kind; each returns the id of the record."""

    bot: str

    @abstractmethod
    def log_record(self, made: Record) -> str:
        """Log a record made with `botwatch.records`, and return its id."""

    def order(
        self,
        symbol: str,
        side: Side,
        quantity: Number,
        *,
        order_id: str | None = None,
        type: str = "market",  # noqa: A002 - the wire's name
        limit_price: Number | None = None,
        decision_price: Number | None = None,
    ) -> OrderTimer:
        """Time an order: `with monitor.order(…) as order:` around the call of the exchange."""
        return OrderTimer(
            self, symbol, side, quantity,
            order_id=order_id, type=type, limit_price=limit_price, decision_price=decision_price,
        )  # fmt: skip

    def timed(self, name: str) -> Timing:
        """Time a block or a function, as the metric `name` in milliseconds."""
        return Timing(self, name)

    def log_performance_metrics(
        self,
        metrics: Mapping[str, object] | None = None,
        /,
        *,
        timestamp: datetime | None = None,
        labels: Labels = None,
        **figures: Number | None,
    ) -> str:
        """Publish the bot's metrics, named `portfolioValue` or `portfolio_value`; None means undefined.

        Percentages are percent (`winRate=65.2`), drawdown and VaR positive, latency milliseconds.
        """
        every = [*(metrics or {}).items(), *figures.items()]
        if len({records.to_camel_case(name) for name, _ in every}) < len(every):
            raise ValueError("a metric was given twice")
        return self.log_record(records.performance(self.bot, dict(every), timestamp=timestamp, labels=labels))

    def log_equity(  # noqa: PLR0913 - so many things belong to the account
        self,
        equity: Number,
        *,
        net_flow: Number | None = None,
        cash: Number | None = None,
        unrealized_pnl: Number | None = None,
        currency: str | None = None,
        margin_used: Number | None = None,
        maintenance_margin: Number | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish the account's equity, in the account's `currency`, as all amounts here.

        `net_flow` is deposits minus withdrawals since the last record, unless `log_flow` reports them.
        `margin_used` is the initial margin of all open positions; at an equity of `maintenance_margin` they
        are liquidated.
        """
        return self.log_record(
            records.record(
                "equity", self.bot, timestamp=timestamp, labels=labels,
                equity=equity, netFlow=net_flow, cash=cash, unrealizedPnL=unrealized_pnl, currency=currency,
                marginUsed=margin_used, maintenanceMargin=maintenance_margin, sequence=sequence,
            )
        )  # fmt: skip

    def log_order(  # noqa: PLR0913 - an order has that many fields
        self,
        order_id: str,
        symbol: str,
        side: Side,
        quantity: Number,
        status: OrderStatus,
        *,
        type: str = "market",  # noqa: A002 - the wire's name
        limit_price: Number | None = None,
        decision_price: Number | None = None,
        reason: str | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish a change of an order's status; `decision_price` is the reference of slippage.

        `sequence`, a whole number, orders the bot's records of the same millisecond, here and below.
        """
        return self.log_record(
            records.record(
                "order", self.bot, timestamp=timestamp, labels=labels,
                orderId=order_id, symbol=symbol, side=side, type=type, quantity=quantity, status=status,
                limitPrice=limit_price, decisionPrice=decision_price, reason=reason, sequence=sequence,
            )
        )  # fmt: skip

    def log_fill(  # noqa: PLR0913 - and so has a fill
        self,
        order_id: str,
        fill_id: str,
        symbol: str,
        side: Side,
        quantity: Number,
        price: Number,
        *,
        fee: Number | None = None,
        fee_currency: str | None = None,
        liquidity: Literal["maker", "taker"] | None = None,
        contract: Contract | None = None,
        position_side: PositionSide | None = None,
        position_id: str | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish one execution of an order.

        `quantity` is in contracts where `contract` has a multiplier, else in the base currency; `price` in
        the quote currency, `fee` in `fee_currency` (default: the account's). `position_side` (hedge mode) or
        `position_id` says which position of the symbol it changes.
        """
        return self.log_record(
            records.record(
                "fill", self.bot, timestamp=timestamp, labels=labels,
                orderId=order_id, fillId=fill_id, symbol=symbol, side=side, quantity=quantity, price=price,
                fee=fee, feeCurrency=fee_currency, liquidity=liquidity, positionSide=position_side,
                positionId=position_id, sequence=sequence, **_terms(contract),
            )
        )  # fmt: skip

    def log_position(  # noqa: PLR0913 - a position has that many fields
        self,
        symbol: str,
        quantity: Number,
        *,
        entry_price: Number | None = None,
        mark_price: Number | None = None,
        liquidation_price: Number | None = None,
        margin: Number | None = None,
        unrealized_pnl: Number | None = None,
        opened_at: datetime | None = None,
        side: PositionSide | None = None,
        contract: Contract | None = None,
        position_side: PositionSide | None = None,
        position_id: str | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish a position as the broker has it: an opening balance, and a check of the fills.

        `quantity` as in `log_fill`; 0 is flat, negative is short, unless `side` is given. Prices are in the
        quote currency, `margin` and `unrealized_pnl` in the account's. Send it at the start and every few
        minutes.
        """
        return self.log_record(
            records.record(
                "position", self.bot, timestamp=timestamp, labels=labels,
                symbol=symbol, quantity=quantity, side=side, entryPrice=entry_price, markPrice=mark_price,
                liquidationPrice=liquidation_price, margin=margin, unrealizedPnL=unrealized_pnl,
                openedAt=_opened_at(opened_at), positionSide=position_side, positionId=position_id,
                sequence=sequence, **_terms(contract),
            )
        )  # fmt: skip

    def log_trade(  # noqa: PLR0913 - and so has a closed trade
        self,
        symbol: str,
        side: PositionSide,
        quantity: Number,
        entry_price: Number,
        exit_price: Number,
        pnl: Number,
        *,
        opened_at: datetime | None = None,
        fees: Number | None = None,
        funding: Number | None = None,
        reason: str | None = None,
        contract: Contract | None = None,
        position_side: PositionSide | None = None,
        position_id: str | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish a closed trade as the bot or its broker counts it; `timestamp` is when it closed.

        `pnl` is net of fees and funding; `fees` and `funding` are what was paid; all in the account's
        currency. `reason` says why it was closed, such as `stop_loss`.
        """
        return self.log_record(
            records.record(
                "trade", self.bot, timestamp=timestamp, labels=labels,
                symbol=symbol, side=side, quantity=quantity, entryPrice=entry_price, exitPrice=exit_price,
                pnl=pnl, openedAt=_opened_at(opened_at), fees=fees, funding=funding, reason=reason,
                positionSide=position_side, positionId=position_id, sequence=sequence, **_terms(contract),
            )
        )  # fmt: skip

    def log_funding(  # noqa: PLR0913 - and so has a payment
        self,
        amount: Number,
        *,
        type: Literal["funding", "swap", "interest"] = "funding",  # noqa: A002 - the wire's name
        symbol: str | None = None,
        currency: str | None = None,
        rate: Number | None = None,
        position_side: PositionSide | None = None,
        position_id: str | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish a payment for holding a position or borrowed money; a negative `amount` was paid.

        `currency` is by default the account's; `rate` is in percent; without `symbol` it is the account's.
        """
        return self.log_record(
            records.record(
                "funding", self.bot, timestamp=timestamp, labels=labels,
                amount=amount, type=type, symbol=symbol, currency=currency, rate=rate,
                positionSide=position_side, positionId=position_id, sequence=sequence,
            )
        )  # fmt: skip

    def log_flow(
        self,
        amount: Number,
        *,
        type: Literal["deposit", "withdrawal", "transfer", "bonus"] = "transfer",  # noqa: A002 - likewise
        currency: str | None = None,
        sequence: int | None = None,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish money moved into the account, or out of it if `amount` is negative.

        `currency` is by default the account's. Report a flow so, or as `net_flow` of `log_equity`, not both.
        """
        return self.log_record(
            records.record(
                "flow", self.bot, timestamp=timestamp, labels=labels,
                amount=amount, type=type, currency=currency, sequence=sequence,
            )
        )  # fmt: skip

    def heartbeat(self, status: str = "ok", *, interval_seconds: float | None = None) -> str:
        """Publish a heartbeat; `interval_seconds` is how often to expect one."""
        return self.log_record(
            records.record("heartbeat", self.bot, status=status, intervalSeconds=interval_seconds)
        )

    def log_metric(
        self,
        name: str,
        value: Number,
        unit: str | None = None,
        *,
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish any other number, for graphs and rules."""
        return self.log_record(
            records.record(
                "metric", self.bot, timestamp=timestamp, labels=labels, name=name, value=value, unit=unit
            )
        )

    def log_event(
        self,
        title: str,
        text: str = "",
        *,
        level: Literal["debug", "info", "warning", "error"] = "info",
        timestamp: datetime | None = None,
        labels: Labels = None,
    ) -> str:
        """Publish an event; charts show it."""
        return self.log_record(
            records.record(
                "event", self.bot, timestamp=timestamp, labels=labels, level=level, title=title, text=text
            )
        )


def _terms(contract: Contract | None) -> dict[str, object]:
    """Return the fields of a contract on the wire."""
    given = contract._asdict() if contract else {}
    return {records.to_camel_case(name): value for name, value in given.items()}


def _opened_at(time: datetime | None) -> str | None:
    return None if time is None else records.format_wire_time(time, "openedAt")

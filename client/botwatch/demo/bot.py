"""The bot: decides at a bar's close, trades at the next open, and reports what happened. Pure.

The label `simulated` of a record names those of its fields that were drawn by `exchange`.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from botwatch import records
from botwatch.demo.account import DemoAccount
from botwatch.demo.prices import SYMBOL, Bar
from botwatch.demo.simulated_exchange import OrderOutcome, SimulatedExchange
from botwatch.demo.strategy import SmaReversal
from botwatch.records import Record

START = 10_000.0
COMMISSION = 0.0002
"""Of the turnover, per side."""
CURRENCY = "USD"
NEXT_LEVEL = 0.00005
"""How much worse the second part of an order fills: half a pip further into the book."""
REPLAY = {"replay": "EURUSD 1h"}
REJECT_REASON = "simulated: the exchange could not take the order"
MISSED_REASON = "simulated: the price ran away before anything was filled"


class BarSpan(NamedTuple):
    """When a bar opened and closed, as it is published."""

    opened: datetime
    closed: datetime

    def nearest(self, moment: datetime) -> datetime:
        """Return `moment`, or the end of the bar that it lies beyond: nothing is later than the close."""
        return min(max(moment, self.opened), self.closed)


@dataclass
class PendingOrder:
    """An order on its way to the next open."""

    id: str
    quantity: float
    """Negative sells."""
    decision_price: float
    sent_at: datetime
    answer: OrderOutcome
    acknowledged_at: datetime | None = None

    @property
    def side(self) -> Literal["buy", "sell"]:
        """The side as the wire has it."""
        return "buy" if self.quantity > 0 else "sell"

    def answered(self, span: BarSpan) -> datetime:
        """Return when the answer came: by the close of `span`, even where the replay outruns the exchange."""
        return min(self.sent_at + self.answer.latency, span.closed)


class TradingBot:
    """Trades one run over the bars, fully invested; `run` sets its orders' ids apart from other runs'."""

    def __init__(self, name: str, run: str, exchange: SimulatedExchange) -> None:
        self.account = DemoAccount(START, COMMISSION)
        self._name = name
        self._run = run
        self._exchange = exchange
        self._strategy = SmaReversal()
        self._pending: PendingOrder | None = None
        self._orders = 0

    def trade(self, bar: Bar, span: BarSpan, *, closing: bool = False, net_flow: float = 0.0) -> list[Record]:
        """Live through one bar, and return what happened in order of time.

        `closing` says that the run is about to end: the position is closed at the next open. `net_flow` is
        money paid in since the previous bar.
        """
        return [*self._on_open(bar.open, span), *self._on_close(bar.close, span.closed, closing, net_flow)]

    def _on_open(self, price: float, span: BarSpan) -> list[Record]:
        """Execute the order that waits for this open, or have it rejected, sent again and then executed."""
        order, self._pending = self._pending, None
        if order is None:
            return []
        if order.answer.missed:
            self._pending = order
            return self._acknowledge(order, span)
        if not order.answer.rejected:
            return [*self._acknowledge(order, span), *self._execute(order, price, span)]
        at = order.answered(span)
        rejected = self._order(order, "rejected", at, _simulated("timestamp status reason"), REJECT_REASON)
        again = self._send(order.quantity, order.decision_price, at, certain=True)
        self._pending = None
        submitted = self._order(again, "submitted", at, REPLAY)
        return [rejected, submitted, *self._acknowledge(again, span), *self._execute(again, price, span)]

    def _on_close(self, price: float, now: datetime, closing: bool, net_flow: float) -> list[Record]:
        equity = self.account.equity(price)
        direction = self._strategy.on_close(price)
        marked = records.record(
            "equity", self._name, timestamp=now, labels=REPLAY,
            equity=equity, netFlow=net_flow, cash=self.account.cash,
            unrealizedPnL=self.account.unrealized(price),
        )  # fmt: skip
        if closing:
            return [marked, *self._send_reversal(0, price, now, certain=True)]
        if direction:
            return [marked, *self._send_reversal(direction * math.floor(equity / price), price, now)]
        return [marked, *self._send_missed_again(now)]

    def _send_missed_again(self, now: datetime) -> list[Record]:
        """Cancel an order that nothing came of, and send it again: the next open fills it for certain."""
        missed, self._pending = self._pending, None
        if missed is None:
            return []
        again = self._send(missed.quantity, missed.decision_price, now, certain=True)
        return [
            self._order(missed, "cancelled", now, _simulated("timestamp status reason"), MISSED_REASON),
            self._order(again, "submitted", now, REPLAY),
        ]

    def _send_reversal(
        self, target: float, price: float, now: datetime, *, certain: bool = False
    ) -> list[Record]:
        """Send an order that brings the position to `target`, in place of one that still waits."""
        made = []
        if self._pending:
            made.append(self._order(self._pending, "cancelled", now, REPLAY, "the signal changed"))
            self._pending = None
        if quantity := target - self.account.position:
            order = self._send(quantity, price, now, certain=certain)
            made.append(self._order(order, "submitted", now, REPLAY))
        return made

    def _send(self, quantity: float, decision_price: float, at: datetime, *, certain: bool) -> PendingOrder:
        self._orders += 1
        answer = self._exchange.draw_outcome(certain=certain)
        order = PendingOrder(f"{self._run}-{self._orders:04}", quantity, decision_price, at, answer)
        self._pending = order
        return order

    def _acknowledge(self, order: PendingOrder, span: BarSpan) -> list[Record]:
        if order.acknowledged_at:
            return []
        order.acknowledged_at = order.answered(span)
        return [self._order(order, "acknowledged", order.acknowledged_at, _simulated("timestamp"))]

    def _execute(self, order: PendingOrder, price: float, span: BarSpan) -> list[Record]:
        """Fill `order` at the open, or a part of it there and the rest a little later and worse."""
        size = abs(order.quantity)
        part = max(1, math.floor(size * order.answer.first_part))
        at = span.nearest(order.answered(span) + order.answer.execution)
        if part >= size:
            made = [self._fill(order, 1, size, price, at, "timestamp")]
        else:
            made = [
                self._fill(order, 1, part, price, at, "timestamp quantity"),
                self._order(order, "partially_filled", at, _simulated("timestamp status")),
            ]
            at = span.nearest(at + order.answer.rest)
            worse = price + math.copysign(NEXT_LEVEL, order.quantity)
            made.append(self._fill(order, 2, size - part, worse, at, "timestamp quantity price"))
        return [*made, self._order(order, "filled", at, _simulated("timestamp"))]

    def _fill(
        self, order: PendingOrder, number: int, quantity: float, price: float, at: datetime, drawn: str
    ) -> Record:
        fee = self.account.fill(math.copysign(quantity, order.quantity), price)
        return records.record(
            "fill", self._name, timestamp=at, labels=_simulated(drawn),
            orderId=order.id, fillId=f"{order.id}-{number}", symbol=SYMBOL, side=order.side,
            quantity=quantity, price=price, fee=fee, feeCurrency=CURRENCY,
        )  # fmt: skip

    def _order(
        self,
        order: PendingOrder,
        status: str,
        at: datetime,
        labels: dict[str, str],
        reason: str | None = None,
    ) -> Record:
        return records.record(
            "order", self._name, timestamp=at, labels=labels,
            orderId=order.id, symbol=SYMBOL, side=order.side, type="market", quantity=abs(order.quantity),
            decisionPrice=order.decision_price, status=status, reason=reason,
        )  # fmt: skip


def _simulated(fields: str) -> dict[str, str]:
    return REPLAY | {"simulated": fields}

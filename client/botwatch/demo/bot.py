"""The demo bot: decides at a bar's close, trades at the next open, and reports what happened. Pure.

The label `simulated` of a record names those of its fields that were drawn by `simulated_exchange`.
"""

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from botwatch import records
from botwatch.demo.prices import SYMBOL, Bar
from botwatch.demo.simulated_exchange import OrderOutcome, SimulatedExchange
from botwatch.records import Record

START = 10_000.0
"""Money of the account at the start of a run."""
COMMISSION = 0.0002
"""Share of the turnover, per side."""
CURRENCY = "USD"
NEXT_LEVEL = 0.00005
"""How much worse the second part of an order fills: half a pip further into the book."""
POSITION_BARS = 50
"""The position is reported when it changes, and after as many bars."""
REPLAY = {"replay": "EURUSD 1h"}
REJECT_REASON = "simulated: the exchange could not take the order"
MISSED_REASON = "simulated: the price ran away before anything was filled"

Direction = Literal[1, -1]
"""Long or short."""


class SmaReversal:
    """The strategy, always in the market: reverses when two averages of the last closes cross."""

    def __init__(self, fast: int = 10, slow: int = 30) -> None:
        self._fast = fast
        self._closes: deque[float] = deque(maxlen=slow)
        self._gap: float | None = None

    def on_close(self, close: float) -> Direction | None:
        """Add a close and return the direction to turn to, None to stay.

        The averages cross when the gap between them changes its sign from one close to the next; a gap of
        exactly zero is neither.
        """
        self._closes.append(close)
        if len(self._closes) < (self._closes.maxlen or 0):
            return None
        closes = list(self._closes)
        before, gap = self._gap, _mean(closes[-self._fast :]) - _mean(closes)
        self._gap = gap
        if before is None or before * gap >= 0:
            return None
        return 1 if gap > 0 else -1


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


class DemoAccount:
    """A margin account in the quote currency with one symbol; a negative position is short."""

    def __init__(self, start: float, commission: float) -> None:
        self.cash = start
        self.position = 0.0
        self.entry_price = 0.0
        """Average price of the position; of an earlier one while flat."""
        self._commission = commission

    def fill(self, quantity: float, price: float) -> float:
        """Buy (or with a negative `quantity` sell) at `price`, and return the fee.

        A quantity beyond the position closes it and opens one the other way.
        """
        fee = abs(quantity) * price * self._commission
        self.cash -= quantity * price + fee
        position = self.position + quantity
        if position * self.position <= 0:
            self.entry_price = price
        elif abs(position) > abs(self.position):
            self.entry_price = (self.entry_price * self.position + price * quantity) / position
        self.position = position
        return fee

    def equity(self, price: float) -> float:
        """Return cash and the value of the position."""
        return self.cash + self.position * price

    def unrealized(self, price: float) -> float:
        """Return the gain of the open position since it was opened, without fees."""
        return self.position * (price - self.entry_price)


class BarSpan(NamedTuple):
    """When a bar opened and closed, as published."""

    opened: datetime
    closed: datetime

    def nearest(self, moment: datetime) -> datetime:
        """Return `moment`, limited to the time between open and close."""
        return min(max(moment, self.opened), self.closed)


@dataclass
class PendingOrder:
    """An order that waits for the next open."""

    id: str
    quantity: float
    """Negative sells."""
    decision_price: float
    sent_at: datetime
    answer: OrderOutcome
    acknowledged_at: datetime | None = None

    @property
    def side(self) -> Literal["buy", "sell"]:
        """Return the side as it is on the wire."""
        return "buy" if self.quantity > 0 else "sell"

    def answered(self, span: BarSpan) -> datetime:
        """Return when the answer came: at the latest at the close of `span`, however fast the replay is."""
        return min(self.sent_at + self.answer.latency, span.closed)


class TradingBot:
    """Trades one run over the bars, fully invested; `run` makes the ids of its orders unique."""

    def __init__(self, name: str, run: str, exchange: SimulatedExchange) -> None:
        self.account = DemoAccount(START, COMMISSION)
        self._name = name
        self._run = run
        self._exchange = exchange
        self._strategy = SmaReversal()
        self._pending: PendingOrder | None = None
        self._orders = 0
        self._bars = 0
        self._reported = 0.0
        """The position that was last reported."""

    def trade(self, bar: Bar, span: BarSpan, *, closing: bool = False, net_flow: float = 0.0) -> list[Record]:
        """Trade one bar and return its records in order of time.

        With `closing`, near the end of a run, the position is closed at the next open. `net_flow` is what was
        paid in since the previous bar.
        """
        return [*self._on_open(bar.open, span), *self._on_close(bar.close, span.closed, closing, net_flow)]

    def _on_open(self, price: float, span: BarSpan) -> list[Record]:
        """Execute the order that waits for this open, or reject it, send it again and execute that."""
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
        quoted = records.record(
            "metric", self._name, timestamp=now, labels=REPLAY, name=SYMBOL, value=price, unit="price"
        )
        worth = records.record(
            "equity", self._name, timestamp=now, labels=REPLAY,
            equity=equity, netFlow=net_flow, cash=self.account.cash,
            unrealizedPnL=self.account.unrealized(price), currency=CURRENCY,
        )  # fmt: skip
        marked = [quoted, *self._report_position(price, now), worth]
        if closing:
            return [*marked, *self._send_reversal(0, price, now, certain=True)]
        if direction:
            return [*marked, *self._send_reversal(direction * math.floor(equity / price), price, now)]
        return [*marked, *self._send_missed_again(now)]

    def _report_position(self, price: float, now: datetime) -> list[Record]:
        """Report the position as a broker has it, if it has changed or after some time."""
        self._bars += 1
        held = self.account.position
        if held == self._reported and self._bars % POSITION_BARS:
            return []
        self._reported = held
        return [
            records.record(
                "position", self._name, timestamp=now, labels=REPLAY,
                symbol=SYMBOL, quantity=held, entryPrice=self.account.entry_price if held else None,
                markPrice=price, unrealizedPnL=self.account.unrealized(price),
            )
        ]  # fmt: skip

    def _send_missed_again(self, now: datetime) -> list[Record]:
        """Cancel an order that was not filled, and send it again: it is filled at the next open."""
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
        """Send an order that brings the position to `target`; it replaces one that still waits."""
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
        """Fill `order` at the open, or a part of it, and the rest a little later at a worse price."""
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
            quantity=quantity, price=price, fee=fee, feeCurrency=CURRENCY, liquidity="taker",
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

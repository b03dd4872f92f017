"""The bot: decides at a bar's close, trades at the next open, and reports all of it. Pure.

What no data set has, the exchange's answers, is drawn from a seeded generator and labelled as simulated.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from botwatch import records
from botwatch.demo.account import Account
from botwatch.demo.prices import SYMBOL, Bar
from botwatch.demo.statistics import DailySharpe, Execution
from botwatch.demo.strategy import SmaReversal
from botwatch.records import Record

START = 10_000.0
COMMISSION = 0.0002
"""Of the turnover, per side."""
REJECT_RATE = 0.03
LATENCY_MEDIAN_MS = 45.0
LATENCY_SPREAD = 0.4
CURRENCY = "USD"
REPLAY = {"replay": "EURUSD 1h"}
SIMULATED = REPLAY | {"simulated": "true"}
SIMULATED_FIGURES = REPLAY | {"simulated": "orderLatencyMs fillRate rejectRate"}
REJECTION = "simulated: the exchange could not take the order"


@dataclass(frozen=True)
class PendingOrder:
    """An order on its way to the next open."""

    id: str
    quantity: float
    """Negative sells."""
    decision_price: float
    sent_at: datetime
    latency: timedelta

    @property
    def side(self) -> Literal["buy", "sell"]:
        """The side as the wire has it."""
        return "buy" if self.quantity > 0 else "sell"


class TradingBot:
    """Trades one run over the bars, fully invested; `run` sets its orders' ids apart from other runs'."""

    def __init__(
        self, name: str, run: str, random: Random, *, reject_rate: float = REJECT_RATE, start: float = START
    ) -> None:
        self.name = name
        self.account = Account(start, COMMISSION)
        self._run = run
        self._random = random
        self._reject_rate = reject_rate
        self._strategy = SmaReversal()
        self._sharpe = DailySharpe()
        self._execution = Execution()
        self._pending: PendingOrder | None = None
        self._orders = 0

    def on_open(self, price: float, now: datetime) -> list[Record]:
        """Execute the order that waits for this open, or have it rejected and send it again."""
        order, self._pending = self._pending, None
        if order is None:
            return []
        if self._random.random() < self._reject_rate:
            self._execution.ended("rejected")
            rejected = self._order(order, "rejected", _answered(order, now), SIMULATED, REJECTION)
            return [rejected, *self._send(order.quantity, order.decision_price, now)]
        return self._execute(order, price, now)

    def on_close(self, bar: Bar, now: datetime, *, last: bool = False, net_flow: float = 0.0) -> list[Record]:
        """Mark the account, decide, and report; `last` closes the position at the next open.

        `net_flow` is money paid in since the previous point.
        """
        equity = self.account.mark(bar.close)
        self._sharpe.add(bar.time.date(), equity)
        direction = self._strategy.on_close(bar.close)
        sent: list[Record] = []
        if last or direction:
            target = 0 if last or not direction else direction * math.floor(equity / bar.close)
            sent = self._turn(target, bar.close, now)
        return [self._equity(bar.close, equity, net_flow, now), *sent, self._performance(bar.close, now)]

    def _turn(self, target: float, price: float, now: datetime) -> list[Record]:
        """Send an order that brings the position to `target`, in place of one that still waits."""
        cancelled: list[Record] = []
        if self._pending:
            self._execution.ended("cancelled")
            cancelled = [self._order(self._pending, "cancelled", now, REPLAY, "the signal changed")]
            self._pending = None
        quantity = target - self.account.position
        return cancelled + (self._send(quantity, price, now) if quantity else [])

    def _send(self, quantity: float, decision_price: float, now: datetime) -> list[Record]:
        self._orders += 1
        self._execution.submitted()
        latency = self._random.lognormvariate(math.log(LATENCY_MEDIAN_MS), LATENCY_SPREAD)
        order = PendingOrder(
            f"{self._run}-{self._orders:04}", quantity, decision_price, now, timedelta(milliseconds=latency)
        )
        self._pending = order
        return [self._order(order, "submitted", now, REPLAY)]

    def _execute(self, order: PendingOrder, price: float, now: datetime) -> list[Record]:
        fee = self.account.fill(order.quantity, price)
        self._execution.acknowledged(order.latency / timedelta(milliseconds=1))
        self._execution.filled(order.side, price, order.decision_price)
        self._execution.ended("filled")
        acknowledged_at = order.sent_at + order.latency
        filled_at = _answered(order, now)
        fill = records.record(
            "fill", self.name, timestamp=filled_at, labels=REPLAY,
            orderId=order.id, fillId=f"{order.id}-1", symbol=SYMBOL, side=order.side,
            quantity=abs(order.quantity), price=price, fee=fee, feeCurrency=CURRENCY,
        )  # fmt: skip
        return [
            self._order(order, "acknowledged", acknowledged_at, SIMULATED),
            fill,
            self._order(order, "filled", filled_at, REPLAY),
        ]

    def _order(
        self,
        order: PendingOrder,
        status: str,
        at: datetime,
        labels: dict[str, str],
        reason: str | None = None,
    ) -> Record:
        return records.record(
            "order", self.name, timestamp=at, labels=labels,
            orderId=order.id, symbol=SYMBOL, side=order.side, type="market", quantity=abs(order.quantity),
            decisionPrice=order.decision_price, status=status, reason=reason,
        )  # fmt: skip

    def _equity(self, price: float, equity: float, net_flow: float, now: datetime) -> Record:
        return records.record(
            "equity", self.name, timestamp=now, labels=REPLAY,
            equity=equity, netFlow=net_flow, cash=self.account.cash,
            unrealizedPnL=self.account.unrealized(price),
        )  # fmt: skip

    def _performance(self, price: float, now: datetime) -> Record:
        account, execution = self.account, self._execution
        equity = account.equity(price)
        notional = abs(account.position) * price
        figures = {
            "portfolioValue": equity,
            "totalPnL": equity - account.start,
            "realizedPnL": account.realized,
            "unrealizedPnL": account.unrealized(price),
            "sharpeRatio": self._sharpe.value,
            "maxDrawdown": 100 * account.max_drawdown,
            "currentDrawdown": 100 * account.drawdown(price),
            "winRate": _percent(account.win_rate),
            "profitFactor": account.profit_factor,
            "totalTrades": len(account.closed),
            "slippageBps": execution.slippage_bps,
            "orderLatencyMs": execution.latency_ms,
            "fillRate": _percent(execution.fill_rate),
            "rejectRate": _percent(execution.reject_rate),
            "exposure": 100 * notional / equity,
            "leverage": notional / equity,
        }
        return records.performance(self.name, figures, timestamp=now, labels=SIMULATED_FIGURES)


def _answered(order: PendingOrder, now: datetime) -> datetime:
    """Return when the exchange's last word came: never before its acknowledgement."""
    return max(now, order.sent_at + order.latency)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction

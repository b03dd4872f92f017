"""Statistics that a bot can honestly compute while it runs. Pure."""

import math
from collections import Counter, deque
from datetime import date
from statistics import fmean, stdev

TRADING_DAYS = 252
"""Days a year for foreign exchange; 365 would be for markets that never close."""
RECENT = 20
MIN_RETURNS = 2


class DailySharpe:
    """Sharpe ratio of daily returns: mean / std(ddof=1) · √252, risk-free rate 0.

    A day's close is the last equity of the UTC day; days without points are dropped; the day that has not
    ended yet does not count.
    """

    def __init__(self) -> None:
        self.value: float | None = None
        """Undefined below two returns, and while they are all the same."""
        self._day: date | None = None
        self._equity = 0.0
        self._close: float | None = None
        self._returns: list[float] = []

    def add(self, day: date, equity: float) -> None:
        """Take one equity point."""
        if self._day is not None and day != self._day:
            self._end_day()
        self._day, self._equity = day, equity

    def _end_day(self) -> None:
        if self._close is not None:
            self._returns.append(self._equity / self._close - 1)
        self._close = self._equity
        if len(self._returns) < MIN_RETURNS:
            return
        spread = stdev(self._returns)
        self.value = fmean(self._returns) / spread * math.sqrt(TRADING_DAYS) if spread else None


class Execution:
    """How well orders are executed: rates over all of them, averages over the last twenty."""

    def __init__(self) -> None:
        self._submitted = 0
        self._ended: Counter[str] = Counter()
        self._slippage: deque[float] = deque(maxlen=RECENT)
        self._latency: deque[float] = deque(maxlen=RECENT)

    def submitted(self) -> None:
        """Count an order that was sent."""
        self._submitted += 1

    def ended(self, status: str) -> None:
        """Count an order that came to its end as `filled`, `rejected` or `cancelled`."""
        self._ended[status] += 1

    def acknowledged(self, latency_ms: float) -> None:
        """Take the time between sending an order and its acknowledgement."""
        self._latency.append(latency_ms)

    def filled(self, side: str, price: float, decision_price: float) -> None:
        """Take the distance between the price decided at and the price got; positive is cost."""
        sign = 1 if side == "buy" else -1
        self._slippage.append(sign * (price - decision_price) / decision_price * 10_000)

    @property
    def slippage_bps(self) -> float | None:
        """Average slippage in basis points."""
        return fmean(self._slippage) if self._slippage else None

    @property
    def latency_ms(self) -> float | None:
        """Average time to acknowledgement in milliseconds."""
        return fmean(self._latency) if self._latency else None

    @property
    def fill_rate(self) -> float | None:
        """Filled orders as a fraction of those that came to an end; undefined without any."""
        ended = self._ended.total()
        return self._ended["filled"] / ended if ended else None

    @property
    def reject_rate(self) -> float | None:
        """Rejected orders as a fraction of those that were sent; undefined without any."""
        return self._ended["rejected"] / self._submitted if self._submitted else None

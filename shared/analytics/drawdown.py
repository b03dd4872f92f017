"""Drawdown: how far equity is below its peak, at every equity point, starting from the start equity.

Deposits and withdrawals do not change it: a flow scales the peak like the equity, so that the distance in
percent stays. Positive fractions; empyrical's are negative, and smaller where only daily closes are used.
"""

import math
from typing import Any

import msgspec

from shared.analytics.events import MAX, MIN_VALUE
from shared.analytics.value import MetricValue, finite_or_undefined, undefined
from shared.schema.records import Undefined

ROUNDING = 1e-12
"""Falls below this share are rounding noise: subtracting flows from the equity is inexact in the last
digits."""


class Drawdown(msgspec.Struct):
    """The drawdown of one account, streaming: `apply` each equity point in the order of time."""

    peak: float | None = None
    """Account currency, as if later flows had already been there."""
    peak_at: int = 0
    """Epoch milliseconds."""
    last: float = 0.0
    deepest: float = 0.0
    longest_ms: int = 0
    under_ms: int = 0
    """Time under water up to the latest peak."""
    counted_from: int = 0
    """Time of the first point, epoch milliseconds."""
    best_pnl: float = 0.0
    """Highest total P&L, account currency."""
    deepest_amount: float = 0.0
    """Deepest fall of the total P&L below its highest, account currency."""
    squares: float = 0.0
    """Σ drawdown² at the ends of completed days."""
    days: int = 0

    def apply(self, at: int, equity: float, net_flow: float, start: float) -> None:
        """Add an equity point; `start` is the equity before the first point."""
        if self.peak is None:
            self.peak, self.peak_at = start, at
        self.counted_from = self.counted_from or at
        if self.last:
            self.longest_ms = max(self.longest_ms, at - self.peak_at)
        earned = equity - net_flow
        self.peak = max(self.peak, earned)
        fall = (self.peak - earned) / self.peak if self.peak > MIN_VALUE else 0.0
        was_under, self.last = self.last > 0, fall if fall > ROUNDING else 0.0
        if not self.last:
            self._end_fall(at, was_under=was_under)
        self.deepest = max(self.deepest, self.last)
        if net_flow:
            self._adjust_for_flow(at, equity, earned)

    def apply_pnl(self, pnl: float, equity: float) -> None:
        """Add the total P&L (account currency) of the latest equity point; flows do not change it."""
        self.best_pnl = max(self.best_pnl, pnl)
        fall = self.best_pnl - pnl
        if fall > self.deepest_amount and fall > ROUNDING * abs(equity):
            self.deepest_amount = fall

    def end_day(self) -> None:
        """End a day: its latest drawdown counts for the Ulcer index."""
        if self.peak is None:
            return
        self.squares += self.last**2
        self.days += 1

    def _end_fall(self, at: int, *, was_under: bool) -> None:
        """Start a new peak at `at`."""
        if was_under:
            self.under_ms += at - max(self.peak_at, self.counted_from)
        self.peak_at, self.last = at, 0.0

    def _adjust_for_flow(self, at: int, equity: float, earned: float) -> None:
        """Scale the peak like the flow scaled the equity; after ruin, a deposit starts again.

        So does a deposit that would lift the peak beyond `MAX`: that was ruin as well.
        """
        if self.peak is not None and self.last and min(earned, equity) > MIN_VALUE:
            self.peak *= equity / earned
            if self.peak <= MAX:
                return
        self._end_fall(at, was_under=self.last > 0)
        self.peak = equity

    def _undefined_reason(self) -> Undefined | None:
        """Return why there is no peak to fall from; None if there is one."""
        if self.peak is None:
            return undefined("no_equity")
        return undefined("not_positive_equity") if self.peak <= MIN_VALUE else None

    def current(self) -> MetricValue:
        """Return (peak − E) / peak at the latest point, a fraction."""
        return self._undefined_reason() or self.last

    def maximum(self) -> MetricValue:
        """Return the deepest drawdown of all points, a fraction. Source: empyrical.max_drawdown, negated."""
        return self.deepest or self._undefined_reason() or 0.0

    def duration(self, now: int) -> MetricValue:
        """Return the seconds from the last peak to `now` (epoch milliseconds); 0 at a peak."""
        return self._undefined_reason() or ((now - self.peak_at) / 1000 if self.last else 0.0)

    def longest(self, now: int) -> MetricValue:
        """Return the longest time from a peak until it was reached again, seconds; the open one counts."""
        longest_ms = max(self.longest_ms, now - self.peak_at if self.last else 0)
        return longest_ms / 1000 if longest_ms else self._undefined_reason() or 0.0

    def time_under_water(self, now: int) -> MetricValue:
        """Return the share of the time from the first equity to `now` between a peak and its recovery.

        A fraction; the open drawdown counts. The time-weighted form of pyfolio's days under water.
        """
        if why := self._undefined_reason():
            return why
        elapsed = now - self.counted_from
        if elapsed <= 0:
            return undefined("too_short")
        still = now - max(self.peak_at, self.counted_from) if self.last else 0
        return (self.under_ms + still) / elapsed

    def ulcer_index(self) -> MetricValue:
        """Return √mean(drawdown²) over the last point of each day, a fraction; the current day counts.

        Source: P. Martin and B. McCann, The Investor's Guide to Fidelity Funds, 1989. quantstats.ulcer_index
        divides by n − 1.
        """
        if not self.days and (why := self._undefined_reason()):
            return why
        return math.sqrt((self.squares + self.last**2) / (self.days + 1))

    def recovery_factor(self, total_pnl: MetricValue) -> MetricValue:
        """Return total P&L / deepest fall of the total P&L below its highest, both in money, a number.

        Undefined without a fall. Source: MetaTrader 5, "Recovery Factor" of the strategy tester.
        """
        if isinstance(total_pnl, Undefined):
            return total_pnl
        if not self.deepest_amount:
            return undefined("no_drawdown")
        return finite_or_undefined(total_pnl / self.deepest_amount)


def upgraded_drawdown(old: dict[str, Any], at: int, equity: float, total_pnl: float) -> dict[str, Any]:
    """Return the decoded JSON of `Drawdown` of version 3 as this version has it.

    `at` is the time of the latest equity point, epoch milliseconds. The deepest fall in money is at most the
    deepest in percent of the highest peak. Time under water and the Ulcer index are counted from here on.
    """
    peak = old.get("peak")
    if peak is not None and "best_pnl" not in old:
        old["counted_from"] = at
        old["best_pnl"] = total_pnl + max(peak - equity, 0.0)
        old["deepest_amount"] = old.get("deepest", 0.0) * max(peak, 0.0)
    return old

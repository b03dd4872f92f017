"""Drawdown: how far equity is below its peak, at every equity point, starting from the start equity.

Deposits and withdrawals do not change it: a flow scales the peak like the equity, so that the distance in
percent stays. Positive fractions; empyrical's are negative, and smaller where only daily closes are used.
"""

import msgspec

from shared.analytics.events import MAX, MIN_VALUE
from shared.analytics.value import MetricValue, undefined
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

    def apply(self, at: int, equity: float, net_flow: float, start: float) -> None:
        """Add an equity point; `start` is the equity before the first point."""
        if self.peak is None:
            self.peak, self.peak_at = start, at
        if self.last:
            self.longest_ms = max(self.longest_ms, at - self.peak_at)
        earned = equity - net_flow
        self.peak = max(self.peak, earned)
        fall = (self.peak - earned) / self.peak if self.peak > MIN_VALUE else 0.0
        self.last = fall if fall > ROUNDING else 0.0
        if not self.last:
            self.peak_at = at
        self.deepest = max(self.deepest, self.last)
        if net_flow:
            self._adjust_for_flow(at, equity, earned)

    def _adjust_for_flow(self, at: int, equity: float, earned: float) -> None:
        """Scale the peak like the flow scaled the equity; after ruin, a deposit starts again.

        So does a deposit that would lift the peak beyond `MAX`: that was ruin as well.
        """
        if self.peak is not None and self.last and min(earned, equity) > MIN_VALUE:
            self.peak *= equity / earned
            if self.peak <= MAX:
                return
        self.peak, self.peak_at, self.last = equity, at, 0.0

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

"""Deposits and withdrawals between two equity points: what was invested, and for how long.

A flow belongs to the next equity point, whose equity includes it. Within `NEAR_MS` before that point, it
counts as made right at it; else, within `NEAR_MS` after the previous point, as made right after that one. In
between, the equity before the flow is not known: the return is approximated by modified Dietz, in which a
flow is invested for its share of the interval. Source: P. O. Dietz, Pension Funds: Measuring Investment
Performance, 1966; CFA Institute, GIPS, 2020.
"""

from typing import NamedTuple

import msgspec

from shared.analytics.events import MIN_VALUE

NEAR_MS = 3_600_000
"""An equity point this close to a flow is taken for the equity at the flow."""


class FlowShares(NamedTuple):
    """The flows of an interval, by the equity point at which they count, account currency."""

    early: float
    """Counts right after the previous point."""
    late: float
    """Counts right at the next point."""
    is_approximate: bool = False


class PendingFlows(msgspec.Struct):
    """Flows that the next equity point includes, streaming: `add` each in the order of time."""

    total: float = 0.0
    first_at: int = 0
    """Time of the first one, epoch milliseconds; 0 without one."""
    early: float = 0.0
    """Those right after the previous point."""
    other_at: int = 0
    """Time of the first of the others, epoch milliseconds; 0 without one."""
    moment: float = 0.0
    """Σ amount · milliseconds since the previous point, of the others."""
    unconverted: bool = False
    """Whether an amount has no rate."""

    def add(self, at: int, amount: float | None, before_at: int) -> None:
        """Add a flow, account currency (None: unknown), after the point at `before_at`; 0 before any."""
        if amount is None:
            self.unconverted = True
            return
        self.total += amount
        self.first_at = self.first_at or at
        if before_at and at - before_at <= NEAR_MS:
            self.early += amount
        else:
            self.other_at = self.other_at or at
            self.moment += amount * (at - before_at if before_at else 0)

    def shares(self, at: int, before: float, before_at: int) -> FlowShares:
        """Return the flows as the point at `at` counts them; `before` is the previous equity.

        Before the first point and on an empty account, nothing but the flows can have earned anything:
        they count from the beginning.
        """
        if at - self.first_at <= NEAR_MS:
            return FlowShares(0.0, self.total)
        early, between, is_approximate = self.early, self.total - self.early, False
        if self.other_at and at - self.other_at > NEAR_MS:
            is_alone = not before_at or before <= MIN_VALUE
            is_approximate = not is_alone
            early += between if is_alone else between - self.moment / (at - before_at)
        if early and before + early <= MIN_VALUE:  # nothing was left to earn with: count all at the next
            early, is_approximate = 0.0, True
        return FlowShares(early, self.total - early, is_approximate)

"""Regression: least squares in constant memory, from the sums of products.

Source: J. H. Goodnight, A Tutorial on the SWEEP Operator, The American Statistician, 1979.
"""

from collections.abc import Sequence

import msgspec

DEPENDENT = 1e-9
"""A regressor of which less than this share is its own depends on those before it: it explains nothing."""


class Regression(msgspec.Struct):
    """Sums of products of rows: the regressors, then what they shall explain."""

    rows: int = 0
    products: list[list[float]] = []
    """Upper triangle, by row from the diagonal on."""

    def add(self, row: Sequence[float]) -> None:
        """Add a row; all have the same length."""
        if not self.rows:
            self.products = [[0.0] * (len(row) - place) for place in range(len(row))]
        self.rows += 1
        for place, value in enumerate(row):
            if value:
                sums = self.products[place]
                for further, other in enumerate(row[place:]):
                    sums[further] += value * other

    def residuals(self, known: int, distinct: float) -> tuple[float, float]:
        """Return the sum of squares that the first `known` regressors leave, and what all of them leave.

        A further regressor counts only if the share `distinct` of it is its own.
        """
        left = [list(row) for row in self.products]
        last = len(left) - 1
        for place in range(known):
            _sweep(left, place, DEPENDENT * self.products[place][0])
        before = left[last][0]
        for place in range(known, last):
            _sweep(left, place, distinct * self.products[place][0])
        return before, left[last][0]


def _sweep(left: list[list[float]], place: int, least: float) -> None:
    """Take out of all later columns what the column at `place` explains, unless it has less than `least`."""
    row = left[place]
    if row[0] <= least:
        return
    for later in range(1, len(row)):
        factor = row[later] / row[0]
        if factor:
            sums = left[place + later]
            for further, product in enumerate(row[later:]):
                sums[further] -= factor * product

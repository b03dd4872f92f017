"""Least squares from sums of products."""

import random

import pytest

from shared.analytics.regression import Regression


def test_what_the_regressors_explain_leaves_nothing() -> None:
    """Of 3 + 2x at x = 1, 2, 4 the mean leaves (5 − 23/3)² + (7 − 23/3)² + (11 − 23/3)² = 56/3."""
    regression = Regression()
    for x in (1.0, 2.0, 4.0):
        regression.add([1.0, x, 3 + 2 * x])
    before, after = regression.residuals(1, 0.05)
    assert before == pytest.approx(56 / 3)
    assert after == pytest.approx(0, abs=1e-12)


def test_the_rest_is_the_sum_of_squares_beside_the_line() -> None:
    """Of 0, 1, 0, 1 at x = 1 to 4: slope 0.2, residuals −0.2, 0.6, −0.6, 0.2, squares 0.8."""
    regression = Regression()
    for x, y in enumerate((0.0, 1.0, 0.0, 1.0), start=1):
        regression.add([1.0, float(x), y])
    assert regression.residuals(1, 0.05) == pytest.approx((1.0, 0.8))


def test_a_regressor_that_depends_on_those_before_it_does_not_count() -> None:
    chance = random.Random(1)
    regression = Regression()
    for _ in range(20):
        known = chance.gauss(0, 1)
        further = known + 0.1 * chance.gauss(0, 1)
        regression.add([known, further, further])
    assert regression.residuals(1, 0.05)[1] == regression.residuals(1, 0.05)[0] > 0
    assert regression.residuals(1, 1e-4)[1] == pytest.approx(0, abs=1e-9)

"""Levels of one value, with and without clear thresholds."""

import pytest

from shared.rules.rule import SeverityLevel, evaluate_levels
from shared.schema.alerts import Severity

ABOVE = (SeverityLevel(25, "CRITICAL", 20), SeverityLevel(10, "MEDIUM", 6))
BELOW = (SeverityLevel(5, "CRITICAL", 8), SeverityLevel(10, "LOW", None))


@pytest.mark.parametrize(
    ("value", "standing", "found"),
    [
        (10, None, None), (10.1, None, "MEDIUM"), (25, None, "MEDIUM"), (25.1, None, "CRITICAL"),
        (7, None, None), (7, "MEDIUM", "MEDIUM"), (6.1, "MEDIUM", "MEDIUM"), (6, "MEDIUM", None),
        (21, "MEDIUM", "MEDIUM"), (21, "CRITICAL", "CRITICAL"), (20, "CRITICAL", "MEDIUM"),
        (7, "CRITICAL", "MEDIUM"), (6, "CRITICAL", None), (None, "CRITICAL", None),
    ],
)  # fmt: skip
def test_a_met_level_holds_until_its_clear_threshold(
    value: float | None, standing: Severity | None, found: Severity | None
) -> None:
    verdict = evaluate_levels(ABOVE, ">", value, standing)
    assert (verdict.severity if verdict else None) == found


@pytest.mark.parametrize(
    ("value", "standing", "found"),
    [
        (9.9, None, "LOW"), (10, None, None), (10, "LOW", None), (4.9, None, "CRITICAL"),
        (7.9, "LOW", "LOW"), (7.9, "CRITICAL", "CRITICAL"), (8, "CRITICAL", "LOW"),
    ],
)  # fmt: skip
def test_limits_from_below_are_cleared_from_above(
    value: float, standing: Severity | None, found: Severity | None
) -> None:
    verdict = evaluate_levels(BELOW, "<", value, standing)
    assert (verdict.severity if verdict else None) == found


def test_a_verdict_names_the_limit_that_was_passed_not_the_one_to_clear() -> None:
    verdict = evaluate_levels(ABOVE, ">", 7, "MEDIUM")
    assert verdict is not None
    assert verdict.threshold == 10

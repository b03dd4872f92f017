"""N of M, from above and from below."""

import pytest

from shared.rules.measures.window import FewOf
from tests.unit.rules.rule_playback import play_values, rule


def value(few: FewOf, *values: tuple[int, float]) -> float | None:
    state = few.initial_state()
    for at, one in values:
        few.observe(state, "x", at, one)
    return few.value(state, 0)


@pytest.mark.parametrize(
    ("values", "largest", "found"),
    [
        ([1], True, None), ([1, 9], True, 1), ([1, 9, 5], True, 5), ([9, 9, 1], True, 9),
        ([1, 9, 5], False, 5), ([1, 1, 9], False, 1), ([9, 9, 9, 1, 2], True, 2), ([1, 1, 1, 9, 8], False, 8),
    ],
)  # fmt: skip
def test_two_of_three_is_the_second_most_extreme_of_the_last_three(
    values: list[float], largest: bool, found: float | None
) -> None:
    few = FewOf("x", 2, 3, largest=largest)
    assert value(few, *enumerate(values)) == found


def test_repeated_values_count_once_and_values_too_late_do_not_count() -> None:
    few = FewOf("x", 2, 3, largest=True)
    assert value(few, (1, 9), (1, 9), (2, 1)) == 1
    assert value(few, (5, 1), (6, 1), (7, 9), (4, 9)) == 1
    assert value(few, (5, 1), (7, 9), (6, 9), (8, 9)) == 9


def test_a_rule_opens_at_two_of_three_and_resolves_at_one() -> None:
    above = rule(times=2, of=3)
    assert play_values(above, list(enumerate([20, 1, 15, 1, 1]))) == [
        "2 opened MEDIUM 15",
        "3 resolved MEDIUM 1",
    ]


def test_a_rule_from_below_counts_what_is_below() -> None:
    below = rule(times=2, of=3, operator="<")
    assert play_values(below, list(enumerate([1, 20, 5, 20, 20]))) == [
        "2 opened MEDIUM 5",
        "3 resolved MEDIUM 20",
    ]

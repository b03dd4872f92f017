"""Which alerts come in one message, and when it is sent."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.planning.groups import group_key, next_message_at
from services.notifier.planning.routes import Route
from tests.unit.notifier.config import NOON, alert

SECOND = timedelta(seconds=1)
ROUTE = Route("night", group_wait=10 * SECOND, group_interval=60 * SECOND)


@pytest.mark.parametrize(
    ("group_by", "expected"),
    [
        (None, None),
        ((), "night/{}"),
        (("rule",), 'night/{rule="slippage"}'),
        (("rule", "bot", "rule"), 'night/{bot="demo",rule="slippage"}'),
        (("exchange",), 'night/{exchange=""}'),
        (("pair", "a b"), r'night/{"a b"="\"}",pair="EUR/€"}'),
    ],
)
def test_a_group_is_a_route_and_what_the_alerts_have_in_common(
    group_by: tuple[str, ...] | None, expected: str | None
) -> None:
    one = alert(pair="EUR/€")
    one.details.labels["a b"] = '"}'
    assert group_key(ROUTE._replace(group_by=group_by), one) == expected


@settings(deadline=None)
@given(one=st.tuples(st.text(), st.text()), other=st.tuples(st.text(), st.text()))
def test_alerts_whose_labels_differ_are_in_different_groups(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    route = ROUTE._replace(group_by=("first", "second"))
    keys = [group_key(route, alert(first=first, second=second)) for first, second in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)


@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        # Nothing was sent yet: it waits for others to join it.
        (None, 10),
        # A message that is still to come takes it along, though it has waited for a while.
        (5, 5),
        (300, 300),
        # It was sent just now, or a moment ago: not before the interval is over.
        (0, 60),
        (-20, 40),
        # Long ago: it is as if nothing had been sent yet.
        (-50, 10),
        (-3600, 10),
    ],
)
def test_a_message_waits_for_others_and_for_the_interval(previous: int | None, expected: int) -> None:
    before = None if previous is None else NOON + previous * SECOND
    assert next_message_at(before, ROUTE, NOON) == NOON + expected * SECOND


@settings(deadline=None)
@given(gaps=st.lists(st.integers(0, 200), min_size=1, max_size=60))
def test_messages_of_a_group_keep_their_distance_and_nothing_waits_for_long(gaps: list[int]) -> None:
    now, previous, sent = NOON, None, []
    for gap in gaps:
        now += gap * SECOND
        previous = next_message_at(previous, ROUTE, now)
        assert now <= previous <= now + 60 * SECOND
        sent.append(previous)
    moments = sorted({*sent})
    assert all(later - earlier >= 60 * SECOND for earlier, later in pairwise(moments))

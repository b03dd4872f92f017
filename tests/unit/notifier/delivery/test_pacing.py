"""Pacing: when a failed delivery is retried, and the rate limit."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.channels.base import TransportError
from services.notifier.delivery.pacing import GiveUp, RateLimiter, Retry, after_failure, retry_delay
from shared.store.database import Database
from tests.unit.notifier.delivery_harness import (
    DAWN,
    SECOND,
    BatchingFakeTransport,
    DeliveryHarness,
    FakeClock,
    FakeTransport,
)
from tests.unit.notifier.fake_receivers import NOON
from tests.unit.notifier.planning_harness import MINUTE


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 2), (4, 16), (8, 256), (9, 300), (500, 300)])
def test_the_wait_doubles_up_to_five_minutes(attempts: int, seconds: float) -> None:
    assert retry_delay(attempts, lambda: 1.0) == timedelta(seconds=seconds)


def test_jitter_takes_up_to_half_of_the_wait_away() -> None:
    assert retry_delay(0, lambda: 0.0) == timedelta(seconds=0.5)


def test_the_channel_rests_no_longer_than_ten_seconds_while_the_delivery_itself_waits() -> None:
    verdict = after_failure(9, NOON, None, NOON, lambda: 1.0)
    assert verdict == Retry(NOON + timedelta(minutes=5), NOON + timedelta(seconds=10))


def test_what_the_receiver_asks_for_holds_for_the_whole_channel() -> None:
    later = NOON + timedelta(seconds=90)
    assert after_failure(0, NOON, 90, NOON, lambda: 1.0) == Retry(later, later)


@pytest.mark.parametrize("asked", [1e9, 1e20, float("inf")])
def test_no_receiver_may_ask_for_more_than_an_hour(asked: float) -> None:
    verdict = after_failure(0, NOON, asked, NOON, lambda: 1.0)
    assert verdict == Retry(NOON + timedelta(hours=1), NOON + timedelta(hours=1))


def test_a_delivery_is_given_up_after_a_day_of_trying() -> None:
    almost = NOON + timedelta(hours=24) - timedelta(milliseconds=1)
    assert isinstance(after_failure(50, NOON, None, almost, lambda: 1.0), Retry)
    assert isinstance(after_failure(50, NOON, None, NOON + timedelta(hours=24), lambda: 1.0), GiveUp)


TEXT = """
channels: { desk: { url: "http://127.0.0.1:9/desk", perMinute: 3 } }
routes: [{ channels: [desk], repeat: 0 }]
"""


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    return FakeClock(monkeypatch, DAWN)


def test_without_a_limit_there_is_no_flood() -> None:
    flood = RateLimiter(None)
    for _ in range(1000):
        flood.record_sent(0.0, is_digest=False)
    assert (flood.is_limited, flood.seconds_until_free(0.0)) == (False, 0.0)


def test_as_many_as_are_allowed_in_a_minute_are_followed_by_a_pause_until_it_is_over() -> None:
    flood = RateLimiter(3)
    for moment in (0, 10, 20):
        assert flood.seconds_until_free(moment) == 0
        flood.record_sent(moment, is_digest=False)
    assert (
        flood.is_limited,
        flood.seconds_until_free(20),
        flood.seconds_until_free(59.5),
        flood.seconds_until_free(61),
    ) == (True, 40, 0.5, 0)


def test_messages_of_a_minute_ago_do_not_count() -> None:
    flood = RateLimiter(3)
    for moment in (0, 10, 60, 70, 120):
        flood.record_sent(moment, is_digest=False)
        assert not flood.is_limited


def test_a_digest_ends_the_flood_and_what_was_under_way_when_it_began_does_not() -> None:
    flood = RateLimiter(2)
    for moment in (0, 1, 2):
        flood.record_sent(moment, is_digest=False)
    assert flood.is_limited
    flood.record_sent(61, is_digest=True)
    assert not flood.is_limited


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 5))
def test_in_no_minute_more_go_than_are_allowed(pauses: list[int], most: int) -> None:
    flood, now, sent = RateLimiter(most), 0, []
    for pause in pauses:
        now += pause
        if flood.seconds_until_free(now):
            continue
        flood.record_sent(now, is_digest=flood.is_limited)
        sent.append(now)
    assert all(len([at for at in sent if 0 <= at - first < 60]) <= most for first in sent)


def test_past_the_limit_the_rest_comes_as_one_digest_in_order_and_nothing_is_lost(
    database: Database, hands: FakeClock
) -> None:
    told = BatchingFakeTransport()
    desk = DeliveryHarness(database, TEXT, hands, desk=told)
    for number in range(250):
        desk.open(f"a{number}", dispatch=number % 50 == 0)
    desk.change("raised", "a7")
    desk.change("resolved", "a7")
    desk.advance(2 * MINUTE)
    assert [len(message.notifications) for message in told.messages] == [1, 1, 1, 249]
    assert [alert for alert, change in told.sent if change == "opened"] == [f"a{n}" for n in range(250)]
    assert [change for alert, change in told.sent if alert == "a7"] == ["opened", "raised", "resolved"]
    assert {row["state"] for row in desk.rows()} == {"SENT"}


def test_a_digest_that_fails_stays_one(database: Database, hands: FakeClock) -> None:
    told = BatchingFakeTransport()
    desk = DeliveryHarness(database, TEXT, hands, desk=told)
    for number in range(20):
        desk.open(f"a{number}")
    told.fails = lambda _: TransportError("busy", permanent=False)
    desk.advance(62 * SECOND)
    told.fails = lambda _: None
    desk.advance(MINUTE)
    assert [len(message.notifications) for message in told.messages] == [1, 1, 1, 17]
    assert told.messages[-1].group == "digest"


def test_where_messages_are_not_put_together_no_more_go_in_a_minute(
    database: Database, hands: FakeClock
) -> None:
    told = FakeTransport()
    desk = DeliveryHarness(database, TEXT, hands, desk=told)
    for number in range(10):
        desk.open(f"a{number}")
    assert len(told.sent) == 3
    desk.advance(5 * MINUTE)
    assert [alert for alert, _ in told.sent] == [f"a{number}" for number in range(10)]

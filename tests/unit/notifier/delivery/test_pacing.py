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
def test_delay_doubles_up_to_five_minutes(attempts: int, seconds: float) -> None:
    """The delay doubles from one second up to five minutes."""
    assert retry_delay(attempts, lambda: 1.0) == timedelta(seconds=seconds)


def test_jitter_is_at_most_half() -> None:
    """Jitter shortens the delay by at most a half."""
    assert retry_delay(0, lambda: 0.0) == timedelta(seconds=0.5)


def test_channel_pause_is_at_most_ten_seconds() -> None:
    """The channel pauses for ten seconds at most, however long the delivery itself waits."""
    verdict = after_failure(9, NOON, None, NOON, lambda: 1.0)
    assert verdict == Retry(NOON + timedelta(minutes=5), NOON + timedelta(seconds=10))


def test_retry_after_pauses_the_channel() -> None:
    """`Retry-After` pauses the whole channel."""
    later = NOON + timedelta(seconds=90)
    assert after_failure(0, NOON, 90, NOON, lambda: 1.0) == Retry(later, later)


@pytest.mark.parametrize("asked", [1e9, 1e20, float("inf")])
def test_retry_after_is_at_most_an_hour(asked: float) -> None:
    """A longer `Retry-After` counts as an hour."""
    verdict = after_failure(0, NOON, asked, NOON, lambda: 1.0)
    assert verdict == Retry(NOON + timedelta(hours=1), NOON + timedelta(hours=1))


def test_given_up_after_a_day() -> None:
    """A delivery is retried for 24 hours and then given up."""
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


def test_no_rate_limit() -> None:
    """Without `perMinute` nothing is limited."""
    flood = RateLimiter(None)
    for _ in range(1000):
        flood.record_sent(0.0, is_digest=False)
    assert (flood.is_limited, flood.seconds_until_free(0.0)) == (False, 0.0)


def test_rate_limit_pauses_for_the_rest_of_the_minute() -> None:
    """After `perMinute` messages the channel pauses until a minute after the first."""
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


def test_rate_limit_forgets_after_a_minute() -> None:
    """Messages of more than a minute ago do not count."""
    flood = RateLimiter(3)
    for moment in (0, 10, 60, 70, 120):
        flood.record_sent(moment, is_digest=False)
        assert not flood.is_limited


def test_only_a_digest_ends_the_rate_limit() -> None:
    """A digest ends the limitation; a message that was in flight when it began does not."""
    flood = RateLimiter(2)
    for moment in (0, 1, 2):
        flood.record_sent(moment, is_digest=False)
    assert flood.is_limited
    flood.record_sent(61, is_digest=True)
    assert not flood.is_limited


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(1, 5))
def test_rate_limit_holds_for_any_minute(pauses: list[int], most: int) -> None:
    """In no minute more than `perMinute` messages are sent."""
    flood, now, sent = RateLimiter(most), 0, []
    for pause in pauses:
        now += pause
        if flood.seconds_until_free(now):
            continue
        flood.record_sent(now, is_digest=flood.is_limited)
        sent.append(now)
    assert all(len([at for at in sent if 0 <= at - first < 60]) <= most for first in sent)


def test_over_the_limit_goes_one_digest(database: Database, hands: FakeClock) -> None:
    """What is over the limit is sent as one digest, complete and in order."""
    transport = BatchingFakeTransport()
    desk = DeliveryHarness(database, TEXT, hands, desk=transport)
    for number in range(250):
        desk.open(f"a{number}", dispatch=number % 50 == 0)
    desk.change("raised", "a7")
    desk.change("resolved", "a7")
    desk.advance(2 * MINUTE)
    assert [len(message.notifications) for message in transport.messages] == [1, 1, 1, 249]
    assert [alert for alert, change in transport.sent if change == "opened"] == [f"a{n}" for n in range(250)]
    assert [change for alert, change in transport.sent if alert == "a7"] == ["opened", "raised", "resolved"]
    assert {row["state"] for row in desk.rows()} == {"SENT"}


def test_a_failed_digest_stays_one_message(database: Database, hands: FakeClock) -> None:
    """A digest that fails is retried as one digest."""
    transport = BatchingFakeTransport()
    desk = DeliveryHarness(database, TEXT, hands, desk=transport)
    for number in range(20):
        desk.open(f"a{number}")
    transport.fails = lambda _: TransportError("busy", permanent=False)
    desk.advance(62 * SECOND)
    transport.fails = lambda _: None
    desk.advance(MINUTE)
    assert [len(message.notifications) for message in transport.messages] == [1, 1, 1, 17]
    assert transport.messages[-1].group == "digest"


def test_rate_limit_without_batches(database: Database, hands: FakeClock) -> None:
    """A channel without batches sends the rest in the following minutes."""
    transport = FakeTransport()
    desk = DeliveryHarness(database, TEXT, hands, desk=transport)
    for number in range(10):
        desk.open(f"a{number}")
    assert len(transport.sent) == 3
    desk.advance(5 * MINUTE)
    assert [alert for alert, _ in transport.sent] == [f"a{number}" for number in range(10)]

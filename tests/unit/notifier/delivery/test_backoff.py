"""Back-off: when a failed delivery is tried again."""

from datetime import timedelta

import pytest

from services.notifier.delivery.backoff import GiveUp, Retry, after_failure, retry_delay
from tests.unit.notifier.fake_receivers import NOON


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

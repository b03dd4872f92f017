"""When a file system will be full, if it goes on as of late."""

import random
from collections.abc import Callable

import pytest

from services.collector.host.disk_forecast import MIN_WINDOW_S, WINDOW_S, DiskForecast

GIB = 2**30
HOUR = 3600


def after(seconds: float, free_at: Callable[[float], float], every: float = 30.0) -> float | None:
    """Return what a trend says after so many seconds of samples."""
    trend, at, days = DiskForecast(), 0.0, None
    while at <= seconds:
        days = trend.days_until_full(at, int(free_at(at)))
        at += every
    return days


def test_a_disk_that_fills_evenly_is_full_when_its_space_is_used_up() -> None:
    # 100 GiB free at first, 1 GiB an hour: after 2 hours 98 hours are left.
    assert after(2 * HOUR, lambda at: 100 * GIB - at / HOUR * GIB) == pytest.approx(98 / 24, rel=0.01)


def test_less_than_half_an_hour_says_nothing_and_half_an_hour_does() -> None:
    assert after(MIN_WINDOW_S - 30, lambda at: GIB - at * 1000) is None
    assert after(MIN_WINDOW_S, lambda at: GIB - at * 1000) is not None


@pytest.mark.parametrize(
    "free_at",
    [lambda _: GIB, lambda at: GIB + at * 1000],
    ids=["stays", "empties"],
)
def test_a_disk_that_does_not_fill_has_no_end(free_at: Callable[[float], float]) -> None:
    assert after(3 * HOUR, free_at) is None


def test_noise_around_a_level_is_no_trend() -> None:
    said = []
    for seed in range(20):
        noise = random.Random(seed)
        said.append(after(WINDOW_S, lambda _, noise=noise: 50 * GIB + noise.gauss(0, GIB)))  # type: ignore[misc]
    assert said.count(None) >= 19


def test_a_trend_is_seen_through_noise() -> None:
    noise = random.Random(1)
    days = after(WINDOW_S, lambda at: 100 * GIB - at / HOUR * 2 * GIB + noise.gauss(0, GIB / 4))
    assert days == pytest.approx(47 / 24, rel=0.2)


def test_one_large_file_is_no_trend() -> None:
    assert after(WINDOW_S, lambda at: 50 * GIB if at < HOUR else 30 * GIB) is None


def test_a_backup_of_half_an_hour_is_no_trend() -> None:
    assert after(WINDOW_S, lambda at: 50 * GIB - max(at - WINDOW_S + HOUR / 2, 0) * 10 * 2**20) is None


def test_a_disk_that_starts_to_fill_is_detected_within_90_minutes() -> None:
    quiet = 24 * HOUR
    days = after(quiet + 1.5 * HOUR, lambda at: 50 * GIB - max(at - quiet, 0) * GIB / HOUR)
    assert days is not None
    assert 1 < days < 6


def test_the_trend_ends_when_the_disk_stops_filling() -> None:
    assert after(6 * HOUR, lambda at: 50 * GIB - min(at, HOUR) * GIB / HOUR) is None


def test_what_would_last_for_years_does_not_fill() -> None:
    assert after(2 * HOUR, lambda at: 1000 * GIB - at * 1000) is None


def test_samples_of_every_second_and_of_every_ten_minutes_say_the_same() -> None:
    every_second, seldom = (
        after(3 * HOUR, lambda at: 10 * GIB - at * 10**5, every) for every in (1.0, 600.0)
    )
    assert every_second == pytest.approx(seldom, rel=0.01)

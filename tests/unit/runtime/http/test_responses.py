"""How long those who are asked ask to wait."""

from datetime import UTC, datetime

import pytest

from shared.runtime.http.responses import parse_retry_after_s

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30.0),
        ("Sat, 31 Jan 2026 12:00:30 -0000", 30.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
    ],
)
def test_a_wait_is_seconds_or_a_date_which_may_have_passed(said: str, seconds: float) -> None:
    assert parse_retry_after_s(said, NOON) == seconds


@pytest.mark.parametrize(
    "said",
    [
        None,
        "soon",
        "",
        "-5",
        "1e3",
        "9" * 400,
        "Sat, 99 Foo 2026",
        "Sat, 31 Jan 99999 00:00:00 GMT",
        "nan",
        "²",
    ],
)
def test_what_makes_no_sense_is_no_wait(said: str | None) -> None:
    assert parse_retry_after_s(said, NOON) is None

"""When a failed look counts, and as what."""

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.soft_state import SoftState
from shared.schema.records import CheckStatus

BAD = CheckResult("critical", "refused by 127.0.0.1:5432", "refused")
WARNING = CheckResult("warning", "the clocks differ by 3 s", "skewed")
OK = CheckResult("ok", "answered")
UNKNOWN = CheckResult("unknown", "may not be read", "denied")


def statuses(steadiness: SoftState, *looks: CheckResult) -> list[CheckStatus]:
    return [steadiness.apply(look).status for look in looks]


def test_the_second_consecutive_failure_counts_until_a_success() -> None:
    assert statuses(SoftState(2), OK, BAD, OK, BAD, BAD, BAD, OK) == [
        "ok", "ok", "ok", "ok", "critical", "critical", "ok",
    ]  # fmt: skip


def test_until_it_counts_the_text_says_how_far_it_is() -> None:
    steadiness = SoftState(3)
    texts = [steadiness.apply(look).text for look in (OK, BAD, BAD, BAD)]
    assert texts == ["answered", f"1 of 3: {BAD.text}", f"2 of 3: {BAD.text}", BAD.text]


def test_one_failure_is_enough_where_one_is_asked_for() -> None:
    assert SoftState(1).apply(BAD) == BAD


def test_an_expired_certificate_counts_at_the_first_look() -> None:
    """The alert on its days would open with `1 of 2` in its text; a second look would say the same."""
    expired = CheckResult("critical", "the certificate expired", "expired")
    assert SoftState(2).apply(expired) == expired


def test_failures_right_after_the_start_are_unknown_until_they_count() -> None:
    assert statuses(SoftState(3), BAD, BAD, BAD) == ["unknown", "unknown", "critical"]


def test_warnings_and_failures_by_turns_are_a_warning() -> None:
    assert statuses(SoftState(2), OK, WARNING, BAD, WARNING, BAD) == ["ok", "ok", *["warning"] * 3]


def test_a_failure_that_eases_is_a_warning_at_once() -> None:
    assert statuses(SoftState(2), BAD, BAD, WARNING) == ["unknown", "critical", "warning"]


def test_a_look_without_result_ends_no_row_and_adds_to_none() -> None:
    assert statuses(SoftState(2), OK, BAD, UNKNOWN, BAD) == ["ok", "ok", "unknown", "critical"]
    assert statuses(SoftState(2), OK, UNKNOWN, UNKNOWN, BAD) == ["ok", "unknown", "unknown", "ok"]


def test_a_check_may_make_its_failures_warnings() -> None:
    assert SoftState(1, "warning").apply(BAD) == BAD._replace(status="warning")


@pytest.mark.parametrize(("latency", "status"), [(250.0, "ok"), (250.1, "warning")])
def test_an_answer_is_slow_only_past_the_limit(latency: float, status: CheckStatus) -> None:
    look = OK._replace(figures={"check_latency_ms": latency})
    assert SoftState(1, slow_ms=250).apply(look).status == status


def test_a_slow_answer_says_how_long_it_took_and_what_was_expected() -> None:
    look = SoftState(1, slow_ms=2000).apply(OK._replace(figures={"check_latency_ms": 2345.6}))
    assert look.text == "Slow: 2,346 ms (limit 2s): answered"
    assert look.reason == "slow"


def test_a_slow_failure_stays_what_it_is() -> None:
    look = BAD._replace(figures={"check_latency_ms": 9000})
    assert SoftState(1, slow_ms=250).apply(look) == look

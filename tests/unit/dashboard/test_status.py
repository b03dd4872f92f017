"""The overall status."""

from datetime import timedelta

import pytest

from services.dashboard.status import MOST_ALERTS, Situation, judge
from shared.schema.records import Health, Status
from tests.unit.dashboard.cases import NOON, an_alert

WELL = Situation(alerts=[], hosts={}, gone={}, missing=(), redis_away=False, any_record=True)


def host(status: Status, *reasons: str) -> dict[str, Health]:
    return {"box": Health(host="box", timestamp=NOON, system_health=status, reasons=list(reasons))}


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (WELL, "HEALTHY"),
        (WELL._replace(hosts=host("HEALTHY")), "HEALTHY"),
        (WELL._replace(any_record=False), "UNKNOWN"),
        (WELL._replace(alerts=[an_alert(1, "LOW")]), "WARNING"),
        (WELL._replace(hosts=host("WARNING")), "WARNING"),
        (WELL._replace(gone={"recorder": NOON}), "WARNING"),
        (WELL._replace(missing={"evaluator"}), "WARNING"),
        (WELL._replace(redis_away=True), "WARNING"),
        (WELL._replace(any_record=False, gone={"recorder": NOON}), "WARNING"),
        (WELL._replace(alerts=[an_alert(1, "LOW"), an_alert(2, "CRITICAL")]), "CRITICAL"),
        (WELL._replace(hosts=host("CRITICAL"), gone={"recorder": NOON}), "CRITICAL"),
    ],
)
def test_the_gravest_thing_decides(situation: Situation, expected: str) -> None:
    assert judge(situation).status == expected


def test_an_acknowledged_critical_alert_is_still_critical() -> None:
    alert = an_alert(1, "CRITICAL")
    alert.status = "ACKNOWLEDGED"
    assert judge(WELL._replace(alerts=[alert])).status == "CRITICAL"


def test_reasons_name_what_is_wrong_gravest_first() -> None:
    situation = WELL._replace(
        alerts=[an_alert(1, "LOW", "beta"), an_alert(2, "HIGH", "alpha")],
        hosts=host("WARNING", "CPU at 75 %", "disk at 90 %"),
        gone={"notifier": NOON - timedelta(seconds=30)},
        missing={"recorder", "evaluator"},
        redis_away=True,
    )
    assert judge(situation).reasons == [
        "HIGH: alpha: drawdown above 20 %",
        "LOW: beta: drawdown above 20 %",
        "Host box is WARNING: CPU at 75 %; disk at 90 %",
        "The notifier is gone: last seen at 11:59:30 UTC.",
        "The evaluator is not running.",
        "The recorder is not running.",
        "Redis does not answer: the figures are the last ones stored.",
    ]


@pytest.mark.parametrize(
    ("further", "words"), [(1, "1 further alert is open."), (2, "2 further alerts are open.")]
)
def test_many_alerts_are_counted_instead_of_named(further: int, words: str) -> None:
    reasons = judge(WELL._replace(alerts=[an_alert(n) for n in range(MOST_ALERTS + further)])).reasons
    assert len(reasons) == MOST_ALERTS + 1
    assert reasons[-1] == words


@pytest.mark.parametrize("situation", [WELL, WELL._replace(any_record=False)])
def test_there_is_always_a_reason_in_words(situation: Situation) -> None:
    assert [reason.endswith(".") for reason in judge(situation).reasons] == [True]

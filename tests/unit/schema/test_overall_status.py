"""The overall status."""

from datetime import timedelta

import pytest

from services.collector.host import status as collector
from shared.schema.alerts import Alert, Details
from shared.schema.overall_status import MAX_LISTED, StatusInputs, evaluate_status, urgent_alerts
from shared.schema.records import Check, CheckStatus, Disk, Health, Status
from shared.schema.thresholds import Thresholds
from tests.unit.dashboard.sample_data import NOON, make_alert

WELL = StatusInputs(
    alerts=[], hosts={}, checks=[], lost_parts={}, stopped_parts=(), redis_fault=None, any_record=True
)


def host(status: Status, *reasons: str) -> dict[str, Health]:
    return {"box": Health(host="box", timestamp=NOON, system_health=status, reasons=list(reasons))}


def check(status: CheckStatus, name: str = "binance", text: str = "it refuses connections") -> Check:
    return Check(host="box", check=name, type="exchange", status=status, text=text, timestamp=NOON)


def disk(*, full_days: float | None = None, read_only: bool = False) -> Disk:
    return Disk(mount="/", usage=50, total_bytes=2, free_bytes=1, full_days=full_days, read_only=read_only)


def an_alert_on(name: str) -> Alert:
    """Return the alert of a check on the host `box`."""
    alert = make_alert(1, "LOW", "box")
    alert.message = f"{name}: it refuses connections"
    alert.details.bot, alert.details.host = None, "box"
    alert.details.labels = {"check": name, "type": "exchange"}
    return alert


@pytest.mark.parametrize(
    ("situation", "expected"),
    [
        (WELL, "HEALTHY"),
        (WELL._replace(checks=[check("ok"), check("unknown", "kraken")]), "HEALTHY"),
        (WELL._replace(checks=[check("warning")]), "WARNING"),
        (WELL._replace(checks=[check("critical")]), "CRITICAL"),
        (WELL._replace(checks=[check("critical")], alerts=[an_alert_on("binance")]), "WARNING"),
        (WELL._replace(checks=[check("critical")], alerts=[an_alert_on("bybit")]), "CRITICAL"),
        (WELL._replace(hosts=host("HEALTHY")), "HEALTHY"),
        (WELL._replace(any_record=False), "UNKNOWN"),
        (WELL._replace(alerts=[make_alert(1, "LOW")]), "WARNING"),
        (WELL._replace(hosts=host("WARNING")), "WARNING"),
        (WELL._replace(lost_parts={"recorder": NOON}), "WARNING"),
        (WELL._replace(stopped_parts={"evaluator"}), "WARNING"),
        (WELL._replace(redis_fault="Redis is out of memory"), "WARNING"),
        (WELL._replace(any_record=False, lost_parts={"recorder": NOON}), "WARNING"),
        (WELL._replace(alerts=[make_alert(1, "LOW"), make_alert(2, "CRITICAL")]), "CRITICAL"),
        (WELL._replace(hosts=host("CRITICAL"), lost_parts={"recorder": NOON}), "CRITICAL"),
    ],
)
def test_the_gravest_thing_decides(situation: StatusInputs, expected: str) -> None:
    assert evaluate_status(situation).status == expected


def test_an_acknowledged_alert_is_a_warning_and_a_muted_one_is_told_apart() -> None:
    """What somebody works on, or wants to hear nothing of, neither keeps the page red nor hides the rest."""
    taken, muted = make_alert(1, "CRITICAL"), make_alert(2, "CRITICAL", "beta")
    taken.status, taken.assignee = "ACKNOWLEDGED", "ann"
    muted.details.muted_by = "silenced by bob"
    overall = evaluate_status(WELL._replace(alerts=[taken, muted]))
    assert (overall.status, overall.reasons) == ("WARNING", ["1 acknowledged alert is still open."])
    assert overall.handled == [
        "CRITICAL: alpha: drawdown above 20% (acknowledged by ann)",
        "CRITICAL: beta: drawdown above 20% (silenced by bob)",
    ]
    assert evaluate_status(WELL._replace(alerts=[muted])).status == "HEALTHY"
    assert (
        evaluate_status(WELL._replace(alerts=[taken, make_alert(3, "CRITICAL", "gamma")])).status
        == "CRITICAL"
    )


def test_what_an_alert_says_of_its_host_is_not_said_again() -> None:
    """The host's own reason is left out, also where the alert is acknowledged; others stay."""
    alert = make_alert(1, "HIGH", "box")
    alert.details = Details(
        rule="host-cpu", host="box", metric="cpuUsage", value=100, operator=">=", threshold=95
    )
    busy = host("CRITICAL", "CPU at 100.0% (critical ≥ 95%)")
    assert evaluate_status(WELL._replace(alerts=[alert], hosts=busy)).reasons == [
        "HIGH: box: drawdown above 20%"
    ]
    alert.status, alert.assignee = "ACKNOWLEDGED", "ann"
    assert evaluate_status(WELL._replace(alerts=[alert], hosts=busy)).status == "WARNING"
    full = host("CRITICAL", "CPU at 100.0%", "disk / at 99.0%")
    assert evaluate_status(WELL._replace(alerts=[alert], hosts=full)).reasons[1:] == [
        "Host box is WARNING: disk / at 99.0%"
    ]
    assert evaluate_status(WELL._replace(alerts=[alert], hosts=full)).status == "WARNING"


@pytest.mark.parametrize(
    ("figure", "health"),
    [
        ("readOnlyDisks", Health(host="box", timestamp=NOON, disks=[disk(read_only=True)])),
        ("diskFullDays", Health(host="box", timestamp=NOON, disks=[disk(full_days=0.5)])),
        ("oomKills", Health(host="box", timestamp=NOON, oom_kills=2)),
        ("memoryPressure", Health(host="box", timestamp=NOON, memory_pressure=90)),
        ("clockSynchronised", Health(host="box", timestamp=NOON, clock_synchronised=0)),
    ],
)
def test_the_collectors_words_are_known_for_what_an_alert_says(figure: str, health: Health) -> None:
    """An alert of a shipped rule on hosts and the host's own reason are one thing, said once."""
    health.system_health, health.reasons = collector.evaluate_host(health, Thresholds())
    alert = make_alert(1, "HIGH", "box")
    alert.details = Details(rule="r", host="box", metric=figure, value=1, operator=">", threshold=0)
    found = evaluate_status(WELL._replace(alerts=[alert], hosts={"box": health}))
    assert health.reasons
    assert found.reasons == ["HIGH: box: drawdown above 20%"]


def test_reasons_name_what_is_wrong_gravest_first() -> None:
    situation = WELL._replace(
        alerts=[make_alert(1, "LOW", "beta"), make_alert(2, "HIGH", "alpha")],
        hosts=host("WARNING", "CPU at 75%", "disk at 90%"),
        lost_parts={"notifier": NOON - timedelta(seconds=30)},
        stopped_parts={"recorder", "evaluator"},
        redis_fault="Redis is out of memory",
    )
    assert evaluate_status(situation).reasons == [
        "HIGH: alpha: drawdown above 20%",
        "LOW: beta: drawdown above 20%",
        "Host box is WARNING: CPU at 75%; disk at 90%",
        "Notifier is not responding (last seen 2026-01-31 11:59:30 UTC).",
        "Evaluator is not running.",
        "Recorder is not running.",
        "Redis is out of memory: showing the last stored values.",
    ]


@pytest.mark.parametrize(("further", "words"), [(1, "1 more open alert."), (2, "2 more open alerts.")])
def test_many_alerts_are_counted_instead_of_named(further: int, words: str) -> None:
    reasons = evaluate_status(
        WELL._replace(alerts=[make_alert(n) for n in range(MAX_LISTED + further)])
    ).reasons
    assert len(reasons) == MAX_LISTED + 1
    assert reasons[-1] == words


def test_a_failing_check_says_what_is_wrong_in_its_own_words_gravest_first() -> None:
    checks = [check("warning", "bybit", "its clock is 3 s ahead"), check("ok", "kraken"), check("critical")]
    assert evaluate_status(WELL._replace(checks=checks)).reasons == [
        "CRITICAL: box: binance: it refuses connections",
        "WARNING: box: bybit: its clock is 3 s ahead",
    ]


def test_failing_check_with_an_alert_is_named_once() -> None:
    said = ["binance: it refused connections", "bybit: it is slow", "disk / is at 90%"]
    situation = WELL._replace(
        checks=[check("critical"), check("warning", "bybit", "it is slow")],
        alerts=[an_alert_on("binance")],
        hosts=host("CRITICAL", *said),
    )
    assert evaluate_status(situation).reasons == [
        "LOW: box: binance: it refuses connections",
        "Host box is WARNING: disk / is at 90%",
        "WARNING: box: bybit: it is slow",
    ]
    alone = situation._replace(hosts=host("CRITICAL", *said[:2]))
    assert [reason for reason in evaluate_status(alone).reasons if reason.startswith("Host")] == []


def test_the_alert_of_another_hosts_check_does_not_speak_of_this_one() -> None:
    alert = an_alert_on("binance")
    alert.details.host = "other"
    assert "CRITICAL: box: binance: it refuses connections" in (
        evaluate_status(WELL._replace(checks=[check("critical")], alerts=[alert])).reasons
    )


@pytest.mark.parametrize(("further", "words"), [(1, "1 more failing check."), (2, "2 more failing checks.")])
def test_many_checks_are_counted_instead_of_named(further: int, words: str) -> None:
    reasons = evaluate_status(
        WELL._replace(checks=[check("warning", str(n)) for n in range(MAX_LISTED + further)])
    ).reasons
    assert len(reasons) == MAX_LISTED + 1
    assert reasons[-1] == words


@pytest.mark.parametrize("situation", [WELL, WELL._replace(any_record=False)])
def test_there_is_always_a_reason_in_words(situation: StatusInputs) -> None:
    assert [reason.endswith(".") for reason in evaluate_status(situation).reasons] == [True]


def test_reasons_name_the_alerts_that_are_urgent() -> None:
    """They have the order of the page's list: of equally severe alerts the newest first."""
    alerts = [make_alert(number, "HIGH") for number in range(MAX_LISTED + 2)]
    for minutes, alert in enumerate(alerts):
        alert.timestamp = NOON + timedelta(minutes=minutes)
        alert.message = f"number {minutes}"
    reasons = evaluate_status(WELL._replace(alerts=alerts)).reasons
    urgent = [f"{one.severity}: {one.component}: {one.message}" for one in urgent_alerts(alerts)]
    assert reasons == [*urgent, "2 more open alerts."]
    assert urgent[0].endswith(f"number {MAX_LISTED + 1}")

"""Judging a host against thresholds."""

from typing import Any

import pytest

from services.collector.host.status import HostStatus, evaluate_host
from shared.schema.records import Check, CheckStatus, Disk, Health, Status
from shared.schema.thresholds import Threshold, Thresholds

THRESHOLDS = Thresholds(
    cpu=Threshold(warning=70, critical=90),
    memory=Threshold(warning=80, critical=95),
    disk=Threshold(warning=85, critical=95),
)


def disk(mount: str, usage: float = 10, **more: Any) -> Disk:
    return Disk(mount=mount, usage=usage, total_bytes=100, free_bytes=10, **more)


def check(name: str, status: CheckStatus, text: str = "") -> Check:
    return Check(host="h", check=name, type="http", status=status, text=text)


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (69.99, HostStatus("HEALTHY", [])),
        (70.0, HostStatus("WARNING", ["CPU at 70.0% (warning ≥ 70%)"])),
        (89.9, HostStatus("WARNING", ["CPU at 89.9% (warning ≥ 70%)"])),
        (90.0, HostStatus("CRITICAL", ["CPU at 90.0% (critical ≥ 90%)"])),
    ],
)
def test_a_figure_at_a_limit_has_reached_it(cpu: float, expected: HostStatus) -> None:
    assert evaluate_host(Health(host="h", cpu_usage=cpu), THRESHOLDS) == expected


def test_the_worst_figure_decides_and_every_reason_is_named_worst_first() -> None:
    health = Health(host="h", cpu_usage=75, memory_usage=10, disks=[disk("/", 20), disk("/data", 96)])
    assert evaluate_host(health, THRESHOLDS) == HostStatus(
        "CRITICAL",
        ["Disk /data at 96.0% (critical ≥ 95%)", "CPU at 75.0% (warning ≥ 70%)"],
    )


@pytest.mark.parametrize(
    ("health", "thresholds"),
    [(Health(host="h"), THRESHOLDS), (Health(host="h", cpu_usage=99), Thresholds())],
    ids=["nothing measured", "no thresholds"],
)
def test_without_anything_to_compare_the_status_is_unknown(health: Health, thresholds: Thresholds) -> None:
    status, reasons = evaluate_host(health, thresholds)
    assert status == "UNKNOWN"
    assert reasons


def test_a_threshold_may_have_only_one_limit() -> None:
    only_critical = Thresholds(cpu=Threshold(critical=90))
    assert evaluate_host(Health(host="h", cpu_usage=89), only_critical).status == "HEALTHY"
    assert evaluate_host(Health(host="h", cpu_usage=91), only_critical).status == "CRITICAL"


@pytest.mark.parametrize(
    ("figures", "status", "reason"),
    [
        ({"disks": [disk("/data", read_only=True)]}, "CRITICAL",
         "Disk /data is read-only"),
        ({"disks": [disk("/data", full_days=0.99)]}, "WARNING",
         "Disk /data full in 24 h at the current rate"),
        ({"disks": [disk("/data", full_days=0.05)]}, "CRITICAL",
         "Disk /data full in 72 min at the current rate"),
        ({"disks": [disk("/data", inode_usage=96.0)]}, "CRITICAL",
         "Inodes of disk /data at 96.0% (critical ≥ 95%)"),
        ({"oom_kills": 1}, "CRITICAL", "OOM kill: the kernel killed a process"),
        ({"oom_kills": 3}, "CRITICAL", "OOM kill: the kernel killed 3 processes"),
        ({"memory_pressure": 20.1}, "WARNING",
         "Tasks stalled on memory 20.1% of the time (limit 20%)"),
        ({"clock_synchronised": 0}, "WARNING", "Clock not synchronised: no NTP service is running"),
        ({"clock_synchronised": 1, "clock_offset_ms": 1500.0}, "CRITICAL",
         "Clock 1.5 s fast (limit 1 s)"),
        ({"clock_synchronised": 1, "clock_offset_ms": -1500.0}, "CRITICAL",
         "Clock 1.5 s slow (limit 1 s)"),
    ],
)  # fmt: skip
def test_what_is_wrong_without_a_threshold_has_its_own_sentence(
    figures: dict[str, Any], status: Status, reason: str
) -> None:
    health = Health(host="h", cpu_usage=1.0, **figures)
    assert evaluate_host(health, THRESHOLDS) == HostStatus(status, [reason])


@pytest.mark.parametrize(
    "figures",
    [
        {"disks": [disk("/", full_days=1.0)]},
        {"oom_kills": 0},
        {"memory_pressure": 20.0},
        {"clock_synchronised": 1, "clock_offset_ms": -1000.0},
        {"io_pressure": 99.0, "zombies": 5, "cgroup_throttled": 90.0},
    ],
)
def test_what_is_within_its_limits_is_no_reason(figures: dict[str, Any]) -> None:
    assert evaluate_host(Health(host="h", cpu_usage=1.0, **figures), THRESHOLDS) == HostStatus("HEALTHY", [])


def test_a_failing_check_is_a_reason_in_its_own_words() -> None:
    checks = [
        check("api", "warning", "answered in 3 s, expected 2 s"),
        check("bot", "critical", "no process fits"),
        check("web", "ok", "answered 200"),
        check("db", "unknown", "there is no systemd here"),
    ]
    assert evaluate_host(Health(host="h", cpu_usage=1.0), THRESHOLDS, checks) == HostStatus(
        "CRITICAL", ["bot: no process fits", "api: answered in 3 s, expected 2 s"]
    )


def test_checks_alone_can_be_judged_unless_none_of_them_knows() -> None:
    health = Health(host="h")
    assert evaluate_host(health, Thresholds(), [check("web", "ok")]) == HostStatus("HEALTHY", [])
    assert evaluate_host(health, Thresholds(), [check("web", "unknown")]).status == "UNKNOWN"


def test_a_check_that_says_much_still_fits_into_a_record() -> None:
    (reason,) = evaluate_host(Health(host="h"), Thresholds(), [check("web", "critical", "x" * 4096)]).reasons
    assert len(reason) == 4096

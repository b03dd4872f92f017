"""Judging a host against thresholds."""

import pytest

from services.collector.judge import Judgement, judge
from shared.runtime.documents import Threshold, Thresholds
from shared.schema.records import Disk, Health

THRESHOLDS = Thresholds(
    cpu=Threshold(warning=70, critical=90),
    memory=Threshold(warning=80, critical=95),
    disk=Threshold(warning=85, critical=95),
)


def disk(mount: str, usage: float) -> Disk:
    return Disk(mount=mount, usage=usage, total_bytes=100, free_bytes=10)


@pytest.mark.parametrize(
    ("cpu", "expected"),
    [
        (69.99, Judgement("HEALTHY", [])),
        (70.0, Judgement("WARNING", ["CPU is at 70.0 %, a warning from 70 % on"])),
        (89.9, Judgement("WARNING", ["CPU is at 89.9 %, a warning from 70 % on"])),
        (90.0, Judgement("CRITICAL", ["CPU is at 90.0 %, critical from 90 % on"])),
    ],
)
def test_a_figure_at_a_limit_has_reached_it(cpu: float, expected: Judgement) -> None:
    assert judge(Health(host="h", cpu_usage=cpu), THRESHOLDS) == expected


def test_the_worst_figure_decides_and_every_reason_is_named_worst_first() -> None:
    health = Health(host="h", cpu_usage=75, memory_usage=10, disks=[disk("/", 20), disk("/data", 96)])
    assert judge(health, THRESHOLDS) == Judgement(
        "CRITICAL",
        ["disk /data is at 96.0 %, critical from 95 % on", "CPU is at 75.0 %, a warning from 70 % on"],
    )


@pytest.mark.parametrize(
    ("health", "thresholds"),
    [(Health(host="h"), THRESHOLDS), (Health(host="h", cpu_usage=99), Thresholds())],
    ids=["nothing measured", "no thresholds"],
)
def test_without_anything_to_compare_the_status_is_unknown(health: Health, thresholds: Thresholds) -> None:
    status, reasons = judge(health, thresholds)
    assert status == "UNKNOWN"
    assert reasons


def test_a_threshold_may_have_only_one_limit() -> None:
    only_critical = Thresholds(cpu=Threshold(critical=90))
    assert judge(Health(host="h", cpu_usage=89), only_critical).status == "HEALTHY"
    assert judge(Health(host="h", cpu_usage=91), only_critical).status == "CRITICAL"

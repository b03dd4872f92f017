"""Judging a host: its figures against the thresholds of `health_monitor.json`. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from shared.runtime.documents import Threshold, Thresholds
from shared.schema.records import Health, Status


class Judgement(NamedTuple):
    """How a host is, and why in words when it is not well."""

    status: Status
    reasons: list[str]


def judge(health: Health, thresholds: Thresholds) -> Judgement:
    """Compare every figure that was measured with its threshold; the worst decides.

    A figure exactly at a limit has reached it. UNKNOWN when there was nothing to compare.
    """
    found: dict[Status, list[str]] = {"CRITICAL": [], "WARNING": []}
    compared = False
    for name, usage, threshold in _figures(health, thresholds):
        if threshold is None or usage is None:
            continue
        compared = True
        if threshold.critical is not None and usage >= threshold.critical:
            found["CRITICAL"].append(f"{name} is at {usage:.1f} %, critical from {threshold.critical:g} % on")
        elif threshold.warning is not None and usage >= threshold.warning:
            found["WARNING"].append(f"{name} is at {usage:.1f} %, a warning from {threshold.warning:g} % on")
    if not compared:
        return Judgement("UNKNOWN", ["no figure was measured that has a threshold"])
    worst: Status = next((status for status, reasons in found.items() if reasons), "HEALTHY")
    return Judgement(worst, found["CRITICAL"] + found["WARNING"])


def _figures(health: Health, thresholds: Thresholds) -> Iterator[tuple[str, float | None, Threshold | None]]:
    yield "CPU", health.cpu_usage, thresholds.cpu
    yield "memory", health.memory_usage, thresholds.memory
    for disk in health.disks:
        yield f"disk {disk.mount}", disk.usage, thresholds.disk

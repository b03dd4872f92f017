"""The overall status, decided: how it stands, and why, in words a person reads at 3 a.m. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.schema.alerts import SEVERITIES, Alert
from shared.schema.records import Health, Status

MOST_ALERTS = 5
"""How many alerts are named one by one."""


class Overall(NamedTuple):
    """The status and its reasons, gravest first."""

    status: Status
    reasons: list[str]


class Situation(NamedTuple):
    """All that the status depends on."""

    alerts: Sequence[Alert]
    """The open ones, acknowledged or not."""
    hosts: Mapping[str, Health]
    gone: Mapping[str, datetime]
    """Parts without a sign of life: name → when they were last seen."""
    missing: Collection[str]
    """Parts that never said that they run, or said that they stop."""
    redis_away: bool
    any_record: bool
    """Whether a record ever came."""


def judge(situation: Situation) -> Overall:
    """Decide the overall status.

    CRITICAL: a critical alert is open or a host is critical. WARNING: any other alert is open, a host is at
    warning, a part is gone or not running, or Redis is away. UNKNOWN: no record ever came. Else HEALTHY.
    """
    reasons = [
        *_of_alerts(situation.alerts),
        *_of_hosts(situation.hosts),
        *(f"The {part} is gone: last seen at {at:%H:%M:%S} UTC." for part, at in situation.gone.items()),
        *(f"The {part} is not running." for part in sorted(situation.missing)),
    ]
    if situation.redis_away:
        reasons.append("Redis does not answer: the figures are the last ones stored.")
    hosts = {host.system_health for host in situation.hosts.values()}
    if "CRITICAL" in hosts or any(alert.severity == "CRITICAL" for alert in situation.alerts):
        return Overall("CRITICAL", reasons)
    if reasons:
        return Overall("WARNING", reasons)
    if not situation.any_record:
        return Overall("UNKNOWN", ["No record has arrived yet."])
    return Overall("HEALTHY", ["No alert is open, every host is well and every part is running."])


def _of_alerts(alerts: Sequence[Alert]) -> list[str]:
    gravest = sorted(alerts, key=lambda alert: (-SEVERITIES.index(alert.severity), alert.timestamp))
    named = [f"{a.severity}: {a.component}: {a.message}" for a in gravest[:MOST_ALERTS]]
    further = len(gravest) - MOST_ALERTS
    if further > 0:
        named.append(f"{further} further {'alerts are' if further > 1 else 'alert is'} open.")
    return named


def _of_hosts(hosts: Mapping[str, Health]) -> list[str]:
    found = []
    for status in ("CRITICAL", "WARNING"):
        for name, host in hosts.items():
            if host.system_health == status:
                why = f": {'; '.join(host.reasons)}" if host.reasons else "."
                found.append(f"Host {name} is {status}{why}")
    return found

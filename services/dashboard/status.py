"""The overall status, decided: how it stands, and why, in words a person reads at 3 a.m. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.schema.alerts import SEVERITIES, Alert
from shared.schema.records import Check, CheckStatus, Health, Status

MOST = 5
"""How many alerts, and how many checks, are named one by one."""
_FAILING: tuple[CheckStatus, ...] = ("critical", "warning")
"""Gravest first."""


class Overall(NamedTuple):
    """The status and its reasons, gravest first."""

    status: Status
    reasons: list[str]


class Situation(NamedTuple):
    """All that the status depends on."""

    alerts: Sequence[Alert]
    """The open ones, acknowledged or not."""
    hosts: Mapping[str, Health]
    checks: Sequence[Check]
    gone: Mapping[str, datetime]
    """Parts without a sign of life: name → when they were last seen."""
    missing: Collection[str]
    """Parts that never said that they run, or said that they stop."""
    redis_away: bool
    any_record: bool
    """Whether a record ever came."""


def judge(situation: Situation) -> Overall:
    """Decide the overall status.

    CRITICAL: a critical alert is open, or a host, or a check that no alert speaks of, is critical. WARNING:
    any other alert is open, a host or such a check is at warning, a part is gone or not running, or Redis is
    away. UNKNOWN: no record ever came. Else HEALTHY.
    """
    failing = [check for check in situation.checks if check.status in _FAILING]
    told = {(alert.details.host, alert.details.labels.get("check")) for alert in situation.alerts}
    untold = [check for check in failing if (check.host, check.check) not in told]
    reasons = [
        *_of_alerts(situation.alerts),
        *_of_hosts(situation.hosts, {(check.host, check.check) for check in failing}),
        *_of_checks(untold),
        *(f"The {part} is gone: last seen at {at:%H:%M:%S} UTC." for part, at in situation.gone.items()),
        *(f"The {part} is not running." for part in sorted(situation.missing)),
    ]
    if situation.redis_away:
        reasons.append("Redis does not answer: the figures are the last ones stored.")
    if _is_critical(situation, untold):
        return Overall("CRITICAL", reasons)
    if reasons:
        return Overall("WARNING", reasons)
    if not situation.any_record:
        return Overall("UNKNOWN", ["No record has arrived yet."])
    return Overall("HEALTHY", ["No alert is open, every host is well and every part is running."])


def _is_critical(situation: Situation, untold: Sequence[Check]) -> bool:
    return (
        any(alert.severity == "CRITICAL" for alert in situation.alerts)
        or any(host.system_health == "CRITICAL" for host in situation.hosts.values())
        or any(check.status == "critical" for check in untold)
    )


def _of_alerts(alerts: Sequence[Alert]) -> list[str]:
    gravest = sorted(alerts, key=lambda alert: (-SEVERITIES.index(alert.severity), alert.timestamp))
    named = [f"{a.severity}: {a.component}: {a.message}" for a in gravest[:MOST]]
    further = len(gravest) - MOST
    if further > 0:
        named.append(f"{further} further {'alerts are' if further > 1 else 'alert is'} open.")
    return named


def _of_hosts(hosts: Mapping[str, Health], failing: Collection[tuple[str, str]]) -> list[str]:
    """Name hosts that are not well; what a failing check says of its host is told as the check's."""
    found = []
    for status in ("CRITICAL", "WARNING"):
        for name, host in hosts.items():
            if host.system_health != status:
                continue
            said = tuple(f"{check}: " for of, check in failing if of == name)
            own = [reason for reason in host.reasons if not reason.startswith(said)]
            if own or not host.reasons:
                why = f": {'; '.join(own)}" if own else "."
                found.append(f"Host {name} is {status}{why}")
    return found


def _of_checks(failing: Sequence[Check]) -> list[str]:
    gravest = sorted(failing, key=lambda check: (_FAILING.index(check.status), check.host, check.check))
    named = [f"{c.status.upper()}: {c.host}: {c.check}: {c.text}" for c in gravest[:MOST]]
    further = len(gravest) - MOST
    if further > 0:
        named.append(f"{further} further {'checks fail' if further > 1 else 'check fails'}.")
    return named

"""The overall status and its reasons, as people read them at 3 a.m. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from shared.schema.alerts import SEVERITIES, Alert
from shared.schema.formatting import metric_label
from shared.schema.records import CHECK_STATE, Check, CheckStatus, Health, Status

MAX_LISTED = 5
"""How many alerts, and how many checks, are named one by one."""
_FAILING: tuple[CheckStatus, ...] = ("critical", "warning")
"""Gravest first."""

_PHRASES = {
    "readOnlyDisks": " is read-only",
    "diskFullDays": " at the current rate",
    "oomKills": "OOM kill: ",
    "memoryPressure": "Tasks stalled on memory ",
    "clockSynchronised": "Clock not synchronised",
}
"""What a host's reason about a figure holds, where it does not begin with the figure's name."""


class OverallStatus(NamedTuple):
    """The status and its reasons, most severe first."""

    status: Status
    reasons: list[str]
    handled: list[str]
    """Open alerts that are acknowledged or muted."""


class StatusInputs(NamedTuple):
    """All that the status depends on."""

    alerts: Sequence[Alert]
    """The open ones, acknowledged or not."""
    hosts: Mapping[str, Health]
    checks: Sequence[Check]
    lost_parts: Mapping[str, datetime]
    """Parts whose presence key is old: name → when they were last seen."""
    stopped_parts: Collection[str]
    """Parts that never started, or were stopped."""
    redis_fault: str | None
    """Why Redis does not answer, or takes no writes."""
    any_record: bool
    """Whether a record ever came."""


def evaluate_status(situation: StatusInputs) -> OverallStatus:
    """Decide the overall status.

    CRITICAL: a critical alert needs attention, or a host or a check that no alert is about is critical.
    WARNING: any other alert needs attention or is acknowledged, such a host or check is at warning, a part is
    gone or not running, or Redis is away or takes no writes. UNKNOWN: no record ever came. Else HEALTHY,
    whatever is muted.
    """
    failing = [check for check in situation.checks if check.status in _FAILING]
    covered = {(alert.details.host, alert.details.labels.get("check")) for alert in situation.alerts}
    uncovered = [check for check in failing if (check.host, check.check) not in covered]
    triggered = [alert for alert in situation.alerts if needs_attention(alert)]
    handled = [alert for alert in situation.alerts if not needs_attention(alert)]
    hosts = _unreported_hosts(situation, failing)
    reasons = [
        *_alert_reasons(triggered),
        *_acknowledged_reasons(handled),
        *_host_reasons(hosts),
        *_check_reasons(uncovered),
        *(
            f"{part.capitalize()} is not responding (last seen {at:%Y-%m-%d %H:%M:%S} UTC)."
            for part, at in situation.lost_parts.items()
        ),
        *(f"{part.capitalize()} is not running." for part in sorted(situation.stopped_parts)),
    ]
    if situation.redis_fault:
        reasons.append(f"{situation.redis_fault}: showing the last stored values.")
    known = [_describe_handled(alert) for alert in _most_severe_first(handled)[:MAX_LISTED]]
    if (
        any(alert.severity == "CRITICAL" for alert in triggered)
        or any(status == "CRITICAL" for status, _ in hosts.values())
        or any(check.status == "critical" for check in uncovered)
    ):
        return OverallStatus("CRITICAL", reasons, known)
    if reasons:
        return OverallStatus("WARNING", reasons, known)
    if not situation.any_record:
        return OverallStatus("UNKNOWN", ["No records received yet."], known)
    if handled:
        return OverallStatus("HEALTHY", ["All open alerts are muted; all parts are running."], known)
    return OverallStatus(
        "HEALTHY", ["All clear: no open alerts, all hosts healthy, all parts running."], known
    )


def needs_attention(alert: Alert) -> bool:
    """Say whether an open alert is neither acknowledged nor muted."""
    return alert.status == "ACTIVE" and not alert.details.muted_by


def urgent_alerts(alerts: Iterable[Alert]) -> list[Alert]:
    """Return as many alerts as the reasons name: the most severe that need attention, the newest first."""
    return _most_severe_first(filter(needs_attention, alerts))[:MAX_LISTED]


def _describe_handled(alert: Alert) -> str:
    by = alert.details.muted_by or f"acknowledged by {alert.assignee}"
    return f"{alert.severity}: {alert.component}: {alert.message} ({by})"


def _acknowledged_reasons(handled: Sequence[Alert]) -> list[str]:
    """Return how many alerts are acknowledged; muted ones are expected and not counted."""
    count = sum(alert.status == "ACKNOWLEDGED" and not alert.details.muted_by for alert in handled)
    return [f"{count} acknowledged {'alerts are' if count > 1 else 'alert is'} still open."] if count else []


def _alert_reasons(alerts: Sequence[Alert]) -> list[str]:
    worst = _most_severe_first(alerts)
    named = [f"{a.severity}: {a.component}: {a.message}" for a in worst[:MAX_LISTED]]
    further = len(worst) - MAX_LISTED
    if further > 0:
        named.append(f"{further} more open {'alerts' if further > 1 else 'alert'}.")
    return named


def _most_severe_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts by severity, of equal ones the newest first."""
    return sorted(alerts, key=lambda alert: (SEVERITIES.index(alert.severity), alert.timestamp), reverse=True)


def _unreported_hosts(
    situation: StatusInputs, failing: Sequence[Check]
) -> dict[str, tuple[Status, list[str]]]:
    """Return the unhealthy hosts, most severe first, each with the reasons that no alert or check covers.

    A reason that an open alert or a failing check covers is left to it. If that was the host's first and most
    severe reason, the rest is a warning.
    """
    found: dict[str, tuple[Status, list[str]]] = {}
    for status in ("CRITICAL", "WARNING"):
        for name, host in situation.hosts.items():
            if host.system_health != status:
                continue
            figures = {
                alert.details.metric
                for alert in situation.alerts
                if alert.details.host == name and alert.details.metric != CHECK_STATE
            }
            begins = {f"{check.check}: ".lower() for check in failing if check.host == name}
            begins |= {f"{metric_label(figure).lower()} " for figure in figures}
            phrases = [_PHRASES[figure] for figure in figures & _PHRASES.keys()]
            own = [
                reason
                for reason in host.reasons
                if not reason.lower().startswith(tuple(begins)) and not any(map(reason.__contains__, phrases))
            ]
            if own or not host.reasons:
                found[name] = (status if own[:1] == host.reasons[:1] else "WARNING"), own
    return dict(sorted(found.items(), key=lambda item: item[1][0] != "CRITICAL"))


def _host_reasons(hosts: Mapping[str, tuple[Status, list[str]]]) -> list[str]:
    return [
        f"Host {name} is {status}" + (f": {'; '.join(own)}" if own else ".")
        for name, (status, own) in hosts.items()
    ]


def _check_reasons(failing: Sequence[Check]) -> list[str]:
    worst = sorted(failing, key=lambda check: (_FAILING.index(check.status), check.host, check.check))
    named = [f"{c.status.upper()}: {c.host}: {c.check}: {c.text}" for c in worst[:MAX_LISTED]]
    further = len(worst) - MAX_LISTED
    if further > 0:
        named.append(f"{further} more failing {'checks' if further > 1 else 'check'}.")
    return named

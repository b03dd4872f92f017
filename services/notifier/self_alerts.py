"""Self-alerts: alerts about Botwatch itself, opened and resolved by the part that finds the problem."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

import msgspec
from sqlalchemy import Connection

from shared.schema.alerts import Alert, Category, Details, Severity, alert_links
from shared.schema.silences import alert_labels
from shared.store import alerts as store
from shared.store.silences import current_silences

COMPONENT = "botwatch"


class SelfAlert(NamedTuple):
    """A problem of Botwatch itself."""

    rule: str
    """Name of the alert's rule."""
    labels: tuple[tuple[str, str], ...]
    """Names and values that identify what the problem is about."""
    message: str
    metric: str
    value: float
    threshold: float
    severity: Severity = "CRITICAL"
    category: Category = "CONNECTIVITY"
    runbook: str | None = None

    @property
    def fingerprint(self) -> str:
        """Identify the problem: one open alert per fingerprint."""
        return "/".join((COMPONENT, self.rule, *(f"{name}={value}" for name, value in self.labels)))


def build_alert(problem: SelfAlert, origin: str, dashboard_url: str, now: datetime) -> Alert:
    """Return the alert about `problem` that the part `origin` opens at `now`."""
    alert = Alert(
        id=uuid4().hex,
        timestamp=now,
        severity=problem.severity,
        category=problem.category,
        component=COMPONENT,
        message=problem.message,
        status="ACTIVE",
        details=Details(
            rule=problem.rule,
            metric=problem.metric,
            value=problem.value,
            operator=">",
            threshold=problem.threshold,
            labels=dict(problem.labels),
            runbook=problem.runbook,
            origin=origin,
        ),
        fingerprint=problem.fingerprint,
        updated_at=now,
    )
    alert.details.links = alert_links(alert, dashboard_url)
    return alert


def open_self_alert(connection: Connection, alert: Alert) -> Alert | None:
    """Open a self-alert; return it, or None if it is open already."""
    if store.open_by_fingerprint(connection, alert.fingerprint):
        return None
    _apply_silence(connection, alert, alert.updated_at)
    store.insert_alert(connection, alert)
    store.add_event(connection, alert, "opened", alert.updated_at)
    return alert


def apply_silences(connection: Connection, now: datetime) -> Iterator[Alert]:
    """Apply the silences of `now` to open self-alerts; yield those that change.

    The evaluator does the same for the alerts of rules.
    """
    for alert in store.open_alerts(connection):
        before = alert.details.silence
        if alert.details.origin is None or _apply_silence(connection, alert, now) == before:
            continue
        alert.updated_at = now
        store.update_alert(connection, alert)
        if before is None or alert.details.silence is None:
            store.add_event(connection, alert, "unmuted" if before else "muted", now)
        yield alert


def _apply_silence(connection: Connection, alert: Alert, now: datetime) -> str | None:
    """Set the silence of an alert; return its ID, None if no silence matches."""
    labels, details = alert_labels(alert), alert.details
    active = (silence for silence in current_silences(connection, now) if silence.state(now) == "active")
    silence = next((silence for silence in active if silence.matches(labels)), None)
    details.silence = silence.id if silence else None
    details.muted_by = f"silenced by {silence.created_by}" if silence else None
    return details.silence


def resolve_self_alert(connection: Connection, fingerprint: str, now: datetime) -> Alert | None:
    """Resolve a self-alert; return it, None if it is not open."""
    alert = store.open_by_fingerprint(connection, fingerprint)
    if alert is None:
        return None
    ended = msgspec.structs.replace(alert, status="RESOLVED", resolved_at=now, updated_at=now)
    store.update_alert(connection, ended)
    store.add_event(connection, ended, "resolved", now)
    return ended

"""Trouble with Botwatch itself, as alerts: opened and resolved by the part that notices it."""

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
    """What is wrong with a piece of Botwatch."""

    rule: str
    """What kind it is: the alert's rule."""
    labels: tuple[tuple[str, str], ...]
    """What it is about."""
    message: str
    metric: str
    value: float
    threshold: float
    severity: Severity = "CRITICAL"
    category: Category = "CONNECTIVITY"
    runbook: str | None = None

    @property
    def fingerprint(self) -> str:
        """Identify what it is about: one open alert each."""
        return "/".join((COMPONENT, self.rule, *(f"{name}={value}" for name, value in self.labels)))


def build_alert(trouble: SelfAlert, origin: str, dashboard_url: str, now: datetime) -> Alert:
    """Return the alert about `trouble` that `origin`, a part, opens at `now`."""
    alert = Alert(
        id=uuid4().hex,
        timestamp=now,
        severity=trouble.severity,
        category=trouble.category,
        component=COMPONENT,
        message=trouble.message,
        status="ACTIVE",
        details=Details(
            rule=trouble.rule,
            metric=trouble.metric,
            value=trouble.value,
            operator=">",
            threshold=trouble.threshold,
            labels=dict(trouble.labels),
            runbook=trouble.runbook,
            origin=origin,
        ),
        fingerprint=trouble.fingerprint,
        updated_at=now,
    )
    alert.details.links = alert_links(alert, dashboard_url)
    return alert


def open_self_alert(connection: Connection, alert: Alert) -> Alert | None:
    """Open an alert of our own unless there is one; return it, or None where it was open already."""
    if store.open_by_fingerprint(connection, alert.fingerprint):
        return None
    _apply_silence(connection, alert, alert.updated_at)
    store.insert_alert(connection, alert)
    store.add_event(connection, alert, "opened", alert.updated_at)
    return alert


def apply_silences(connection: Connection, now: datetime) -> Iterator[Alert]:
    """Let the silences of `now` hold for the open alerts of our own; yield those that it changes.

    The evaluator does so for the alerts of rules.
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
    """Note in an alert which silence holds for it; return its id, None where none does."""
    labels, details = alert_labels(alert), alert.details
    holding = (one for one in current_silences(connection, now) if one.state(now) == "active")
    silence = next((one for one in holding if one.matches(labels)), None)
    details.silence = silence.id if silence else None
    details.muted_by = f"silenced by {silence.created_by}" if silence else None
    return details.silence


def resolve_self_alert(connection: Connection, fingerprint: str, now: datetime) -> Alert | None:
    """Resolve an alert of our own; return it, None where none is open."""
    alert = store.open_by_fingerprint(connection, fingerprint)
    if alert is None:
        return None
    ended = msgspec.structs.replace(alert, status="RESOLVED", resolved_at=now, updated_at=now)
    store.update_alert(connection, ended)
    store.add_event(connection, ended, "resolved", now)
    return ended

"""Self-alerts: what is wrong with Botwatch itself, and the alert about it. Pure; time is an argument."""

from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from shared.schema.alerts import Alert, Category, Details, Severity, alert_links

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

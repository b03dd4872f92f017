"""Documents and alerts for tests of routes, escalations and rotations."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.runtime.config.documents import AlertsSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import EmailConfig, Notifications
from shared.schema.alerts import Alert, Category, Details, Severity

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MAIL = EmailConfig(smtp="127.0.0.1", sender="a@b.example", to=["c@d.example"])


def notifications(text: str) -> Notifications:
    """Read `notifications.yml`, which stands as it would in the file."""
    return msgspec.yaml.decode(text, type=Notifications)


def documents(text: str = "", **alerts: Any) -> Documents:
    """Return the documents with this `notifications.yml` and section `alerts`."""
    health = HealthMonitor(alerts=AlertsSection(**alerts))
    return Documents(PerformanceLogger(), health, notifications(text or "{}"))


def alert(
    rule: str = "slippage",
    bot: str | None = "demo",
    severity: Severity = "HIGH",
    category: Category = "PERFORMANCE",
    **labels: str,
) -> Alert:
    """Return an open alert."""
    details = Details(
        rule=rule, bot=bot, metric="slippage", value=3, operator=">", threshold=2, labels=labels
    )
    return Alert(
        id="a1", timestamp=NOON, severity=severity, category=category, component=bot or "box", message="m",
        status="ACTIVE", details=details, fingerprint="f", updated_at=NOON,
    )  # fmt: skip


def utc(text: str) -> datetime:
    """Return a moment, which is written without its zone."""
    return datetime.fromisoformat(f"{text}+00:00")

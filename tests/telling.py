"""Telling as the notifier does, without its threads: what happened to alerts becomes deliveries."""

from datetime import datetime
from typing import Any

import msgspec

from services.notifier.plan import Plan
from services.notifier.telling import Telling
from shared.runtime.documents import AlertsSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.notifications import EmailConfig, Notifications
from shared.store import escalations
from shared.store.database import Database

EVERYBODY = AlertsSection(
    webhook_url="http://127.0.0.1:9/hook",
    email_config=EmailConfig(smtp="127.0.0.1", sender="a@b.c", to=["d@e.f"]),
)
"""The seed's two channels, `webhook` and `email`."""


def plan_of(**sections: Any) -> Plan:
    """Return the plan of a `notifications.yml` with these sections; the seed's channels are switched on."""
    notifications = msgspec.convert(sections, Notifications)
    return Plan.of(Documents(PerformanceLogger(), HealthMonitor(alerts=EVERYBODY), notifications))


def dispatch(database: Database, now: datetime, plan: Plan | None = None) -> set[str]:
    """Tell of all that has happened and is due at `now`; return the channels that have something new."""
    with database.write() as connection:
        telling = Telling(connection, plan or plan_of(), now)
        while found := escalations.happenings(connection, 100):
            for happening in found:
                telling.take(happening)
            escalations.set_dispatched(connection, found[-1].id)
        for escalation, alert in escalations.due_escalations(connection, now, 100):
            telling.take_due(escalation, alert)
    return telling.channels

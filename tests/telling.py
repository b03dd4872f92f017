"""The notifier without its threads: what happened to alerts becomes deliveries, and they are made."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select

from services.notifier.dispatch import Dispatcher
from services.notifier.plan import Plan
from shared.runtime.documents import AlertsSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.notifications import EmailConfig, Notifications
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import Delivery
from shared.store.tables import notifications

EVERYBODY = AlertsSection(
    webhook_url="http://127.0.0.1:9/hook",
    email_config=EmailConfig(smtp="127.0.0.1", sender="a@b.c", to=["d@e.f"]),
)
"""The seed's two channels, `webhook` and `email`."""


def plan_of(**sections: Any) -> Plan:
    """Return the plan of a `notifications.yml` with these sections; the seed's channels are switched on."""
    notifications = msgspec.convert(sections, Notifications)
    return Plan.of(Documents(PerformanceLogger(), HealthMonitor(alerts=EVERYBODY), notifications))


class Silent:
    """An announcer that announces nothing, and counts how often it would."""

    def __init__(self) -> None:
        self.count = 0

    def announce(self) -> int:
        """Count."""
        self.count += 1
        return 0


def dispatch(database: Database, now: datetime, plan: Plan | None = None) -> set[str]:
    """Let the dispatcher look once at `now`; return the channels that it wakes."""
    woken: set[str] = set()
    Dispatcher(database, Silent(), plan or plan_of(), woken.update).step(now)  # type: ignore[arg-type]
    return woken


def deliver(database: Database, now: datetime) -> list[Delivery]:
    """Let every channel take what is due, and return what was delivered."""
    delivered = []
    with database.write() as connection:
        for channel in connection.execute(select(notifications.c.channel).distinct()).scalars().all():
            while claimed := deliveries.claim(connection, channel, "test", now):
                for one in claimed:
                    deliveries.mark_sent(connection, one, now)
                delivered += claimed
    return delivered

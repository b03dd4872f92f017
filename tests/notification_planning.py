"""The notifier without its threads: what happened to alerts becomes deliveries, and they are made."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select

from services.notifier.planning.dispatcher import Dispatcher
from services.notifier.planning.routes import RoutingConfig
from shared.runtime.config.documents import AlertsSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import EmailConfig, Notifications
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import Delivery
from shared.store.tables import notifications

WEBHOOK_ALERTS = AlertsSection(
    webhook_url="http://127.0.0.1:9/hook",
    email_config=EmailConfig(smtp="127.0.0.1", sender="a@b.c", to=["d@e.f"]),
)
"""The seed's two channels, `webhook` and `email`."""


def routing_config(**sections: Any) -> RoutingConfig:
    """Return the plan of a `notifications.yml` with these sections; the seed's channels are switched on."""
    notifications = msgspec.convert(sections, Notifications)
    return RoutingConfig.from_documents(
        Documents(PerformanceLogger(), HealthMonitor(alerts=WEBHOOK_ALERTS), notifications)
    )


class Silent:
    """An alert stream publisher that publishes nothing, and counts how often it would."""

    def __init__(self) -> None:
        self.count = 0

    def publish(self) -> int:
        """Count."""
        self.count += 1
        return 0


def dispatch_due(database: Database, now: datetime, plan: RoutingConfig | None = None) -> set[str]:
    """Let the dispatcher look once at `now`; return the channels that it wakes."""
    woken: set[str] = set()
    Dispatcher(database, Silent(), plan or routing_config(), woken.update).dispatch_due(now)  # type: ignore[arg-type]
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

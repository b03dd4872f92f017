"""The notifier without its threads: what happened to alerts becomes deliveries, and they are made."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from services.notifier.planning.dispatcher import Dispatcher
from services.notifier.planning.routing_config import RoutingConfig
from shared.runtime.config.documents import AlertsSection, Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import EmailConfig, Notifications
from shared.store import deliveries
from shared.store.database import Database
from shared.store.deliveries import Claim, Delivery
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


class NoWorkers:
    """Channels without workers: nothing is leased; `woken` lists the channels with new deliveries."""

    def __init__(self) -> None:
        self.woken: list[str] = []

    def lease_due(self, connection: Connection, names: Iterable[str]) -> list[Claim]:  # noqa: ARG002
        """Lease nothing."""
        return []

    def hand_over(self, names: Iterable[str], claims: Iterable[Claim]) -> None:  # noqa: ARG002
        """Note the channels."""
        self.woken.extend(names)

    def count_suppressed(self, channel: str, reason: str) -> None:
        """Count nothing."""


def dispatch_all(dispatcher: Dispatcher, now: datetime) -> timedelta:
    """Dispatch all that is due at `now`; return the wait until the next step."""
    while not (wait := dispatcher.dispatch_batch(now)):
        pass
    return wait


def dispatch_due(database: Database, now: datetime, plan: RoutingConfig | None = None) -> set[str]:
    """Let a dispatcher dispatch what is due at `now`; return the channels that it wakes."""
    channels = NoWorkers()
    dispatch_all(Dispatcher(database, Silent(), plan or routing_config(), channels), now)  # type: ignore[arg-type]
    return set(channels.woken)


def deliver(database: Database, now: datetime) -> list[Delivery]:
    """Let every channel take what is due, and return what was delivered."""
    delivered = []
    with database.write() as connection:
        for channel in connection.execute(select(notifications.c.channel).distinct()).scalars().all():
            while claimed := deliveries.claim(connection, channel, "test", now):
                for one in claimed:
                    deliveries.mark_sent(connection, [deliveries.SentDelivery(one, now)])
                delivered += claimed
    return delivered

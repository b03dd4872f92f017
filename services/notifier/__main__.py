"""Notifier: `python -m services.notifier deliver`, and `… watchdog`, which monitors all parts."""

import os
import random
import socket
import sys
from uuid import uuid4

from redis import Redis

from services.notifier.channel_supervisor import ChannelSupervisor
from services.notifier.channel_tests import ChannelTester
from services.notifier.content.rendering import ContentFactory, load_contents
from services.notifier.delivery.channel_state import DeliveryContext
from services.notifier.delivery.leases import LeaseRenewer
from services.notifier.reload import NotifierReloader
from services.notifier.watchdog.out_of_band import OutOfBandSender
from services.notifier.watchdog.watchdog import Watchdog, WatchedDatabases
from shared.runtime import clock, service
from shared.runtime.config.documents import Documents, load_documents
from shared.runtime.databases import health_database, performance_database
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.runtime.redis.wake import wait_for_wake
from shared.runtime.settings import PartSettings
from shared.store.database import Database
from shared.store.outbox import pending_by_channel

POLL_INTERVAL_S = 1.0
"""How often the watchdog checks all parts."""


def main() -> None:
    """Run the notifier or the watchdog."""
    role = sys.argv[1] if len(sys.argv) > 1 else "deliver"
    if role == "deliver":
        run_delivery()
    elif role == "watchdog":
        run_watchdog()
    else:
        sys.exit(f"python -m services.notifier: expected deliver or watchdog, got {role}")


def run_delivery() -> None:
    """Deliver notifications until stopped; deliveries in flight may finish."""
    settings = service.configure_part("notifier", PartSettings)
    with service.exit_on_invalid_config("notifier"):
        documents = load_documents(settings.botwatch_config)
        health, performance = health_database(settings, documents), performance_database(settings, documents)
        health.require_schema("escalations")
        contents = load_contents(settings, documents, performance, health)
        announcer = AlertStreamPublisher(connect_redis(settings.redis_url), health)
        supervisor = ChannelSupervisor(documents, contents, _delivery_context(settings, health), announcer)

    tester = ChannelTester(connect_redis(settings.redis_url), settings.dashboard_url, documents, contents)

    def reload() -> int:
        documents = load_documents(settings.botwatch_config)
        contents = load_contents(settings, documents, performance, health)
        supervisor.reload(documents, contents)
        tester.reload(documents, contents)
        return len(documents.channels)

    with service.running_part("notifier", settings) as frame:
        frame.health.add("database", lambda: _pending(health))
        frame.health.add("dispatcher", supervisor.dispatcher.check)
        frame.health.add("channels", supervisor.check)
        leases = LeaseRenewer(lambda: supervisor.lease_owners, health)
        frame.health.add("leases", leases.check)
        supervisor.start()
        tester.start()
        requests = ReloadRequests(frame.redis, frame.hangup, "notifier")
        reloading = NotifierReloader(requests, reload, len(documents.channels))
        service.run_loop(frame, lambda: _wait_for_wake(frame.redis, supervisor))
        reloading.close()
        tester.close()
        supervisor.close()
        leases.close()
    performance.close()
    health.close()


def _wait_for_wake(redis: Redis, supervisor: ChannelSupervisor) -> None:
    if wait_for_wake(redis):
        supervisor.wake()


def _delivery_context(settings: PartSettings, health: Database) -> DeliveryContext:
    owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    return DeliveryContext(health, owner, random.random, settings.dashboard_url.rstrip("/"), lambda _: None)


def _pending(health: Database) -> dict[str, int]:
    with health.read() as connection:
        return pending_by_channel(connection)


def run_watchdog() -> None:
    """Monitor all parts until stopped."""
    settings = service.configure_part("watchdog", PartSettings)
    with service.exit_on_invalid_config("watchdog"):
        documents = load_documents(settings.botwatch_config)
        health, performance = health_database(settings, documents), performance_database(settings, documents)

        def read_config() -> tuple[Documents, ContentFactory]:
            documents = load_documents(settings.botwatch_config)
            return documents, load_contents(settings, documents, performance, health)

        sender = OutOfBandSender(read_config)
    redis = connect_redis(settings.redis_url, call_timeout_s=1.0, retries=0)
    watched = WatchedDatabases(
        Database(health.url, afresh=True, sync_commits=settings.durability == "always"),
        Database(performance.url, afresh=True),
    )
    watchdog = Watchdog(redis, watched, sender, settings.dashboard_url.rstrip("/"), clock.now())
    with service.running_part("watchdog", settings, needs_redis=False) as frame:
        frame.health.add("watch", watchdog.check)
        while not frame.stopping.is_set():
            watchdog.step(clock.now())
            frame.pulse.touch()
            frame.stopping.wait(POLL_INTERVAL_S)
    for one in watched:
        one.close()
    redis.close()
    performance.close()
    health.close()


if __name__ == "__main__":
    main()

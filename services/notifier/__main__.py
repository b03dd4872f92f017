"""Notifier: `python -m services.notifier deliver`, and `… watchdog`, which monitors all parts."""

import sys
from datetime import timedelta
from functools import partial

from prometheus_client import REGISTRY

from services.notifier.config import WatchdogSettings
from services.notifier.content.rendering import ContentFactory, load_contents
from services.notifier.notifier import ConfigReader, Notifier, Reloader
from services.notifier.watchdog.out_of_band import OutOfBandSender
from services.notifier.watchdog.watchdog import Watchdog, WatchdogMetrics, WatchedBackups, WatchedDatabases
from shared.runtime import clock, service
from shared.runtime.config.documents import Documents, load_documents
from shared.runtime.databases import health_database, performance_database
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.reload_requests import ReloadRequests
from shared.runtime.settings import PartSettings
from shared.store.database import Database
from shared.store.outbox import pending_by_channel

POLL_INTERVAL_S = 1.0
LOCK_TIMEOUT_S = 1.0
"""How long the watchdog waits for a locked database."""
"""How often the watchdog checks all parts."""
RETRY_S = 1.0
"""How often the notifier looks for something to dispatch while Redis is away."""
CALL_TIMEOUT_S = 2.0
"""How long the notifier waits for a Redis that hangs: it dispatches no later than after that."""


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
        connect = partial(connect_redis, settings.redis_url, call_timeout_s=CALL_TIMEOUT_S)
        read_config = _config_reader(settings, health, performance)
        page = settings.dashboard_url.rstrip("/")
        notifier = Notifier(read_config, health, connect, page, settings.botwatch_home)
    with service.running_part("notifier", settings) as frame:
        notifier.start()
        frame.health.add("database", lambda: _pending(health))
        frame.health.add("dispatcher", notifier.dispatcher.check)
        frame.health.add("channels", notifier.supervisor.check)
        frame.health.add("leases", notifier.leases.check)
        requests = ReloadRequests(frame.redis, frame.hangup, "notifier")
        reloader = Reloader(requests, notifier.reload, notifier.served)
        service.run_loop(frame, lambda: reloader.step(is_woken=notifier.step()), RETRY_S)
        notifier.close()
    performance.close()
    health.close()


def _config_reader(settings: PartSettings, health: Database, performance: Database) -> ConfigReader:
    def read_config() -> tuple[Documents, ContentFactory]:
        documents = load_documents(settings.botwatch_config)
        return documents, load_contents(settings, documents, performance, health)

    return read_config


def _pending(health: Database) -> dict[str, int]:
    with health.read() as connection:
        return pending_by_channel(connection)


def run_watchdog() -> None:
    """Monitor all parts until stopped."""
    settings = service.configure_part("watchdog", WatchdogSettings)
    with service.exit_on_invalid_config("watchdog"):
        documents = load_documents(settings.botwatch_config)
        health, performance = health_database(settings, documents), performance_database(settings, documents)
        sender = OutOfBandSender(_config_reader(settings, health, performance))
    redis = connect_redis(settings.redis_url, call_timeout_s=1.0, retries=0)
    watched = WatchedDatabases(
        Database(
            health.url,
            afresh=True,
            sync_commits=settings.durability == "always",
            lock_timeout_s=LOCK_TIMEOUT_S,
        ),
        Database(performance.url, afresh=True, lock_timeout_s=LOCK_TIMEOUT_S),
    )
    backups = WatchedBackups(settings.botwatch_home, timedelta(hours=settings.backup_max_age_hours))
    watchdog = Watchdog(redis, watched, sender, settings.dashboard_url.rstrip("/"), clock.now(), backups)
    with service.running_part("watchdog", settings, needs_redis=False) as frame:
        frame.health.add("watch", watchdog.check)
        REGISTRY.register(WatchdogMetrics(watchdog.verdict))
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

"""Notifier: `python -m services.notifier deliver`, and `… watchdog`, which watches over every part."""

import os
import random
import socket
import sys
from uuid import uuid4

from redis import Redis

from services.notifier.channel_tests import ChannelTester
from services.notifier.contents import Contents, contents_of
from services.notifier.direct import DirectLine
from services.notifier.leases import LeaseKeeper
from services.notifier.office import Office
from services.notifier.reloading import Reloading
from services.notifier.standing import Post
from services.notifier.watchdog import Databases, Watchdog
from shared.runtime import clock, service
from shared.runtime.announce import Announcer
from shared.runtime.databases import health_database, performance_database
from shared.runtime.documents import Documents, load_documents
from shared.runtime.redis import connect
from shared.runtime.reload import Requests
from shared.runtime.settings import Settings
from shared.runtime.waking import wait_for_wake
from shared.store.database import Database
from shared.store.outbox import pending_by_channel

LOOK_EVERY_S = 1.0
"""How often the watchdog looks."""


def main() -> None:
    """Run one of the two."""
    role = sys.argv[1] if len(sys.argv) > 1 else "deliver"
    if role == "deliver":
        deliver()
    elif role == "watchdog":
        watch()
    else:
        sys.exit(f"python -m services.notifier: expected deliver or watchdog, got {role}")


def deliver() -> None:
    """Deliver until the part is to stop, then let what is in hand end."""
    settings = service.start("notifier", Settings)
    with service.refusing("notifier"):
        documents = load_documents(settings.botwatch_config)
        health, performance = health_database(settings, documents), performance_database(settings, documents)
        health.require_schema("escalations")
        contents = contents_of(settings, documents, performance, health)
        announcer = Announcer(connect(settings.redis_url), health)
        office = Office(documents, contents, _post(settings, health), announcer)

    tester = ChannelTester(connect(settings.redis_url), settings.dashboard_url, documents, contents)

    def reload() -> int:
        documents = load_documents(settings.botwatch_config)
        contents = contents_of(settings, documents, performance, health)
        office.rearrange(documents, contents)
        tester.use(documents, contents)
        return len(documents.channels)

    with service.service("notifier", settings) as frame:
        frame.health.add("database", lambda: _pending(health))
        frame.health.add("dispatcher", office.dispatcher.check)
        frame.health.add("channels", office.check)
        leases = LeaseKeeper(lambda: office.leases, health)
        frame.health.add("leases", leases.check)
        office.start()
        tester.start()
        requests = Requests(frame.redis, frame.hangup, "notifier")
        reloading = Reloading(requests, reload, len(documents.channels))
        service.run(frame, lambda: _wait(frame.redis, office))
        reloading.close()
        tester.close()
        office.close()
        leases.close()
    performance.close()
    health.close()


def _wait(redis: Redis, office: Office) -> None:
    if wait_for_wake(redis):
        office.wake()


def _post(settings: Settings, health: Database) -> Post:
    owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    return Post(health, owner, random.random, settings.dashboard_url.rstrip("/"), lambda _: None)


def _pending(health: Database) -> dict[str, int]:
    with health.read() as connection:
        return pending_by_channel(connection)


def watch() -> None:
    """Watch over every part until told to stop."""
    settings = service.start("watchdog", Settings)
    with service.refusing("watchdog"):
        documents = load_documents(settings.botwatch_config)
        health, performance = health_database(settings, documents), performance_database(settings, documents)

        def documented() -> tuple[Documents, Contents]:
            documents = load_documents(settings.botwatch_config)
            return documents, contents_of(settings, documents, performance, health)

        line = DirectLine(documented)
    redis = connect(settings.redis_url, call_timeout_s=1.0, retries=0)
    watched = Databases(
        Database(health.url, afresh=True, sync_commits=settings.durability == "always"),
        Database(performance.url, afresh=True),
    )
    watchdog = Watchdog(redis, watched, line, settings.dashboard_url.rstrip("/"), clock.now())
    with service.service("watchdog", settings, needs_redis=False) as frame:
        frame.health.add("watch", watchdog.check)
        while not frame.stopping.is_set():
            watchdog.step(clock.now())
            frame.pulse.beat()
            frame.stopping.wait(LOOK_EVERY_S)
    for one in watched:
        one.close()
    redis.close()
    performance.close()
    health.close()


if __name__ == "__main__":
    main()

"""Notifier: delivers alerts to the people who asked for them, at least once, whatever is killed."""

import os
import random
import socket
import time
from uuid import uuid4

import structlog

from services.notifier.channels.registry import transport_of
from services.notifier.delivery import Channel
from services.notifier.jobs import wakes
from services.notifier.leases import LeaseKeeper
from services.notifier.worker import work
from shared.runtime import service
from shared.runtime.databases import health_database
from shared.runtime.documents import Documents, load_documents
from shared.runtime.redis import connect
from shared.runtime.settings import Settings
from shared.store.database import Database
from shared.store.outbox import pending_by_channel

log = structlog.get_logger()

PART = "notifier"
LAST_WORD_S = 1.0
"""How long a delivery in hand may take to end when the part stops."""


def main() -> None:
    """Run the notifier."""
    settings = service.start(PART, Settings)
    with service.refusing(PART):
        documents = load_documents(settings.botwatch_config)
        database = health_database(settings, documents)
        database.require_schema("notifications")
    channels = open_channels(documents, database)

    def ask_database() -> dict[str, int]:
        with database.read() as connection:
            return pending_by_channel(connection)

    with service.service(PART, settings) as frame:
        frame.health.add("database", ask_database)
        for channel in channels:
            frame.health.add(f"channel {channel.name}", channel.check)
        run(frame, settings, channels, database)


def open_channels(documents: Documents, database: Database) -> list[Channel]:
    """Return a channel for each that is configured."""
    owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"
    channels = [
        Channel(name, transport_of(name, section), database, owner, random.random)
        for name, section in documents.channels.items()
    ]
    if not channels:
        log.warning("no channel is configured: nobody will be told")
    return channels


def run(frame: service.Service, settings: Settings, channels: list[Channel], database: Database) -> None:
    """Deliver until the part is to stop, then let what is in hand end."""
    redis = connect(settings.redis_url)
    for channel in channels:
        wakes.register(channel.name, channel.wake)
    leases = LeaseKeeper(channels, database)
    for channel in channels:
        channel.start()
    work(frame, redis, [channel.name for channel in channels])
    for channel in channels:
        channel.stop()
    deadline = time.monotonic() + LAST_WORD_S
    hanging = [c.name for c in channels if not c.join(max(0.0, deadline - time.monotonic()))]
    if hanging:
        log.warning("stopping in mid-delivery: it will be sent again", channels=hanging)
    leases.close()
    redis.close()


if __name__ == "__main__":
    main()

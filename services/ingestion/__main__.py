"""Ingestion: `python -m services.ingestion http` and `python -m services.ingestion redis`."""

import sys

from services.ingestion.config import IngestionSettings, http_port
from services.ingestion.heartbeats import expectations_of
from services.ingestion.senders import Senders
from services.ingestion.units import to_percent
from shared.runtime.documents import load_documents
from shared.runtime.service import refusing, run, service, start


def main() -> None:
    """Run one of the doors."""
    door = sys.argv[1] if len(sys.argv) > 1 else "http"
    if door == "http":
        run_http()
    elif door == "redis":
        run_redis()
    else:
        sys.exit(f"python -m services.ingestion: expected http or redis, got {door}")


def run_http() -> None:
    """Become gunicorn with the HTTP door."""
    from shared.runtime.web import serve  # noqa: PLC0415 - the Redis door needs no Flask

    settings = start("ingestion", IngestionSettings)
    with refusing("ingestion"):
        documents = load_documents(settings.botwatch_config)
        expectations_of(documents.health.monitoring.heartbeats)
        Senders(settings)  # both refused here rather than by every worker
    serve("services.ingestion.wsgi:app()", settings, http_port(settings, documents))


def run_redis() -> None:
    """Run the Redis door until it is told to stop; heartbeats are expected here as it is one process."""
    from services.ingestion.expecting import Expecting  # noqa: PLC0415 - the HTTP door is many
    from services.ingestion.redis_door import ChannelDoor, StreamDoor  # noqa: PLC0415

    settings = start("ingestion-redis", IngestionSettings)
    with refusing("ingestion-redis"):
        documents = load_documents(settings.botwatch_config)
        percent = to_percent(documents.performance.analytics)
        expected = expectations_of(documents.health.monitoring.heartbeats)
    with service("ingestion-redis", settings, single=True) as frame:
        channel = ChannelDoor(frame.redis, frame.stopping, percent, settings.max_bots)
        frame.health.add("channel", channel.check)
        expecting = Expecting(frame.redis, expected.values(), frame.stopping)
        frame.health.add("heartbeats", expecting.check)
        channel.thread.start()
        expecting.thread.start()
        door = StreamDoor(frame.redis, frame.stopping, percent, frame.lease, settings.max_bots)
        run(frame, door.step)
        channel.thread.join(timeout=2)
        expecting.thread.join(timeout=2)


if __name__ == "__main__":
    main()

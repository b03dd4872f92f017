"""Entry point: `python -m services.ingestion http` and `python -m services.ingestion redis`."""

import sys

from services.ingestion.config import IngestionSettings, http_port
from services.ingestion.heartbeats import parse_heartbeats
from services.ingestion.ingest_tokens import IngestTokens
from services.ingestion.percent_conversion import percent_converter
from shared.runtime.access import log_open_access, require_secrets
from shared.runtime.config.documents import database_path, load_documents
from shared.runtime.disk_space import DiskSpace
from shared.runtime.service import configure_part, exit_on_invalid_config, run_loop, running_part


def main() -> None:
    """Run the HTTP endpoint or the Redis listener, as the first argument says."""
    source = sys.argv[1] if len(sys.argv) > 1 else "http"
    if source == "http":
        run_http_endpoint()
    elif source == "redis":
        run_redis_listener()
    else:
        sys.exit(f"python -m services.ingestion: expected http or redis, got {source}")


def run_http_endpoint() -> None:
    """Validate the configuration, then serve the HTTP endpoint."""
    from shared.runtime.web.app import run_gunicorn  # noqa: PLC0415 - the Redis listener needs no Flask
    from shared.runtime.web.tls import tls_files  # noqa: PLC0415

    settings = configure_part("ingestion", IngestionSettings)
    with exit_on_invalid_config("ingestion"):
        documents = load_documents(settings.botwatch_config)
        parse_heartbeats(documents.health.monitoring.heartbeats)
        tls = tls_files(settings)
        IngestTokens(settings)  # fail here, once, rather than in every worker
        require_secrets(settings)
    log_open_access(settings, settings.bind_host)
    run_gunicorn("services.ingestion.wsgi:app()", settings, http_port(settings, documents), tls)


def run_redis_listener() -> None:
    """Run the Redis listener and the heartbeat monitor until SIGTERM.

    The monitor runs here because this part is a single process; the HTTP endpoint has several workers.
    """
    from services.ingestion.heartbeat_monitor import HeartbeatMonitor  # noqa: PLC0415 - not for HTTP
    from services.ingestion.redis_listener import ChannelListener, StreamListener  # noqa: PLC0415

    settings = configure_part("ingestion-redis", IngestionSettings)
    with exit_on_invalid_config("ingestion-redis"):
        documents = load_documents(settings.botwatch_config)
        percent = percent_converter(documents.performance.analytics)
        expected = parse_heartbeats(documents.health.monitoring.heartbeats)
    with running_part("ingestion-redis", settings, single=True) as frame:
        disk = DiskSpace(database_path(settings, documents.performance.database).parent)
        channel = ChannelListener(frame.redis, frame.stopping, percent, settings.max_bots, disk)
        frame.health.add("channel", channel.check)
        monitor = HeartbeatMonitor(frame.redis, expected.values(), frame.stopping)
        frame.health.add("heartbeats", monitor.check)
        channel.thread.start()
        monitor.thread.start()
        stream = StreamListener(frame.redis, frame.stopping, percent, frame.lease, settings.max_bots, disk)
        run_loop(frame, stream.step)
        channel.thread.join(timeout=2)
        monitor.thread.join(timeout=2)


if __name__ == "__main__":
    main()

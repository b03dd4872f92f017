"""The application that gunicorn loads: the HTTP endpoint, wired."""

from flask import Flask

from services.ingestion.config import IngestionSettings, http_port
from services.ingestion.heartbeats import parse_heartbeats
from services.ingestion.http_endpoint import create_ingestion_app
from services.ingestion.percent_conversion import percent_converter
from shared.runtime.config.documents import database_path, load_documents
from shared.runtime.disk_space import DiskSpace
from shared.runtime.service import configure_part


def app() -> Flask:
    """Return the HTTP endpoint."""
    settings = configure_part("ingestion", IngestionSettings)
    documents = load_documents(settings.botwatch_config)
    section = documents.performance.prometheus
    metrics_path = section.endpoint if section.enabled else None
    percent = percent_converter(documents.performance.analytics)
    expected = parse_heartbeats(documents.health.monitoring.heartbeats)
    names = {key: heartbeat.name for key, heartbeat in expected.items()}
    disk = DiskSpace(database_path(settings, documents.performance.database).parent)
    return create_ingestion_app(settings, http_port(settings, documents), metrics_path, percent, names, disk)

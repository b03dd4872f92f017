"""What gunicorn loads: the HTTP door, wired."""

from flask import Flask

from services.ingestion.config import IngestionSettings, http_port
from services.ingestion.heartbeats import expectations_of
from services.ingestion.http import make_app
from services.ingestion.units import to_percent
from shared.runtime.documents import load_documents
from shared.runtime.service import start


def app() -> Flask:
    """Return the HTTP door."""
    settings = start("ingestion", IngestionSettings)
    documents = load_documents(settings.botwatch_config)
    section = documents.performance.prometheus
    metrics_path = section.endpoint if section.enabled else None
    percent = to_percent(documents.performance.analytics)
    expected = expectations_of(documents.health.monitoring.heartbeats)
    names = {key: one.name for key, one in expected.items()}
    return make_app(settings, http_port(settings, documents), metrics_path, percent, names)

"""What gunicorn loads: the HTTP door, wired."""

from flask import Flask

from services.ingestion.config import IngestionSettings, http_port
from services.ingestion.http import make_app
from shared.runtime.documents import load_documents
from shared.runtime.service import start


def app() -> Flask:
    """Return the HTTP door."""
    settings = start("ingestion", IngestionSettings)
    documents = load_documents(settings.botwatch_config)
    section = documents.performance.prometheus
    return make_app(settings, http_port(settings, documents), section.endpoint if section.enabled else None)

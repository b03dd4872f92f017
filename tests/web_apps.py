"""The apps of the web parts, connected to nothing."""

from flask import Flask

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.ingestion.config import IngestionSettings
from services.ingestion.http_endpoint import create_ingestion_app
from shared.runtime.redis.connection import connect_redis
from shared.runtime.signed_links import SignedLinks
from shared.store.database import Database


def web_app(part: str) -> Flask:
    """Return the app of a web part; it connects to nothing."""
    if part == "ingestion":
        return create_ingestion_app(IngestionSettings(), 9090, "/metrics")
    database = Database("sqlite://")
    sources = DataSources(connect_redis("redis://127.0.0.1:1/0"), database, database)
    return create_dashboard_app(DashboardSettings(), sources, SignedLinks(b"", ""))

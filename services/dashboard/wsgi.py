"""The dashboard's WSGI app, as gunicorn loads it."""

import os

from flask import Flask

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime.config.documents import load_documents
from shared.runtime.databases import health_database, performance_database
from shared.runtime.redis.connection import connect_redis
from shared.runtime.service import configure_part, exit_on_invalid_config
from shared.runtime.signed_links import SignedLinks, load_secret

REDIS_TIMEOUT_S = 1.0
"""Short: the page shows stored values rather than wait."""


def app() -> Flask:
    """Return the dashboard; SchemaMissingError when the databases were not migrated."""
    settings = configure_part("dashboard", DashboardSettings)
    documents = load_documents(settings.botwatch_config)
    performance = performance_database(settings, documents)
    health = health_database(settings, documents)
    for database, table in ((performance, "performance_metrics"), (health, "alerts")):
        database.require_schema(table)
        database.close()
    redis = connect_redis(settings.redis_url, call_timeout_s=REDIS_TIMEOUT_S, retries=1)
    with exit_on_invalid_config("dashboard"):
        secret = load_secret(settings.botwatch_home, os.environ)
        links = SignedLinks(secret, settings.dashboard_url)
        analytics = documents.performance.analytics
        home, config = settings.botwatch_home, settings.botwatch_config
        sources = DataSources(redis, performance, health, home, analytics, config)
        return create_dashboard_app(settings, sources, links)

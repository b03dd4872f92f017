"""What gunicorn loads: the dashboard, wired."""

import os

from flask import Flask

from services.dashboard.app import make_app
from services.dashboard.config import DashboardSettings
from services.dashboard.sources import Sources
from shared.runtime.databases import health_database, performance_database
from shared.runtime.documents import load_documents
from shared.runtime.links import Links, load_secret
from shared.runtime.redis import connect
from shared.runtime.service import refusing, start

REDIS_TIMEOUT_S = 1.0
"""The page would rather show what is stored than wait."""


def app() -> Flask:
    """Return the dashboard; SchemaMissingError when the databases were not migrated."""
    settings = start("dashboard", DashboardSettings)
    documents = load_documents(settings.botwatch_config)
    performance = performance_database(settings, documents)
    health = health_database(settings, documents)
    for database, table in ((performance, "performance_metrics"), (health, "alerts")):
        database.require_schema(table)
        database.close()
    redis = connect(settings.redis_url, call_timeout_s=REDIS_TIMEOUT_S, retries=1)
    with refusing("dashboard"):
        secret = load_secret(settings.botwatch_home, os.environ)
    links = Links(secret, settings.dashboard_url)
    return make_app(settings, Sources(redis, performance, health), links)

"""The two databases of a home, as the config documents name them."""

import os
from pathlib import Path

from shared.runtime.documents import DatabaseSection, Documents
from shared.runtime.settings import Settings
from shared.store.database import Database, sqlite_url


def performance_database(settings: Settings, documents: Documents) -> Database:
    """Open the database of what bots report."""
    return _open(settings, documents.performance.database)


def health_database(settings: Settings, documents: Documents) -> Database:
    """Open the database of hosts, alerts and deliveries."""
    return _open(settings, documents.health.database)


def _open(settings: Settings, section: DatabaseSection) -> Database:
    return Database(database_url(settings, section), sync_commits=settings.durability == "always")


def database_url(settings: Settings, section: DatabaseSection) -> str:
    """Return the URL of the database that a document names, as the seed's relative paths mean it."""
    base = settings.botwatch_home.absolute() / "enterprise" / "monitoring"
    return sqlite_url(Path(os.path.normpath(base / section.path)))

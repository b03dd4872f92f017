"""Open the two databases that the config documents name."""

from shared.runtime.config.documents import DatabaseSection, Documents, database_path
from shared.runtime.settings import PartSettings
from shared.store.database import Database, sqlite_url


def performance_database(settings: PartSettings, documents: Documents) -> Database:
    """Open the database of the bots' records and metrics."""
    return _open_database(settings, documents.performance.database)


def health_database(settings: PartSettings, documents: Documents) -> Database:
    """Open the database of hosts, alerts and deliveries."""
    return _open_database(settings, documents.health.database)


def _open_database(settings: PartSettings, section: DatabaseSection) -> Database:
    return Database(database_url(settings, section), sync_commits=settings.durability == "always")


def database_url(settings: PartSettings, section: DatabaseSection) -> str:
    """Return the URL of a document's database."""
    return sqlite_url(database_path(settings, section))

"""Open the two databases that the config documents name."""

from pathlib import Path

from sqlalchemy.engine import make_url

from shared.runtime.config.documents import DatabaseSection, Documents, database_path
from shared.runtime.disk_space import DiskSpace
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


def disk_of(database_url: str) -> DiskSpace | None:
    """Return the disk of an SQLite database; None for a database on a server."""
    url = make_url(database_url)
    is_file = url.get_backend_name() == "sqlite" and url.database
    return DiskSpace(Path(str(url.database)).parent) if is_file else None


def database_url(settings: PartSettings, section: DatabaseSection) -> str:
    """Return the URL of a document's database."""
    return sqlite_url(database_path(settings, section))

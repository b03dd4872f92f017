"""The two databases of a home, as the config documents name them."""

from shared.runtime.documents import Documents, database_url
from shared.runtime.settings import Settings
from shared.store.database import Database


def performance_database(settings: Settings, documents: Documents) -> Database:
    """Open the database of what bots report."""
    return Database(database_url(settings, documents.performance.database))


def health_database(settings: Settings, documents: Documents) -> Database:
    """Open the database of hosts, alerts and deliveries."""
    return Database(database_url(settings, documents.health.database))

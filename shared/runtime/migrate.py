"""`python -m shared.runtime.migrate`: bring both databases to the newest schema, before any part starts."""

from pathlib import Path

import structlog
from sqlalchemy.engine import make_url

from shared.runtime import databases
from shared.runtime.documents import load_documents
from shared.runtime.service import refusing, start
from shared.runtime.settings import Settings
from shared.store.database import Database
from shared.store.migrate import migrate

log = structlog.get_logger()


def main() -> None:
    """Migrate the databases that the config documents name, making their folders."""
    settings = start("migrate", Settings)
    with refusing("migrate"):
        documents = load_documents(settings.botwatch_config)
    for line, database in (
        ("performance", databases.performance_database(settings, documents)),
        ("health", databases.health_database(settings, documents)),
    ):
        _make_folder(database)
        revision = migrate(database, line)
        database.close()
        log.info("migrated", database=database.url, revision=revision)


def _make_folder(database: Database) -> None:
    url = make_url(database.url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    main()

"""`python -m shared.runtime.migrate`: upgrade both databases to the newest schema, before any part starts."""

from pathlib import Path

import structlog
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from shared.runtime import databases
from shared.runtime.config.documents import load_documents
from shared.runtime.service import configure_part, exit_invalid_config, exit_on_invalid_config
from shared.runtime.settings import PartSettings
from shared.store.database import RESTORE_HINT, Database, is_corruption
from shared.store.migrate import migrate

log = structlog.get_logger()


def main() -> None:
    """Migrate the databases that the config documents name; create their folders."""
    settings = configure_part("migrate", PartSettings)
    with exit_on_invalid_config("migrate"):
        documents = load_documents(settings.botwatch_config)
    for line, database in (
        ("performance", databases.performance_database(settings, documents)),
        ("health", databases.health_database(settings, documents)),
    ):
        _make_folder(database)
        try:
            revision = migrate(database, line)
        except DatabaseError as error:
            if not is_corruption(error):
                raise
            exit_invalid_config(
                "migrate", RuntimeError(f"{database.url} is damaged: {error.orig}: {RESTORE_HINT}")
            )
        database.close()
        log.info("migrated", database=database.url, revision=revision)


def _make_folder(database: Database) -> None:
    url = make_url(database.url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    main()

"""Migrations: each database has its own line of Alembic revisions in `migrations/<database>/versions`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData
from sqlalchemy.engine import make_url

from shared.store.database import Database
from shared.store.tables import health_metadata, performance_metadata

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LINES: dict[str, MetaData] = {"performance": performance_metadata, "health": health_metadata}


Migrated = Callable[[Connection, str | None, str], None]
"""Called with the revisions before (None: there were no tables) and after a migration, in its transaction."""


def migrate(database: Database, line: str, migrated: Migrated = lambda *_: None) -> str:
    """Migrate `database` to the newest revision of `line` (`performance` or `health`); return its name."""
    _create_shrinkable(database)
    with database.write() as connection:
        before = current_revision(connection)
        command.upgrade(_config(line, connection), "head")
        after = current_revision(connection) or ""
        migrated(connection, before, after)
    return after


def current_revision(connection: Connection) -> str | None:
    """Return the revision of a database."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision(line: str) -> str:
    """Return the newest revision of `line`."""
    return ScriptDirectory(str(MIGRATIONS / line)).get_current_head() or ""


def _create_shrinkable(database: Database) -> None:
    """Create a missing SQLite file such that free pages can be returned bit by bit (`incremental_vacuum`).

    An existing file would have to be rewritten whole by VACUUM, which keeps all writers waiting.
    """
    path = Path(make_url(database.url).database or "")
    if database.engine.dialect.name == "sqlite" and not (path.exists() and path.stat().st_size):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")  # writes the header that says so


def _config(line: str, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / line))
    config.attributes["connection"] = connection
    return config

"""`python -m shared.runtime.migrate`: upgrade both databases to the newest schema, before any part starts."""

import sqlite3
from functools import partial
from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from shared.runtime import clock, databases
from shared.runtime.audit_key import audit_key
from shared.runtime.backups import interrupted_restore
from shared.runtime.config.documents import load_documents
from shared.runtime.config_audit import append_config_audit
from shared.runtime.local_audit import local_actor
from shared.runtime.service import configure_part, exit_invalid_config, exit_on_invalid_config
from shared.runtime.settings import PartSettings
from shared.store.audit import AuditEntry, append_audit
from shared.store.database import RESTORE_HINT, Database, is_corruption, is_file_error
from shared.store.migrate import migrate
from shared.version import VERSION

log = structlog.get_logger()

NAMED_IN = {"performance": "performance_logger.json", "health": "health_monitor.json"}
"""The config document that names each database."""


def main() -> None:
    """Migrate the databases that the config documents name; create their folders."""
    settings = configure_part("migrate", PartSettings)
    with exit_on_invalid_config("migrate"):
        documents = load_documents(settings.botwatch_config)
        audit = StartAudit(settings)
        backup = interrupted_restore(settings.botwatch_home)
    if backup:
        text = f"the restore of {backup} was interrupted: complete it with `botwatch restore {backup}`"
        exit_invalid_config("migrate", RuntimeError(text))
    for line, database in (
        ("performance", databases.performance_database(settings, documents)),
        ("health", databases.health_database(settings, documents)),  # last: it has the audit log
    ):
        try:
            _make_folder(database)
            revision = migrate(database, line, partial(audit.migrated, database.name))
        except (DatabaseError, sqlite3.Error, OSError) as error:
            exit_invalid_config("migrate", RuntimeError(_unusable(line, database, error)))
        if line == "health":
            audit.append_start(database)
        database.close()
        log.info("migrated", database=database.url, revision=revision)


class StartAudit:
    """Appends what a start changes to the audit log: the schema, the config documents, the version."""

    def __init__(self, settings: PartSettings) -> None:
        self._folder = settings.botwatch_config
        self._key = audit_key(settings.botwatch_home)
        self._actor = local_actor()
        self._waiting: list[AuditEntry] = []

    def migrated(self, name: str, connection: Connection, before: str | None, after: str) -> None:
        """Append what was migrated; of the other database once the audit log is there."""
        if before != after:
            self._waiting.append(
                AuditEntry(
                    action="schema.migrate",
                    actor=self._actor,
                    target=name,
                    before={"revision": before},
                    after={"revision": after},
                )
            )
        if inspect(connection).has_table("audit_documents"):
            for entry in self._waiting:
                append_audit(connection, entry, clock.now(), self._key)
            self._waiting.clear()

    def append_start(self, health: Database) -> None:
        """Append the start, and what changed in the config documents since the last one."""
        now, actor = clock.now(), self._actor
        start = AuditEntry(
            action="botwatch.start", actor=actor, target="botwatch", after={"version": VERSION}
        )
        load = AuditEntry(action="config.load", actor=actor, target="config documents")
        with health.write() as connection:
            append_audit(connection, start, now, self._key)
            append_config_audit(connection, load, self._folder, self._key, now, only_changes=True)


def _unusable(line: str, database: Database, error: Exception) -> str:
    """Return what is wrong with the file or its folder, and what to do; any other error is raised again."""
    if isinstance(error, DatabaseError) and is_corruption(error):
        return f"{database.url} is damaged: {error.orig}: {RESTORE_HINT}"
    reason = error.orig if isinstance(error, DatabaseError) else error
    if not isinstance(error, OSError) and not is_file_error(reason):
        raise error
    what = error.strerror if isinstance(error, OSError) else reason
    return (
        f"{database.path}: {what}: this user must be able to write to that file and its folder, which "
        f"`database.path` of {NAMED_IN[line]} names"
    )


def _make_folder(database: Database) -> None:
    url = make_url(database.url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)


if __name__ == "__main__":
    main()

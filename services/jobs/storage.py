"""Storage jobs: truncate the write-ahead logs, and return free pages to the file system."""

from collections.abc import Iterator, Mapping

import structlog

from services.jobs.backups.workspace import ensure_space
from services.jobs.context import JobContext
from shared.store.database import Database

log = structlog.get_logger()

TRUNCATE_ATTEMPTS = 5
TRUNCATE_PATIENCE_S = 0.2
"""How long one attempt may wait for readers, and keep writers waiting, seconds."""
VACUUM_PAGES = 500
"""Pages per transaction: 2 MB, some milliseconds."""
RESERVED_FRACTION = 0.1
"""Free pages up to this fraction of those in use stay: new rows soon need them again."""

VACUUM_SPACE = 2
"""Free space that VACUUM needs, as a multiple of the file: for the copy, and for the write-ahead log."""


class WalBusyError(Exception):
    """Readers kept a write-ahead log from being truncated."""


def truncate_wals(context: JobContext) -> Mapping[str, int]:
    """Empty both write-ahead logs; return their bytes before, by database.

    The recorder moves them to the databases every five seconds, but such a file never shrinks by itself.
    """
    return {name: _truncate_wal(database, context) for name, database in context.databases.items()}


def _truncate_wal(database: Database, context: JobContext) -> int:
    size = database.wal_bytes()
    for _ in range(TRUNCATE_ATTEMPTS):
        if database.truncate_wal(TRUNCATE_PATIENCE_S):
            return size
        context.sleep(1.0)
    raise WalBusyError(f"{database.name}: readers kept the write-ahead log from being truncated")


def reclaim_free_pages(context: JobContext) -> Mapping[str, int]:
    """Shrink both files by their free pages, but for a reserve; return the pages freed, by database."""
    return {name: sum(context.paced(_vacuum_steps(database))) for name, database in context.databases.items()}


def _vacuum_steps(database: Database) -> Iterator[int]:
    """Free pages in bounded transactions; yield the number after each."""
    with database.read() as connection:
        if connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() != 2:  # noqa: PLR2004 - INCREMENTAL
            log.info("file cannot shrink: auto_vacuum is not incremental", database=database.name)
            return
        pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
        free = int(connection.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    surplus = free - int((pages - free) * RESERVED_FRACTION)
    while surplus > 0:
        step = min(surplus, VACUUM_PAGES)
        with database.write() as connection:
            for _ in range(step):  # Python's driver stops such a statement after one page
                connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
        yield step
        surplus -= step


def rewrite_databases(context: JobContext) -> Mapping[str, int]:
    """Rewrite both files whole by VACUUM; return the pages freed, by database.

    Not a job: nothing can be written meanwhile. Raises BackupError if the disk has too little space.
    """
    return {name: _rewrite(database) for name, database in context.databases.items()}


def _rewrite(database: Database) -> int:
    ensure_space(database.path.parent, VACUUM_SPACE * database.file_bytes(), f"VACUUM of {database.name}")
    before = _page_count(database)
    database.vacuum()
    return before - _page_count(database)


def _page_count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)

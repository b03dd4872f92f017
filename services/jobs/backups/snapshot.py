"""Copy both databases as they are at one moment, while they are written.

SQLite's backup API copies one database. To get both at the same moment, the write locks of both are held for
the milliseconds in which a read transaction begins in each; in WAL mode such a transaction keeps its snapshot
while writers go on. Source: sqlite.org/backup.html, sqlite.org/isolation.html.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from shared.schema.backups import DatabaseCopy

PAGES_PER_STEP = 1024
"""4 MiB, some milliseconds."""
LOCK_TIMEOUT_S = 10.0

Progress = Callable[[str], None]
"""Receives what is being done, in a few words."""


def copy_databases(sources: Mapping[str, Path], copies: Mapping[str, Path], progress: Progress) -> None:
    """Copy the databases `sources` to the files `copies` of the same names. Raises sqlite3.Error."""
    with frozen_together(sources) as connections:
        for name, source in connections.items():
            _copy(source, copies[name], progress)


@contextmanager
def frozen_together(sources: Mapping[str, Path]) -> Iterator[dict[str, sqlite3.Connection]]:
    """Yield a connection to each database; together they see the state of one moment."""
    with ExitStack() as stack:

        def connect(path: Path) -> sqlite3.Connection:
            return stack.enter_context(closing(open_database(path, "rw")))

        writers = [connect(path) for path in sources.values()]
        for writer in writers:
            writer.execute("BEGIN IMMEDIATE")
        readers = {name: connect(path) for name, path in sources.items()}
        for reader in readers.values():
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # now the snapshot begins
        for writer in writers:
            writer.execute("ROLLBACK")
        yield readers


def _copy(source: sqlite3.Connection, path: Path, progress: Progress) -> None:
    def pages_copied(_status: int, left: int, total: int) -> None:
        progress(f"copying {path.name}: {100 * (total - left) // max(1, total)}%")

    with closing(sqlite3.connect(path)) as target:
        target.execute("PRAGMA synchronous = OFF")  # only the archive has to survive a power cut
        source.backup(target, pages=PAGES_PER_STEP, progress=pages_copied)


def describe_copy(path: Path, path_in_archive: str) -> DatabaseCopy:
    """Return what is in the copy of a database. Raises sqlite3.Error."""
    with closing(open_database(path, "ro", immutable=True)) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        tables = sorted(name for (name,) in names if not name.startswith("sqlite_"))
        return DatabaseCopy(
            path=path_in_archive,
            revision=revision,
            positions=dict(connection.execute("SELECT reader, entry FROM log_position ORDER BY reader")),
            rows={table: _count(connection, table) for table in tables},
        )


def _count(connection: sqlite3.Connection, table: str) -> int:
    (rows,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608 - of the schema
    return int(rows)


def integrity_faults(path: Path) -> list[str]:
    """Return what SQLite finds wrong with a copy; an empty list if nothing. Raises sqlite3.Error."""
    with closing(open_database(path, "ro", immutable=True)) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check(5)")]
    return [] if found == ["ok"] else found


def open_database(path: Path, mode: str, *, immutable: bool = False) -> sqlite3.Connection:
    """Connect to an existing file; `immutable`: nobody writes it, and nothing is written beside it."""
    options = f"mode={mode}{'&immutable=1' if immutable else ''}"
    return sqlite3.connect(
        f"file:{quote(str(path))}?{options}", uri=True, isolation_level=None, timeout=LOCK_TIMEOUT_S
    )

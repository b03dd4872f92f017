"""Revisions: which schema a database file has, and which one this code makes, without loading Alembic."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_TIMEOUT_S = 2.0


def known_revisions(line: str) -> list[str]:
    """Return the revisions of `line` that this code knows, oldest first; their files begin with them."""
    return sorted(path.name.partition("_")[0] for path in (MIGRATIONS / line / "versions").glob("[0-9]*.py"))


def open_read_only(path: Path) -> sqlite3.Connection:
    """Connect to an SQLite file without changing or creating it. Raises sqlite3.Error."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=LOCK_TIMEOUT_S)


def stored_revision(path: Path) -> str | None:
    """Return the revision of a database file; None if it has no tables. Raises sqlite3.Error."""
    with closing(open_read_only(path)) as connection:
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchall()
        if not tables:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None

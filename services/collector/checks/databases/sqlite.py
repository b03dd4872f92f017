"""SQLite: whether the file is whole, how large it is, and whether its write-ahead log is written back.

Nothing is written, not even by SQLite itself: opened read-only, a database in WAL mode that no process has
open would get two new files. `PRAGMA quick_check` reads the whole file and blocks writers meanwhile (in WAL
mode: the checkpoint), so it is interrupted after a while, and takes at most 1% of the time.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from services.collector.checks.base import CheckResult
from services.collector.host.watched_host import WatchedHost
from shared.schema.durations import format_rough
from shared.schema.formatting import format_value
from shared.schema.records import CheckType
from shared.schema.units import BYTES

MAX_CHECK_S = 2.0
"""Programs wait for a lock 5 s by default."""
PAUSE_FACTOR = 99
MAX_WAL_BYTES = 64 * 2**20
"""SQLite writes it back from 4 MB on, unless something prevents it."""
MAX_WAL_AGE_S = 600.0
HEADER_BYTES = 20
MAGIC = b"SQLite format 3\0"
_READ_VERSION = 19
_WAL_MODE = 2
MAX_QUOTED = 200


class DatabaseFiles(NamedTuple):
    """What the file system reports about a database."""

    size: int
    written: float
    wal_mode: bool
    wal_size: int | None
    """None where there is no write-ahead log."""
    wal_written: float
    shared: bool
    """Whether the index of the write-ahead log is there, by which programs share it."""


class SqliteProbe:
    """Checks one database file of the watched host."""

    type: CheckType = "database"

    def __init__(self, path: str, timeout_s: float, place: WatchedHost) -> None:
        self._path = path
        self._place = place
        self._wait_s = timeout_s / 4
        self._limit_s = min(MAX_CHECK_S, timeout_s / 4)
        self._next_check: datetime | None = None
        self._found = ""
        self._size = 0

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        began = time.monotonic()
        try:
            file = self._place.resolve(self._path)
            files = read_files(file)
        except FileNotFoundError:
            return CheckResult("critical", f"Database {self._path} does not exist", "failed")
        except PermissionError:
            return CheckResult("unknown", f"Permission denied on {self._path}", "denied")
        except OSError as error:
            return CheckResult("unknown", f"{self._path} cannot be read: {error.strerror or error}", "other")
        if files is None:
            return CheckResult("critical", f"{self._path} is not an SQLite database", "corrupt")
        figures: dict[str, float | int] = {"size_bytes": files.size, "wal_bytes": files.wal_size or 0}
        result = self._empty_result(files) or self._read(file, files, now) or evaluate_wal(files, self._found)
        figures["check_latency_ms"] = 1000 * (time.monotonic() - began)
        return result._replace(figures=figures)

    def _empty_result(self, files: DatabaseFiles) -> CheckResult | None:
        """Say that a database has no content; SQLite takes an empty file for a new one, which is whole."""
        if files.size or files.wal_size:
            self._size = files.size
            return None
        if self._size:
            text = f"{self._path} is empty (0 bytes, previously {format_value(self._size, BYTES)})"
            return CheckResult("critical", text, "corrupt")
        text = f"{self._path} is empty (0 bytes): never written to, or its content is lost"
        return CheckResult("warning", text, "corrupt")

    def _read(self, file: Path, files: DatabaseFiles, now: datetime) -> CheckResult | None:
        """Read the database; return what is wrong, None when nothing is."""
        if files.wal_size and not files.shared:
            self._found = "not checked: opened exclusively by one program, or a copy with a WAL"
            return None
        try:
            with open_read_only(file, files, self._wait_s) as connection:
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                if self._next_check is not None and now < self._next_check:
                    return None
                wrong = self._quick_check(connection, now)
        except sqlite3.Error as error:
            if self._was_changed(file, files):
                return None
            return read_error_result(self._path, error, self._wait_s)
        if wrong and not self._was_changed(file, files):
            self._next_check = None
            return CheckResult("critical", f"Database is corrupt: {wrong[:MAX_QUOTED]}", "corrupt")
        return None

    def _quick_check(self, connection: sqlite3.Connection, now: datetime) -> str:
        began = time.monotonic()
        # SQLite asks its progress handler only between steps, of which a whole table may be one.
        alarm = threading.Timer(self._limit_s, connection.interrupt)
        alarm.start()
        try:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            self._found = "intact"
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            answer, self._found = "ok", f"not fully checked within {self._limit_s:g} s"
        finally:
            alarm.cancel()
            alarm.join()
        self._next_check = now + timedelta(seconds=PAUSE_FACTOR * (time.monotonic() - began))
        return "" if answer == "ok" else str(answer)

    def _was_changed(self, file: Path, files: DatabaseFiles) -> bool:
        """Return whether a program began to write while the database was taken to be closed."""
        if not files.wal_mode or files.wal_size or read_files(file) == files:
            return False
        self._found = "not checked: it changed during the check"
        return True


def read_files(file: Path) -> DatabaseFiles | None:
    """Read the state of the database's files; None if it is not SQLite. Raises OSError if unreadable."""
    with file.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    state = file.stat()
    # A new database is an empty file until something is written.
    if header and not header.startswith(MAGIC):
        return None
    try:
        wal = file.with_name(f"{file.name}-wal").stat()
    except FileNotFoundError:
        wal = None
    return DatabaseFiles(
        size=state.st_size,
        written=state.st_mtime,
        wal_mode=header[_READ_VERSION:] == bytes((_WAL_MODE,)),
        wal_size=wal.st_size if wal else None,
        wal_written=wal.st_mtime if wal else 0.0,
        shared=file.with_name(f"{file.name}-shm").exists(),
    )


@contextmanager
def open_read_only(file: Path, files: DatabaseFiles, wait_s: float) -> Iterator[sqlite3.Connection]:
    """Open a database so that no file is made or changed."""
    alone = files.wal_mode and not files.wal_size
    how = "immutable=1" if alone else "readonly_shm=1"
    url = f"file:{quote(str(file))}?mode=ro&{how}"
    with closing(sqlite3.connect(url, uri=True, timeout=wait_s, check_same_thread=False)) as connection:
        yield connection


def read_error_result(path: str, error: sqlite3.Error, wait_s: float) -> CheckResult:
    """Say why a database could not be read. Pure."""
    code = getattr(error, "sqlite_errorcode", 0)
    primary = code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        text = f"{path} has been locked for {wait_s:g} s"
        return CheckResult("critical", text, "timeout")
    if code == sqlite3.SQLITE_READONLY_ROLLBACK:
        text = f"{path} has an unfinished transaction; the next writer rolls it back"
        return CheckResult("warning", text, "failed")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CheckResult("critical", f"Database is corrupt: {error}", "corrupt")
    return CheckResult("critical", f"{path} cannot be read: {error}", "failed")


def evaluate_wal(files: DatabaseFiles, found: str) -> CheckResult:
    """Evaluate the write-ahead log of a readable database. Pure."""
    behind_s = files.wal_written - files.written
    wal = files.wal_size or 0
    if wal > MAX_WAL_BYTES and behind_s > MAX_WAL_AGE_S:
        text = (
            f"WAL is {format_value(wal, BYTES)} and has not been checkpointed for {format_rough(behind_s)}: "
            "a long-running reader blocks it"
        )
        return CheckResult("warning", text, "late")
    log = f", WAL {format_value(wal, BYTES)}" if files.wal_size is not None else ""
    return CheckResult("ok", f"Database is {found} ({format_value(files.size, BYTES)}{log})")

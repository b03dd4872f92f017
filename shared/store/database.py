"""Database connections: SQLite in WAL mode with short, immediate write transactions."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError

from shared.schema.faults import Fault, InvalidError
from shared.store.fork_lock import sqlite_in_use

BUSY_TIMEOUT_S = 5.0
FILE_ERRORS = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
"""SQLite's codes of a file that cannot be used: the cause is outside Botwatch."""
RESTORE_HINT = (
    "stop Botwatch, restore a backup with `botwatch restore latest` (docs/runbooks/botwatch-store-away.md)"
)

AFTER_COMMIT = "after_commit"
_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"


def call_after_commit(connection: Connection, call: Callable[[], None]) -> None:
    """Call `call` after the commit of the write transaction of `Database.write` that `connection` is in."""
    connection.info.setdefault(AFTER_COMMIT, []).append(call)


class SchemaMissingError(InvalidError):
    """The database has no tables: it has not been migrated."""


class Database:
    """One database. Reads see a stable snapshot; writes take SQLite's write lock at once.

    A deferred transaction that becomes a write can fail with "database is locked" whatever the busy timeout;
    an immediate one waits for its turn.
    """

    def __init__(
        self,
        url: str,
        *,
        afresh: bool = False,
        sync_commits: bool = False,
        lock_timeout_s: float = BUSY_TIMEOUT_S,
    ) -> None:
        """Connect on first use.

        `afresh`: open a new connection each time and never create the file; a connection that stays open does
        not notice a deleted file. `sync_commits`: a commit is on disk when it returns (`synchronous = FULL`);
        otherwise a power failure loses what was committed since the last checkpoint. `lock_timeout_s`: how
        long to wait for SQLite's locks.
        """
        self.url = url
        self.damage: str | None = None
        """SQLite's error when it found the file damaged; None before."""
        self._guard: Callable[[Connection], None] = lambda _: None
        self.engine: Engine = create_engine(
            url, connect_args={"timeout": lock_timeout_s}, poolclass=NullPool if afresh else None
        )
        event.listen(self.engine, "connect", _pragmas("FULL" if sync_commits else "NORMAL"))
        if afresh:
            event.listen(self.engine, "do_connect", _require_file)

    @property
    def name(self) -> str:
        """The name of its file."""
        return Path(make_url(self.url).database or self.url).name

    def raise_if_damaged(self) -> None:
        """Raise RuntimeError if SQLite has found the file damaged."""
        if self.damage:
            raise RuntimeError(f"{self.name} is damaged: {self.damage}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection inside a read transaction."""
        with (
            sqlite_in_use(),
            self._detect_damage(),
            self.engine.connect() as connection,
            connection.begin(),
        ):
            # Here and not by a listener: with one, SQLAlchemy looks for listeners at every statement.
            connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection inside a write transaction: commit at the end, roll back on an exception."""
        with (
            sqlite_in_use(),
            self._detect_damage(),
            self.engine.connect() as connection,
        ):
            connection.info.pop(AFTER_COMMIT, None)  # of a transaction that was rolled back
            with connection.begin():
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                self._guard(connection)
                yield connection
            for call in connection.info.pop(AFTER_COMMIT, ()):
                call()

    @contextmanager
    def _detect_damage(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if is_corruption(error):
                self.damage = str(error.orig)
            raise

    def add_write_guard(self, check: Callable[[Connection], None]) -> None:
        """Call `check` at the start of every write transaction; an exception aborts it."""
        self._guard = check

    def checkpoint(self) -> None:
        """Write all commits to disk, most of them into the database file.

        Afterwards a power failure loses none of them. Raise OperationalError or OSError if it cannot be
        written.
        """
        with self.engine.connect() as connection:
            # Through the driver: SQLAlchemy would begin a transaction, in which the WAL cannot be moved.
            try:
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.OperationalError as error:
                raise OperationalError("PRAGMA wal_checkpoint", {}, error) from error
        # A reader may have blocked a part: that part is durable once the WAL is.
        if self._wal.exists():
            file = os.open(self._wal, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def truncate_wal(self, patience_s: float) -> bool:
        """Write all commits to the database file and empty the WAL; return False if a reader prevents it.

        Writers wait meanwhile, at most `patience_s` longer than for the checkpoint.
        """
        if self.engine.dialect.name != "sqlite":
            return True
        self.checkpoint()  # most of the work, without making writers wait
        with self.engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout = {patience_s * 1000:.0f}")
            try:
                (is_busy, *_) = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise OperationalError("PRAGMA wal_checkpoint", {}, error) from error
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
        return not is_busy

    def wal_bytes(self) -> int:
        """Return the size of the WAL file; 0 without one."""
        return self._wal.stat().st_size if self._wal.exists() else 0

    def file_bytes(self) -> int:
        """Return the size of the database file with its WAL; 0 without one."""
        return self.wal_bytes() + (self.path.stat().st_size if self.path.exists() else 0)

    def vacuum(self) -> None:
        """Rewrite the file without free pages; from then on it can shrink by incremental vacuum.

        Writers wait meanwhile, for seconds per gigabyte. Raises OperationalError, as for a full disk: the
        file is then unchanged.
        """
        with self.engine.connect() as connection:
            cursor = connection.connection.cursor()  # SQLAlchemy would begin a transaction
            try:
                cursor.execute("PRAGMA auto_vacuum = INCREMENTAL")
                cursor.execute("VACUUM")
            except sqlite3.OperationalError as error:
                raise OperationalError("VACUUM", {}, error) from error

    @property
    def path(self) -> Path:
        """Its file."""
        return Path(make_url(self.url).database or "")

    @property
    def _wal(self) -> Path:
        return Path(f"{self.path}-wal")

    def require_schema(self, table: str) -> None:
        """Raise SchemaMissingError unless `table` exists."""
        try:
            with self.engine.connect() as connection:
                present = connection.exec_driver_sql(_TABLE, (table,)).first()
        except DatabaseError as error:
            text = f"is damaged: {error.orig}: {RESTORE_HINT}" if is_corruption(error) else str(error.orig)
            if is_file_error(error.orig):
                text = f"{text}: run this as the user that runs Botwatch"
            raise SchemaMissingError([Fault(self.url, text)]) from error
        if not present:
            raise SchemaMissingError(
                [Fault(self.url, f"has no table {table}: run `python -m shared.runtime.migrate`")]
            )

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def is_corruption(error: DatabaseError) -> bool:
    """Return whether SQLite found that a file is corrupt or not a database."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_file_error(error: BaseException | None) -> bool:
    """Return whether SQLite cannot use a file because of the file system, its modes or its owner."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in FILE_ERRORS


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{path}"


def _require_file(_dialect: object, _record: object, arguments: Sequence[str], _options: object) -> None:
    if not Path(arguments[0]).exists():
        raise sqlite3.OperationalError(f"{arguments[0]} does not exist")


def _pragmas(synchronous: str) -> Callable[[Any, object], None]:
    def set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - DBAPI connection
        connection.isolation_level = None  # we begin transactions, not the driver
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", f"synchronous = {synchronous}", "foreign_keys = ON"):
            try:
                cursor.execute(f"PRAGMA {pragma}")
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                raise DatabaseError(f"PRAGMA {pragma}", {}, error) from error
        cursor.close()

    return set_pragmas

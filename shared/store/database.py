"""Connections: SQLite in WAL mode with short, immediate write transactions; PostgreSQL by URL."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError

from shared.schema.faults import Fault, InvalidError

BUSY_TIMEOUT_S = 5.0
RESTORE_HINT = "stop Botwatch, move the file aside, restore a backup (docs/runbooks/botwatch-store-away.md)"


class SchemaMissingError(InvalidError):
    """The database has no tables: it was not migrated."""


class Database:
    """One database. Reads see a stable snapshot; writes take SQLite's one write lock at once.

    A deferred transaction that turns into a write can fail with "database is locked" however long the busy
    timeout is; an immediate one waits for its turn.
    """

    def __init__(self, url: str, *, afresh: bool = False, sync_commits: bool = False) -> None:
        """Connect when it is used.

        `afresh`: open it anew each time, wait for others a second, never make it; connections that stay open
        do not notice that the file is gone. `sync_commits`: each commit is on the disk when it returns
        (`synchronous = FULL`); else what was committed since the last checkpoint is lost when power fails.
        """
        self.url = url
        self.damage: str | None = None
        """What SQLite said when it found that the file is damaged; None as long as it did not."""
        self._guard: Callable[[Connection], None] = lambda _: None
        patience_s, pool = (1.0, NullPool) if afresh else (BUSY_TIMEOUT_S, None)
        self.engine: Engine = create_engine(url, connect_args=_connect_args(url, patience_s), poolclass=pool)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _pragmas("FULL" if sync_commits else "NORMAL"))
            event.listen(self.engine, "begin", _begin)
            if afresh:
                event.listen(self.engine, "do_connect", _require_file)

    @property
    def name(self) -> str:
        """What people know it by: the name of its file, or of the database on a server."""
        return Path(make_url(self.url).database or self.url).name

    def raise_if_damaged(self) -> None:
        """Raise RuntimeError once SQLite has found that the file is damaged."""
        if self.damage:
            raise RuntimeError(f"{self.name} is damaged: {self.damage}")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection inside a read transaction."""
        with self._detect_damage(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection inside a write transaction; commits at the end, rolls back on an exception."""
        with (
            self._detect_damage(),
            self.engine.connect().execution_options(immediate=True) as connection,
            connection.begin(),
        ):
            self._guard(connection)
            yield connection

    @contextmanager
    def _detect_damage(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            if is_corruption(error):
                self.damage = str(error.orig)
            raise

    def add_write_guard(self, check: Callable[[Connection], None]) -> None:
        """Call `check` at the begin of every write transaction from now on: what it raises ends that."""
        self._guard = check

    def checkpoint(self) -> None:
        """Bring all that is committed onto the disk, most of it into the database's own file.

        Afterwards no power cut takes it back. Raises OperationalError or OSError when it cannot be written.
        """
        if self.engine.dialect.name != "sqlite":
            return  # a server's commits are durable
        with self.engine.connect() as connection:
            # By the driver: inside a transaction, which SQLAlchemy would begin, nothing can be moved.
            try:
                connection.connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.OperationalError as error:
                raise OperationalError("PRAGMA wal_checkpoint", {}, error) from error
        # A reader may have kept some of it from being moved: that is durable once the log is.
        wal = Path(f"{make_url(self.url).database}-wal")
        if wal.exists():
            file = os.open(wal, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)

    def require_schema(self, table: str) -> None:
        """Raise SchemaMissingError unless `table` exists."""
        try:
            present = inspect(self.engine).has_table(table)
        except DatabaseError as error:
            text = f"is damaged: {error.orig}: {RESTORE_HINT}" if is_corruption(error) else str(error.orig)
            raise SchemaMissingError([Fault(self.url, text)]) from error
        if not present:
            raise SchemaMissingError(
                [Fault(self.url, f"has no table {table}: run `python -m shared.runtime.migrate`")]
            )

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def is_corruption(error: DatabaseError) -> bool:
    """Say whether SQLite found that a file is corrupt, or is no database at all."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{path}"


def _connect_args(url: str, patience_s: float) -> dict[str, Any]:
    return {"timeout": patience_s} if url.startswith("sqlite") else {"connect_timeout": 5}


def _require_file(_dialect: object, _record: object, arguments: Sequence[str], _options: object) -> None:
    if not Path(arguments[0]).exists():
        raise sqlite3.OperationalError(f"{arguments[0]} does not exist")


def _pragmas(synchronous: str) -> Callable[[Any, object], None]:
    def set_pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - DBAPI connection
        connection.isolation_level = None  # SQLAlchemy's events begin transactions, not the driver
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


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

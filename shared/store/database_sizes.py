"""Database sizes: rows and bytes of every table, stored once a day, and how much they grow."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from shared.store.database import Database
from shared.store.tables import database_sizes

KEPT = timedelta(days=400)
GROWTH_PERIOD = timedelta(days=7)
"""Growth per day is the average over this period, or what is stored of it."""
WHOLE = ""
"""Name in `tableName` of the whole database."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
_PAGES = "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name = ?"


class TableSize(NamedTuple):
    """Size of a table with its indexes."""

    rows: int | None
    bytes: int | None
    """None where SQLite was built without `dbstat`."""


class Growth(msgspec.Struct, frozen=True, rename="camel"):
    """Size of a table, or of a whole database, on the last measured day."""

    rows: int | None
    bytes: int | None
    rows_per_day: float | None
    """Average of the last seven days; None before there are two days."""
    bytes_per_day: float | None


class DatabaseGrowth(msgspec.Struct, frozen=True, rename="camel"):
    """Sizes of a database and its tables on the last measured day, and how they grow."""

    measured_on: date
    whole: Growth
    tables: Mapping[str, Growth]


def measure_tables(database: Database) -> dict[str, TableSize]:
    """Read the size of every table; each in a transaction of its own, because large ones take seconds."""
    with database.read() as connection:
        names = [str(name) for (name,) in connection.exec_driver_sql(_TABLES)]
    return {name: _measure(database, name) for name in sorted(names)}


def _measure(database: Database, table: str) -> TableSize:
    with database.read() as connection:
        rows = connection.exec_driver_sql(f'SELECT count(*) FROM "{table}"').scalar()  # noqa: S608 - own schema
        indexes = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE tbl_name = ?", (table,))
        try:
            pages = [connection.exec_driver_sql(_PAGES, (name,)).scalar() or 0 for (name,) in indexes]
        except OperationalError as error:
            if "no such table" not in str(error.orig):
                raise
            return TableSize(rows, None)
    return TableSize(rows, sum(pages))


def save_sizes(
    connection: Connection, name: str, whole: int, tables: Mapping[str, TableSize], now: datetime
) -> None:
    """Store the sizes of the database `name`, in place of earlier ones of the same day; delete old days."""
    sizes = {WHOLE: TableSize(None, whole), **tables}
    day = now.date().isoformat()
    rows = [
        {"day": day, "database": name, "tableName": table, **size._asdict()} for table, size in sizes.items()
    ]
    statement = insert(database_sizes)
    values = {"rows": statement.excluded.rows, "bytes": statement.excluded.bytes}
    key = database_sizes.primary_key
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)
    connection.execute(delete(database_sizes).where(database_sizes.c.day < (now - KEPT).date().isoformat()))


def read_growth(connection: Connection, name: str) -> DatabaseGrowth | None:
    """Return the last stored sizes of the database `name` and their growth; None before the first."""
    stored = database_sizes.c
    newest_first = select(stored.day).where(stored.database == name, stored.tableName == WHOLE)
    days = connection.scalars(newest_first.order_by(stored.day.desc()).limit(GROWTH_PERIOD.days + 1)).all()
    if not days:
        return None
    last = date.fromisoformat(days[0])
    first = min(day for day in map(date.fromisoformat, days) if last - day <= GROWTH_PERIOD)
    before, now = (_sizes_of(connection, name, day) for day in (first, last))
    grown = {table: _growth(before.get(table), size, (last - first).days) for table, size in now.items()}
    return DatabaseGrowth(last, grown.pop(WHOLE), grown)


def _sizes_of(connection: Connection, name: str, day: date) -> dict[str, TableSize]:
    stored = database_sizes.c
    found = connection.execute(
        select(stored.tableName, stored.rows, stored.bytes).where(
            stored.day == day.isoformat(), stored.database == name
        )
    )
    return {row.tableName: TableSize(row.rows, row.bytes) for row in found}


def _growth(before: TableSize | None, size: TableSize, days: int) -> Growth:
    rows, amount = (
        (new - old) / days if before and days and new is not None and old is not None else None
        for new, old in zip(size, before or size, strict=True)
    )
    return Growth(size.rows, size.bytes, rows, amount)

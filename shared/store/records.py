"""Rows of records: written in batches by the recorder, read by the dashboard."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, desc, func, select
from sqlalchemy.dialects import sqlite

from shared.schema.records import AnyRecord, Record
from shared.schema.timestamps import to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.tables import TABLES, alerts, health_metrics, subject_column


def insert_records(connection: Connection, records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Write `records`, one statement per kind, and return those that are new, kind by kind.

    A record whose (subject, id) is already there, or a fill whose (bot, symbol, fillId) is, is left out:
    sending it again is harmless. All records must belong to the database of `connection`.
    """
    by_kind: dict[type[Record], list[AnyRecord]] = {}
    for record in records:
        by_kind.setdefault(type(record), []).append(record)
    new: list[AnyRecord] = []
    for kind, group in by_kind.items():
        written = 0
        for columns, rows in groupby(map(_row_of(kind), group), key=tuple):
            values = [tuple(row.values()) for row in rows]
            written += connection.exec_driver_sql(_insert(kind, columns), values).rowcount
        new += group if written == len(group) else _written(connection, kind, group, written)
    return new


def _written(
    connection: Connection, kind: type[Record], group: Sequence[AnyRecord], count: int
) -> list[AnyRecord]:
    """Return which of `group` became the table's last `count` rows, in the transaction that wrote them.

    The rows are in the order of the group, which only lacks what was left out.
    """
    table = TABLES[kind]
    naming = ("host", "bot", "symbol", "fillId")
    fields = [field for field in msgspec.structs.fields(kind) if field.encode_name in naming]
    columns = [table.c.timestamp, table.c.recordId, *(table.c[field.encode_name] for field in fields)]
    last = connection.execute(select(*columns).order_by(desc(table.c.id)).limit(count)).all()
    identity_of = attrgetter("id", *(field.name for field in fields))
    rows = [tuple(row) for row in reversed(last)]
    new: list[AnyRecord] = []
    for record in group:
        if len(new) < len(rows) and rows[len(new)] == (to_store(record.at), *identity_of(record)):
            new.append(record)
    return new


@lru_cache(maxsize=1024)
def _insert(kind: type[Record], columns: tuple[str, ...]) -> str:
    """Return the INSERT of rows of a kind that have these columns.

    As text, compiled once: on this path SQLAlchemy's own parameter handling would take longer than SQLite.
    And only of the columns that a row has: binding one NULL after the other costs as much as what is there.
    """
    table = TABLES[kind]
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" * len(columns))
    if table is health_metrics:
        names += ', "activeAlerts"'
        open_alerts = (
            select(func.count())
            .select_from(alerts)
            .where(alerts.c.status != "RESOLVED", alerts.c.id != WATCHDOG)
        )
        text = open_alerts.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        marks += f", ({text})"
    return f'INSERT OR IGNORE INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608


@cache
def _row_of(kind: type[Record]) -> Callable[[AnyRecord], dict[str, Any]]:
    """Return what makes a row of a record: the values that it has, by column."""
    fields = msgspec.structs.fields(kind)
    known = TABLES[kind].c.keys()
    given = {field.encode_name: field.default for field in fields}
    defaults = {
        name: value
        for name, value in given.items()
        if name in known and value is not None and value is not msgspec.NODEFAULT
    }
    nested = [
        field.encode_name for field in fields if field.encode_name in known and not _is_plain(field.type)
    ]

    def row_of(record: AnyRecord) -> dict[str, Any]:
        values = msgspec.to_builtins(record, builtin_types=(datetime,))
        del values["kind"], values["timestamp"]
        row = {"timestamp": to_store(record.at), "recordId": values.pop("id", None), **defaults, **values}
        for name in nested:
            if name in row:
                row[name] = msgspec.json.encode(row[name]).decode()
        return row

    return row_of


def _is_plain(kind: object) -> bool:
    """Say whether values of a field go into a column as they are; lists and structs go in as JSON."""
    info = msgspec.inspect.type_info(kind)
    return not isinstance(
        info, msgspec.inspect.ListType | msgspec.inspect.DictType | msgspec.inspect.StructType
    )


def subjects(connection: Connection, table: Table) -> list[str]:
    """List the bots (or hosts) that have rows in `table`, looking up one after the other.

    DISTINCT would walk the whole index: seconds for a year of rows.
    """
    column = subject_column(table)
    first = select(func.min(column).label("name")).cte("names", recursive=True)
    following = select(func.min(column)).where(column > first.c.name).scalar_subquery()
    names = first.union_all(select(following).where(first.c.name.is_not(None)))
    return list(connection.execute(select(names.c.name).where(names.c.name.is_not(None))).scalars())

"""Record rows: written in batches by the recorder, read by the dashboard."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, desc, func, select
from sqlalchemy.dialects import sqlite

from shared.schema.records import AnyRecord, Fill, Performance, Record
from shared.schema.timestamps import to_store
from shared.schema.watchdog import WATCHDOG
from shared.store.tables import (
    FILL_IDENTITY,
    REMARKS,
    TABLES,
    alerts,
    health_metrics,
    performance_remarks,
    subject_column,
)


class InsertResult(NamedTuple):
    """Result of an insert. Repeated records are in neither list: sending a record again is harmless."""

    new: list[AnyRecord]
    """Inserted records, grouped by kind."""
    conflicting: list[AnyRecord]
    """Records that reuse the ID of another record with different content.

    They are inserted and in `new`, except fills that differ from a stored one only in their fee.
    """


def insert_records(connection: Connection, records: Iterable[AnyRecord]) -> InsertResult:
    """Insert `records`, one statement per kind, except those that are already stored.

    A record is already stored if its (subject, id) is, with the same content apart from its timestamp: a
    retry without a timestamp has another one. A fill is also stored if its `FILL_IDENTITY` is. All records
    must belong to the database of `connection`.
    """
    by_kind: dict[type[Record], list[AnyRecord]] = {}
    for record in records:
        by_kind.setdefault(type(record), []).append(record)
    inserted = InsertResult([], [])
    for kind, group in by_kind.items():
        count = _insert_rows(connection, kind, map(_row_of(kind), group))
        if count == len(group):
            inserted.new.extend(group)
        else:
            new = _written(connection, kind, group, count)
            inserted.new.extend(new)
            _insert_conflicting(connection, kind, _not_inserted(group, new), inserted)
        if kind is Fill:
            inserted.conflicting.extend(_conflicting_fills(connection, inserted))
    return inserted


_IDS_AGAIN = """
    SELECT EXISTS (
        SELECT 1 FROM fills AS other WHERE other.bot = fills.bot AND other.symbol = fills.symbol
        AND other."fillId" = fills."fillId" AND other."orderId" = fills."orderId" AND other.id < fills.id
    ) FROM fills ORDER BY id DESC LIMIT ?
"""


def _conflicting_fills(connection: Connection, inserted: InsertResult) -> list[AnyRecord]:
    """Return the fills of `inserted`, just written, that share order and fill ID with another execution."""
    fills = [record for record in inserted.new if isinstance(record, Fill)]
    again = connection.exec_driver_sql(_IDS_AGAIN, (len(fills),)).scalars().all()
    known = set(map(id, inserted.conflicting))
    return [
        fill
        for fill, is_again in zip(fills, reversed(again), strict=True)
        if is_again and id(fill) not in known
    ]


def _insert_rows(connection: Connection, kind: type[Record], rows: Iterable[dict[str, Any]]) -> int:
    """Insert rows that are not stored, and return their number."""
    if kind is Performance:
        rows = _with_remarks(connection, rows)
    count = 0
    for columns, alike in groupby(rows, key=tuple):
        values = [tuple(row.values()) for row in alike]
        count += connection.exec_driver_sql(_insert(kind, columns), values).rowcount
    return count


def _with_remarks(connection: Connection, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Replace the remarks of computed rows by the IDs of their texts; new texts are inserted."""
    known: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["source"] == "computed":
            day = row["timestamp"][: len("2026-01-31")]
            for name, by_id in REMARKS.items():
                if text := row.pop(name, None):
                    if (text, day) not in known:
                        known[text, day] = _remark_id(connection, text, day)
                    row[by_id] = known[text, day]
        yield row


def _remark_id(connection: Connection, text: str, day: str) -> int:
    """Return the ID of a remark, inserting it if new; `day` is a day on which it is used."""
    table = performance_remarks
    found = connection.exec_driver_sql(_FIND_REMARK, (text,)).first()  # as text: runs once per record
    if found is None:
        row = connection.execute(table.insert().values(text=text, lastUsed=day)).inserted_primary_key
        return int(row[0])  # type: ignore[index]
    if found.lastUsed < day:
        connection.execute(table.update().where(table.c.id == found.id).values(lastUsed=day))
    return int(found.id)


_FIND_REMARK = f'SELECT id, "lastUsed" FROM {performance_remarks.name} WHERE text = ?'  # noqa: S608


def _not_inserted(group: Sequence[AnyRecord], new: Sequence[AnyRecord]) -> list[AnyRecord]:
    written = set(map(id, new))
    return [record for record in group if id(record) not in written]


def _insert_conflicting(
    connection: Connection, kind: type[Record], repeated: Sequence[AnyRecord], inserted: InsertResult
) -> None:
    """Insert the records of `repeated` that differ from what is stored, under an ID of their own.

    The ID is derived from the content, so that these records may also be sent again.
    """
    row_of = _row_of(kind)
    for record in repeated:
        row = row_of(record)
        stored = _stored(connection, kind, row)
        content = {name: row.get(name) for name in stored}
        if content == stored:
            continue
        if row["recordId"] is not None:
            digest = hashlib.sha256(repr(sorted(content.items())).encode()).hexdigest()
            row["recordId"] = f"{row['recordId'][:100]}#{digest[:16]}"
        if _insert_rows(connection, kind, [row]):
            inserted.new.append(record)
            inserted.conflicting.append(record)
        elif kind is Fill and _stored(connection, kind, row) != content:
            inserted.conflicting.append(record)


def _stored(connection: Connection, kind: type[Record], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored row with the identity of `row`, without its timestamp and IDs."""
    table = TABLES[kind]
    subject = subject_column(table).name
    found = None
    if row["recordId"] is not None:
        found = connection.exec_driver_sql(
            _select_same(kind, (subject, "recordId")), (row[subject], row["recordId"])
        ).first()
    if found is None and kind is Fill:
        values = tuple(row[name] for name in FILL_IDENTITY)
        found = connection.exec_driver_sql(_select_same(kind, FILL_IDENTITY), values).first()
    return dict(found._mapping) if found else {}  # noqa: SLF001 - SQLAlchemy's public face


@cache
def _select_same(kind: type[Record], identity: tuple[str, ...]) -> str:
    """Return the SELECT of the content of rows with an identity."""
    table = TABLES[kind]
    content = ", ".join(
        f'"{name}"'
        for name in (field.encode_name for field in msgspec.structs.fields(kind))
        if name in table.c and name not in ("id", "timestamp")
    )
    same = " AND ".join(f'"{name}" = ?' for name in identity)
    return f'SELECT {content} FROM "{table.name}" WHERE {same}'  # noqa: S608


def _written(
    connection: Connection, kind: type[Record], group: Sequence[AnyRecord], count: int
) -> list[AnyRecord]:
    """Return which records of `group` became the table's last `count` rows, in the same transaction.

    The rows are in the order of the group, without those that were left out.
    """
    table = TABLES[kind]
    naming = ("host", *FILL_IDENTITY)
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

    As text, compiled once: SQLAlchemy's parameter handling would take longer than SQLite. Only the row's
    columns are listed: binding NULLs costs as much as binding values.
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
    """Return the function that converts a record of a kind to a row: its values by column."""
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
    times = [field.encode_name for field in fields if field.encode_name in known and is_time(field.type)]
    times.remove("timestamp")

    def row_of(record: AnyRecord) -> dict[str, Any]:
        values = msgspec.to_builtins(record, builtin_types=(datetime,))
        del values["kind"], values["timestamp"]
        row = {"timestamp": to_store(record.at), "recordId": values.pop("id", None), **defaults, **values}
        for name in nested:
            if name in row:
                row[name] = msgspec.json.encode(row[name]).decode()
        for name in times:
            if name in row:
                row[name] = to_store(row[name])
        return row

    return row_of


def _is_plain(kind: object) -> bool:
    """Return whether a field's values are stored as they are; lists and structs are stored as JSON."""
    info = msgspec.inspect.type_info(kind)
    return not isinstance(
        info, msgspec.inspect.ListType | msgspec.inspect.DictType | msgspec.inspect.StructType
    )


def is_time(kind: object) -> bool:
    """Return whether a field's values are times."""
    info = msgspec.inspect.type_info(kind)
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    plain = (part.type if isinstance(part, msgspec.inspect.Metadata) else part for part in parts)
    return any(isinstance(part, msgspec.inspect.DateTimeType) for part in plain)


def subjects(connection: Connection, table: Table) -> list[str]:
    """Return the bots (or hosts) with rows in `table`, each found through the index.

    DISTINCT would scan the whole index, which takes seconds for a year of rows.
    """
    column = subject_column(table)
    first = select(func.min(column).label("name")).cte("names", recursive=True)
    following = select(func.min(column)).where(column > first.c.name).scalar_subquery()
    names = first.union_all(select(following).where(first.c.name.is_not(None)))
    return list(connection.execute(select(names.c.name).where(names.c.name.is_not(None))).scalars())

"""Latest records: the newest stored record of each bot or host, used when Redis is down."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Column, ColumnElement, Connection, Row, Table, desc, func, select, text

from shared.schema.records import AnyRecord, Performance, Record
from shared.schema.timestamps import from_store, to_store
from shared.store.records import is_time, subjects
from shared.store.tables import REMARKS, TABLES, performance_metrics, performance_remarks, subject_column

MAX_ROWS_SEARCHED = 1000
"""Number of rows searched for a source: a bot without it must not cost a scan of all its rows."""
_STRUCTURED = (msgspec.inspect.ListType, msgspec.inspect.DictType)


def latest_records(connection: Connection, kind: type[Record]) -> list[AnyRecord]:
    """Return the newest record of `kind` of every bot or host (of each source, where records have one)."""
    return [
        record
        for subject in subjects(connection, TABLES[kind])
        for record in latest_record_of(connection, kind, subject)
    ]


def latest_record_of(connection: Connection, kind: type[Record], subject: str) -> list[AnyRecord]:
    """Return the newest record of `kind` of one bot or host (of each source, where records have one)."""
    sources = ("reported", "computed") if kind is Performance else (None,)
    rows = [_newest(connection, TABLES[kind], subject, source) for source in sources]
    return [to_record(kind, row) for row in rows if row is not None]


def computed_record_before(
    connection: Connection, bot: str, span: tuple[datetime, datetime]
) -> Performance | None:
    """Return the newest computed record of a bot in `span` (its end exclusive), with its remarks.

    None where it is older than such records are kept one by one.
    """
    row = performance_metrics.c
    since, until = map(to_store, span)
    wanted = (row.bot == bot, text("source = 'computed'"), row.timestamp >= since, row.timestamp < until)
    newest = select(*_columns(performance_metrics)).where(*wanted).order_by(desc(row.timestamp)).limit(1)
    found = connection.execute(newest).first()
    return msgspec.convert(to_record(Performance, found), Performance) if found else None


def _newest(connection: Connection, table: Table, subject: str, source: str | None) -> Row[Any] | None:
    column = subject_column(table)
    newest = select(*_columns(table)).where(column == subject).order_by(desc(table.c.timestamp))
    if source is None:
        return connection.execute(newest.limit(1)).first()
    columns = (table.c.id, table.c.timestamp, table.c.source)
    lately = newest.with_only_columns(*columns).limit(MAX_ROWS_SEARCHED).subquery()
    wanted = select(lately.c.id).where(lately.c.source == source).order_by(desc(lately.c.timestamp)).limit(1)
    whole = select(*_columns(table)).where(table.c.id == wanted.scalar_subquery())
    return connection.execute(whole).first()


def _columns(table: Table) -> list[ColumnElement[Any]]:
    """Return the columns of a record table, with the texts of remarks."""
    if table is not performance_metrics:
        return list(table.c)
    return [_remark_text(column) if column.name in REMARKS else column for column in table.c]


def _remark_text(column: Column[Any]) -> ColumnElement[Any]:
    by_id = column.table.c[REMARKS[column.name]]
    text = select(performance_remarks.c.text).where(performance_remarks.c.id == by_id)
    return func.coalesce(column, text.scalar_subquery()).label(column.name)


def to_record(kind: type[Record], row: Row[Any]) -> AnyRecord:
    """Convert a row back to a record: structured fields are JSON text, `recordId` is the record's ID."""
    stored: dict[str, Any] = {**row._mapping, "id": row.recordId}  # noqa: SLF001 - SQLAlchemy's public face
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(kind):
        value = stored[field.encode_name]
        if value is None:
            continue
        if is_time(field.type):
            value = from_store(value)
        elif _is_structured(field.type):
            value = msgspec.json.decode(value)
        values[field.encode_name] = value
    return msgspec.convert(values, kind)  # type: ignore[return-value]


def _is_structured(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    info = msgspec.inspect.type_info(kind)
    inner = info.type if isinstance(info, msgspec.inspect.Metadata) else info
    return isinstance(inner, _STRUCTURED)

"""Recorded records: stored rows read again as records, in the order of their timestamps.

They are read in slices of time, each in its own read transactions: a span of any length takes little memory
and holds back no checkpoint of the WAL. Records have only the fields that rules evaluate.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, func, select, text

from shared.rules.trial import Pause, RecordQuery
from shared.schema.records import AnyRecord, HostRecord, Performance, Record
from shared.schema.timestamps import EPOCH, LATEST, epoch_ms, from_store, to_store
from shared.store.database import Database
from shared.store.records import is_time, subjects
from shared.store.tables import (
    TABLES,
    checks,
    equity,
    health_metrics,
    heartbeats,
    performance_metrics,
    performance_minutes,
    samples,
    subject_column,
)
from shared.store.time_buckets import HOUR, MINUTE

FIRST_SLICE, MAX_SLICE = 4 * MINUTE, 1024 * MINUTE
FEW_ROWS, MANY_ROWS = 5_000, 40_000
"""After a slice with fewer rows than this the next one is twice as long, after one with more half as long."""
MIN_PAUSE_MS = 60_000
PAUSE_SAMPLES = 2.5
"""Botwatch was down if the hosts' samples are missing for as many intervals, and no other record is there."""
MAX_PAUSES = 200
_EVALUATED = ("source", "portfolioValue", "status", "reason", "text", "certificateDays", "amount")
"""Fields that rules or the records themselves need besides those that are required."""

Names = Callable[[str], bool]
"""Returns whether the records of a bot or host are wanted."""


class Slice(NamedTuple):
    """The records of one slice of time."""

    end: datetime
    records: Iterator[AnyRecord]


class RecordReader:
    """Reads the records of `queries`, of the bots and hosts with `names`."""

    def __init__(
        self, performance: Database, health: Database, queries: Sequence[RecordQuery], names: Names
    ) -> None:
        self._readers: list[_TableReader] = []
        for query in queries:
            database = health if issubclass(query.kind, HostRecord) else performance
            self._readers.append(_TableReader(database, query, names))
            if query.kind is Performance:
                self._readers.append(_MinuteReader(database, query, names))

    @property
    def minutes_until(self) -> datetime | None:
        """Until when only the last computed metrics of each minute were found; None: nowhere."""
        found = [one.newest for one in self._readers if isinstance(one, _MinuteReader) and one.newest]
        return from_store(max(found)) if found else None

    def read(self, since: datetime, until: datetime) -> Iterator[Slice]:
        """Yield the records from the whole hour before `since` on, and before `until`."""
        start, width = since - (since - EPOCH) % HOUR, FIRST_SLICE
        while start < until:
            end = min(start + width, until)
            rows = [
                (moment, place, number, values)
                for place, reader in enumerate(self._readers)
                for moment, number, values in reader.rows(start, end)
            ]
            rows.sort(key=lambda row: row[:3])
            yield Slice(end, (self._readers[place].record(at, values) for at, place, _, values in rows))
            if len(rows) > MANY_ROWS:
                width = max(width / 2, MINUTE)
            elif len(rows) < FEW_ROWS:
                width = min(width * 2, MAX_SLICE)
            start = end


_Row = tuple[str, int, Sequence[Any]]
"""Timestamp, number of the row, and the values of its fields."""


class _TableReader:
    """Reads the rows of one table."""

    def __init__(self, database: Database, query: RecordQuery, names: Names) -> None:
        self._database = database
        self._query = query
        self._kind = query.kind
        self._fields = _fields_read(query)
        self._times = [
            place for place, one in enumerate(self._fields) if is_time(_field_types(query.kind)[one])
        ]
        self._arguments = [_attributes(query.kind)[one] for one in self._fields]
        self._table = self._source_table()
        with database.read() as connection:
            self._names = [name for name in subjects(connection, self._table) if names(name)]
        self._statement = self._select()

    def rows(self, since: datetime, until: datetime) -> Iterator[_Row]:
        """Yield the rows from `since` on and before `until`."""
        if not self._names:
            return
        parameters = (json.dumps(self._names), to_store(since), to_store(until))
        with self._database.read() as connection:
            found = connection.exec_driver_sql(self._statement, parameters).all()
        for row in found:
            yield row[0], row[1], row[2:]

    def record(self, moment: str, values: Sequence[Any]) -> AnyRecord:
        """Return a row as a record."""
        labels, *others = values
        given = dict(zip(self._arguments, others, strict=True))
        for place in self._times:
            given[self._arguments[place]] = from_store(others[place])
        made: Callable[..., AnyRecord] = self._kind  # type: ignore[assignment]
        # One call: rows are read by the million, and `from_store` makes two.
        at = datetime.fromisoformat(f"{moment}+00:00")
        return made(timestamp=at, labels=_decode_labels(labels), **given)

    def _source_table(self) -> Table:
        return TABLES[self._kind]

    def _select(self) -> str:
        return _statement(self._table, "timestamp", "id", "labels", self._fields, self._conditions())

    def _conditions(self) -> list[str]:
        """Return the conditions of the query; each text in it is a name from the code, or is escaped."""
        conditions = []
        if metrics := self._query.metrics:
            conditions.append("(" + " OR ".join(f'"{one}" IS NOT NULL' for one in sorted(metrics)) + ")")
        if only := self._query.only:
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in sorted(only[1]))
            conditions.append(f'"{only[0]}" IN ({listed})')
        return conditions


class _MinuteReader(_TableReader):
    """Reads the rollups of computed metrics, as far back as their raw rows are deleted."""

    def __init__(self, database: Database, query: RecordQuery, names: Names) -> None:
        super().__init__(database, query, names)
        with database.read() as connection:
            self._raw_from = {name: _first_computed(connection, name) for name in self._names}
        self.newest: str | None = None
        """Timestamp of the newest row that was used."""

    def rows(self, since: datetime, until: datetime) -> Iterator[_Row]:
        """Yield the last metrics of each minute."""
        bot = self._fields.index("bot") + 1
        for moment, number, values in super().rows(since, until):
            if moment < self._raw_from[values[bot]]:
                self.newest = max(self.newest or "", moment)
                yield moment, number, values

    def _source_table(self) -> Table:
        return performance_minutes

    def _select(self) -> str:
        conditions = [*self._conditions(), "source = 'computed'"]
        return _statement(self._table, "at", "0", "NULL", self._fields, conditions)


def _statement(
    table: Table, at: str, number: str, labels: str, fields: Sequence[str], conditions: Sequence[str]
) -> str:
    columns = ", ".join(f'"{name}"' for name in fields)
    wanted = "".join(f" AND {one}" for one in conditions)
    return (
        f'SELECT "{at}", {number}, {labels}, {columns} FROM "{table.name}"'  # noqa: S608 - names of the code
        f" WHERE {subject_column(table).name} IN (SELECT value FROM json_each(?))"
        f" AND timestamp >= ? AND timestamp < ?{wanted}"
    )


def _fields_read(query: RecordQuery) -> list[str]:
    """Return the wire names of the fields that a record needs, without timestamp, labels and ID."""
    return [
        field.encode_name
        for field in msgspec.structs.fields(query.kind)
        if field.required or field.encode_name in query.metrics or field.encode_name in _EVALUATED
    ]


def _attributes(kind: type[Record]) -> Mapping[str, str]:
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind)}


def _field_types(kind: type[Record]) -> Mapping[str, object]:
    return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}


@lru_cache(maxsize=10_000)
def _decode_labels(labels: str | None) -> dict[str, str]:
    return msgspec.json.decode(labels, type=dict[str, str]) if labels else {}


def _first_computed(connection: Connection, bot: str) -> str:
    """Return the timestamp of a bot's first raw computed row; the latest possible one without any."""
    row = performance_metrics.c
    first = select(func.min(row.timestamp)).where(row.bot == bot, text("source = 'computed'"))
    return connection.execute(first).scalar() or to_store(LATEST)


def find_pauses(
    performance: Database, health: Database, since: datetime, until: datetime, interval_s: float
) -> list[Pause]:
    """Return when Botwatch was down: no host sent a sample (due every `interval_s`), and no bot a record.

    None without samples: then nothing is known of it.
    """
    longest = max(MIN_PAUSE_MS, PAUSE_SAMPLES * interval_s * 1000)
    with health.read() as connection:
        row = health_metrics.c
        hosts = subjects(connection, health_metrics)
        span = (row.host.in_(hosts), row.timestamp >= to_store(since), row.timestamp < to_store(until))
        moments = sorted({*connection.execute(select(row.timestamp).where(*span)).scalars()})
    gaps = [(a, b) for a, b in pairwise(moments) if _ms(b) - _ms(a) > longest]
    if len(gaps) > MAX_PAUSES:
        return []
    others = ((performance, (heartbeats, equity, performance_metrics, samples)), (health, (checks,)))
    for database, tables in others:
        for table in tables:
            with database.read() as connection:
                names = subjects(connection, table)
                gaps = [gap for gap in gaps if not _has_rows(connection, table, names, gap)]
    return [Pause(_ms(a), _ms(b)) for a, b in gaps]


def _has_rows(connection: Connection, table: Table, names: Sequence[str], gap: tuple[str, str]) -> bool:
    """Return whether a table has rows well within a gap."""
    since, until = (from_store(moment) for moment in gap)
    middle = (since + (until - since) / 4, until - (until - since) / 4)
    about = subject_column(table)
    found = select(about).where(
        about.in_(names), table.c.timestamp.between(to_store(middle[0]), to_store(middle[1]))
    )
    return connection.execute(found.limit(1)).first() is not None


def _ms(moment: str) -> int:
    return epoch_ms(from_store(moment))

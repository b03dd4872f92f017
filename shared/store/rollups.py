"""Rollups of performance records: the last metrics of each minute and hour, per bot and source.

They are made in bounded batches, in the order in which rows were inserted; `rollup_position` holds the last
row. Rows not rolled up yet are available in the same form: `rows_not_rolled_up`.
"""

from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    bindparam,
    desc,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.sqlite import Insert, insert

from shared.schema.records import Performance
from shared.schema.units import metric_fields
from shared.store.tables import performance_hours, performance_metrics, performance_minutes, rollup_position

NAME = "performance"
"""Key of the position."""
SOURCES = ("reported", "computed")
METRIC_COLUMNS = tuple(figure.wire for figure in metric_fields(Performance))

_ROW = performance_metrics.c
SOURCE = func.coalesce(_ROW.source, "reported")
"""Source of a row; rows inserted manually may lack it."""


class RollupWidth(NamedTuple):
    """Length of a rollup's buckets, and how a timestamp's text becomes that of its bucket's start."""

    length: timedelta
    kept: int
    completed: str


MINUTE = RollupWidth(timedelta(minutes=1), len("2026-01-31 12:00"), ":00.000")
HOUR = RollupWidth(timedelta(hours=1), len("2026-01-31 12"), ":00:00.000")


def roll_up(connection: Connection, most: int) -> int:
    """Roll up the next rows, at most `most`, and return their number.

    The last row of a minute or hour wins, by timestamp; of equal timestamps, the one inserted last.
    """
    position = rollup_offset(connection)
    piece = select(_ROW.id).where(_ROW.id > position).order_by(_ROW.id).limit(most).subquery()
    taken, last = connection.execute(select(func.count(), func.max(piece.c.id))).one()
    if taken:
        for statement in _STATEMENTS:
            connection.execute(statement, {"after": position, "last": last})
        connection.execute(_MOVE, {"name": NAME, "row": last})
    return int(taken)


def rollup_offset(connection: Connection) -> int:
    """Return the last row of `performance_metrics` that is rolled up."""
    here = select(rollup_position.c.row).where(rollup_position.c.name == NAME)
    return connection.execute(here).scalar() or 0


def rows_not_rolled_up(connection: Connection, bot: str) -> list[Row[Any]]:
    """Return the rows of `bot` that are not rolled up yet, as the minute rollup will have them."""
    return list(connection.execute(_NOT_ROLLED_UP, {"after": rollup_offset(connection), "bot": bot}))


def _last_rows(width: RollupWidth, *wanted: ColumnElement[bool]) -> Select[Any]:
    """Select the last of the `wanted` rows of each bot, source and bucket, in the rollups' columns."""
    begin = func.substr(_ROW.timestamp, 1, width.kept).concat(width.completed)
    place = func.row_number().over(
        partition_by=(_ROW.bot, SOURCE, begin), order_by=(desc(_ROW.timestamp), desc(_ROW.id))
    )
    ranked = select(_ROW.id, place.label("place")).where(*wanted).subquery()
    last = select(ranked.c.id).where(ranked.c.place == 1)
    return select(
        _ROW.bot, SOURCE.label("source"), begin.label("timestamp"),
        *(_ROW[name] for name in METRIC_COLUMNS), _ROW.timestamp.label("at"),
    ).where(_ROW.id.in_(last))  # fmt: skip


def _upsert(table: Table, width: RollupWidth) -> Insert:
    rows = _last_rows(width, _ROW.id > bindparam("after"), _ROW.id <= bindparam("last"))
    columns = ("bot", "source", "timestamp", *METRIC_COLUMNS, "at")
    statement = insert(table).from_select(columns, rows)
    return statement.on_conflict_do_update(
        index_elements=["bot", "source", "timestamp"],
        set_={name: statement.excluded[name] for name in (*METRIC_COLUMNS, "at")},
        where=statement.excluded.at >= table.c.at,
    )


_STATEMENTS = (_upsert(performance_minutes, MINUTE), _upsert(performance_hours, HOUR))
_NOT_ROLLED_UP = _last_rows(
    MINUTE,
    _ROW.id > bindparam("after"),
    # The concatenation keeps SQLite from scanning all rows of the bot through its index.
    _ROW.bot.concat(literal("")) == bindparam("bot"),
)
_NEW = insert(rollup_position)
_MOVE = _NEW.on_conflict_do_update(index_elements=["name"], set_={"row": _NEW.excluded.row})

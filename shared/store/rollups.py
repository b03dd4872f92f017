"""Rollups of performance records: the last figures of each minute and hour, per bot and source.

They are made a bounded piece at a time, in the order in which the rows came; `rollup_position` says up to
which row. What is not rolled up yet can be read in the same form: `tail`.
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
"""Of the position."""
SOURCES = ("reported", "computed")
METRIC_COLUMNS = tuple(figure.wire for figure in metric_fields(Performance))

_ROW = performance_metrics.c
SOURCE = func.coalesce(_ROW.source, "reported")
"""Rows that were written by hand may lack it."""


class RollupWidth(NamedTuple):
    """How long a rollup's stretches are, and how the text of a moment becomes that of its stretch's begin."""

    length: timedelta
    kept: int
    completed: str


MINUTE = RollupWidth(timedelta(minutes=1), len("2026-01-31 12:00"), ":00.000")
HOUR = RollupWidth(timedelta(hours=1), len("2026-01-31 12"), ":00:00.000")


def roll_up(connection: Connection, most: int) -> int:
    """Take the next rows, at most `most`, into the rollups, and return how many there were.

    The last row of a minute or hour wins, by its moment; of equal moments the one that came last.
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
    """Return the row of `performance_metrics` up to which the rollups are made."""
    here = select(rollup_position.c.row).where(rollup_position.c.name == NAME)
    return connection.execute(here).scalar() or 0


def rows_not_rolled_up(connection: Connection, bot: str) -> list[Row[Any]]:
    """Return what is not rolled up yet of `bot`, as the rollup of minutes will have it."""
    return list(connection.execute(_NOT_ROLLED_UP, {"after": rollup_offset(connection), "bot": bot}))


def _last_rows(width: RollupWidth, *wanted: ColumnElement[bool]) -> Select[Any]:
    """Select the last of the `wanted` rows of each bot, source and stretch, in the rollups' columns."""
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
    # Joined to nothing, so that SQLite does not walk all rows of the bot by the index of its name.
    _ROW.bot.concat(literal("")) == bindparam("bot"),
)
_NEW = insert(rollup_position)
_MOVE = _NEW.on_conflict_do_update(index_elements=["name"], set_={"row": _NEW.excluded.row})

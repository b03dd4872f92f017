"""Rollups of performance records: the last metrics of each minute and hour, in any order of arrival."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import Table, select, text

from shared.schema.records import AnyRecord, Performance
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.rollups import roll_up, rollup_offset, rows_not_rolled_up
from shared.store.tables import performance_hours, performance_metrics, performance_minutes
from tests.unit.store.test_cost import steps

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALL = 1000


def at(seconds: float, worth: float, source: Literal["reported", "computed"] = "reported") -> Performance:
    return Performance(
        bot="a", timestamp=NOON + timedelta(seconds=seconds), portfolio_value=worth, source=source
    )


def write(database: Database, *records: AnyRecord) -> None:
    with database.write() as connection:
        insert_records(connection, records)


def roll(database: Database, most: int = ALL) -> int:
    with database.write() as connection:
        return roll_up(connection, most)


def rows(database: Database, table: Table) -> list[tuple[Any, ...]]:
    columns = (table.c.source, table.c.timestamp, table.c.portfolioValue, table.c.at)
    with database.read() as connection:
        found = connection.execute(select(*columns).order_by(table.c.timestamp, table.c.source))
        return [(source, begin[11:16], worth, moment[11:19]) for source, begin, worth, moment in found]


def test_the_last_row_of_each_source_minute_and_hour_is_kept(performance: Database) -> None:
    write(performance, at(0, 1), at(59, 2), at(30, 3), at(60, 4), at(3600, 5), at(59, 6, "computed"))
    assert roll(performance) == 6
    assert rows(performance, performance_minutes) == [
        ("computed", "12:00", 6, "12:00:59"),
        ("reported", "12:00", 2, "12:00:59"),
        ("reported", "12:01", 4, "12:01:00"),
        ("reported", "13:00", 5, "13:00:00"),
    ]
    assert rows(performance, performance_hours) == [
        ("computed", "12:00", 6, "12:00:59"),
        ("reported", "12:00", 4, "12:01:00"),
        ("reported", "13:00", 5, "13:00:00"),
    ]


def test_a_late_row_wins_only_if_its_time_is_not_before_the_known_one(performance: Database) -> None:
    write(performance, at(30, 1))
    roll(performance)
    write(performance, at(29, 2))
    roll(performance)
    assert rows(performance, performance_minutes) == [("reported", "12:00", 1, "12:00:30")]
    write(performance, at(30, 3))
    roll(performance)
    assert rows(performance, performance_minutes) == [("reported", "12:00", 3, "12:00:30")]


def test_an_undefined_metric_replaces_the_previous_value(performance: Database) -> None:
    known = Performance(bot="a", timestamp=NOON, portfolio_value=1, var95=3)
    write(performance, known)
    roll(performance)
    write(performance, at(1, 2))
    roll(performance)
    with performance.read() as connection:
        assert connection.execute(select(performance_minutes.c.var95)).scalars().all() == [None]


def test_rows_are_rolled_up_in_batches_and_only_once(performance: Database) -> None:
    write(performance, *(at(60 * n, n) for n in range(5)))
    assert [roll(performance, most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert [row[2] for row in rows(performance, performance_minutes)] == [0, 1, 2, 3, 4]


def test_a_failed_batch_leaves_the_offset_unchanged(performance: Database) -> None:
    write(performance, at(0, 1))
    with pytest.raises(ZeroDivisionError), performance.write() as connection:
        roll_up(connection, ALL)
        raise ZeroDivisionError
    with performance.read() as connection:
        assert rollup_offset(connection) == 0
    assert roll(performance) == 1


def test_a_row_written_by_hand_without_a_source_counts_as_reported(performance: Database) -> None:
    with performance.write() as connection:
        connection.execute(
            text(
                "INSERT INTO performance_metrics (bot, timestamp, portfolioValue) "
                "VALUES ('a', '2026-01-31 12:00:00', 7)"
            )
        )
    assert roll(performance) == 1
    assert rows(performance, performance_minutes) == [("reported", "12:00", 7, "12:00:00")]


def test_rows_not_rolled_up_have_the_form_of_the_rollup(performance: Database) -> None:
    write(performance, at(0, 1), Performance(bot="b", timestamp=NOON, portfolio_value=9))
    roll(performance)
    write(performance, at(61, 2), at(62, 3), Performance(bot="b", timestamp=NOON, portfolio_value=9))
    with performance.read() as connection:
        found = rows_not_rolled_up(connection, "a")
    assert [(row.bot, row.timestamp, row.portfolioValue, row.at) for row in found] == [
        ("a", "2026-01-31 12:01:00.000", 3, "2026-01-31 12:01:02.000")
    ]


def test_rows_not_rolled_up_and_the_next_batch_scan_no_older_rows(performance: Database) -> None:
    with performance.write() as connection:
        insert = "INSERT INTO performance_metrics (bot, timestamp, portfolioValue) VALUES (?, ?, 1)"
        moments = [("a", f"2026-01-{n // 1440 + 1:02} {n // 60 % 24:02}:{n % 60:02}") for n in range(40_000)]
        connection.exec_driver_sql(insert, moments)
        roll_up(connection, 40_000)
        connection.execute(performance_metrics.insert(), {"bot": "a", "timestamp": "2026-01-31 12:00:00"})
        assert steps(connection, lambda: rows_not_rolled_up(connection, "a")) < 5
        assert steps(connection, lambda: roll_up(connection, ALL)) < 5

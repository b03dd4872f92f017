"""Histories: one point per time bucket, whatever retention has left and rollups have done."""

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from sqlalchemy import Connection, event

from shared.schema.records import AnyRecord, Equity, Performance
from shared.schema.timestamps import EPOCH, from_store, to_store
from shared.store.candles import Candle
from shared.store.database import Database
from shared.store.history import drawdown_candles, equity_candles, has_history, performance_rows
from shared.store.records import insert_records
from shared.store.retention import remove_performance
from shared.store.rollups import roll_up
from shared.store.tables import equity_hours, equity_minutes
from shared.store.time_buckets import HOUR, MINUTE, SECOND, TimeBuckets
from tests.unit.store.test_cost import steps

pytestmark = pytest.mark.slow  # stores many rows

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Source = Literal["reported", "computed"]


def reported(at: datetime, worth: float, source: Source = "reported") -> Performance:
    return Performance(bot="a", timestamp=at, portfolio_value=worth, source=source)


def write(database: Database, records: Iterable[AnyRecord], *, rolled_up: bool = True) -> None:
    with database.write() as connection:
        insert_records(connection, records)
        if rolled_up:
            roll_up(connection, 1_000_000)


def history(database: Database, steps: TimeBuckets, source: str = "reported") -> list[tuple[datetime, float]]:
    with database.read() as connection:
        rows = performance_rows(connection, "a", source, ["portfolioValue"], steps)
    return [(from_store(at), worth) for at, worth in rows]


def last_of_each(rows: Iterable[tuple[datetime, float]], width: timedelta) -> list[tuple[datetime, float]]:
    """Thin out rows the plain way."""
    return list({(at - EPOCH) // width: (at, worth) for at, worth in sorted(rows)}.values())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("width", [SECOND * 7, SECOND * 30, MINUTE, MINUTE * 7, HOUR, HOUR * 5])
def test_every_step_has_its_last_row_whatever_is_rolled_up_or_gone(
    performance: Database, width: timedelta, seed: int
) -> None:
    dice = random.Random(seed)
    rows = [(NOON - timedelta(seconds=round(dice.uniform(0, 10 * 3600), 1)), n) for n in range(400)]
    cut = dice.randrange(400)
    write(performance, (reported(at, worth) for at, worth in rows[:cut]))
    write(performance, (reported(at, worth) for at, worth in rows[cut:]), rolled_up=False)
    raw_from, minutes_from = NOON - 3 * HOUR, NOON - 6 * HOUR
    list(remove_performance(performance, minutes_from, lambda _bot: NOON))
    with performance.write() as connection:  # what is not rolled up stays, however old it is
        connection.exec_driver_sql(
            "DELETE FROM performance_metrics WHERE timestamp < ?", (to_store(raw_from),)
        )
    rows = [row for number, row in enumerate(rows) if number < cut or row[0] >= raw_from]
    old = [row for row in rows if row[0] < minutes_from]
    middle = [row for row in rows if minutes_from <= row[0] < raw_from]
    new = [row for row in rows if row[0] >= raw_from]
    left = last_of_each(old, HOUR) + last_of_each(middle, MINUTE) + new
    steps = TimeBuckets.covering(NOON - 11 * HOUR, NOON, width)
    found = history(performance, steps)
    expected = last_of_each(left, width)
    assert [row for row in found if row[0] >= raw_from] == [row for row in expected if row[0] >= raw_from]
    assert found == expected
    assert len({steps.bucket_start(at) for at, _ in found}) == len(found)


def test_a_bucket_has_the_last_row_of_its_latest_time(performance: Database) -> None:
    write(performance, [reported(NOON, 1), reported(NOON, 2)])
    write(performance, [reported(NOON, 3)], rolled_up=False)
    for width in (SECOND, MINUTE, HOUR):
        assert history(performance, TimeBuckets.covering(NOON, NOON, width)) == [(NOON, 3)]


def test_sources_are_kept_apart_at_every_resolution(performance: Database) -> None:
    write(performance, [reported(NOON, 1), reported(NOON + SECOND, 2, "computed")])
    for width in (MINUTE, HOUR, DAY):
        steps = TimeBuckets.covering(NOON, NOON, width)
        assert history(performance, steps) == [(NOON, 1)]
        assert history(performance, steps, "computed") == [(NOON + SECOND, 2)]


def test_a_row_written_by_hand_without_a_source_counts_as_reported(performance: Database) -> None:
    with performance.write() as connection:
        insert = "INSERT INTO performance_metrics (bot, timestamp, portfolioValue) VALUES ('a', ?, 7)"
        connection.exec_driver_sql(insert, (to_store(NOON),))
    for width in (SECOND, MINUTE, HOUR):
        assert history(performance, TimeBuckets.covering(NOON, NOON, width)) == [(NOON, 7)]


def curve(rows: Iterable[tuple[datetime, float, float]], width: timedelta) -> dict[datetime, list[Any]]:
    """Make candles the plain way; equity above 100 has no drawdown, below it one of its distance."""
    found: dict[datetime, list[Any]] = {}
    for at, worth, flow in sorted(rows):
        found.setdefault(EPOCH + (at - EPOCH) // width * width, []).append((worth, flow))
    return found


def candle(points: list[Any]) -> Candle:
    worths = [worth for worth, _ in points]
    return Candle(worths[0], max(worths), min(worths), worths[-1], sum(flow for _, flow in points))


def fold(database: Database, rows: list[tuple[datetime, float, float]]) -> None:
    """Write what the recorder makes of equity points: rows, minutes, hours; the last ones are not whole."""
    with database.write() as connection:
        insert_records(connection, [Equity(bot="a", timestamp=at, equity=e, net_flow=f) for at, e, f in rows])
        for table, width in ((equity_minutes, MINUTE), (equity_hours, HOUR)):
            curves = curve(rows, width)
            last = max(curves)
            curves[last] = curves[last][: (len(curves[last]) + 1) // 2]
            for begin, points in curves.items():
                falls = [(100 - worth) / 100 for worth, _ in points]
                values = {"bot": "a", "timestamp": to_store(begin), **candle(points)._asdict()}
                values |= {"drawdown": max(falls), "lastDrawdown": falls[-1], "peak": 100}
                values |= {"points": len(points), "netFlow": values.pop("flow")}
                connection.execute(table.insert(), values)


def equity_rows(seed: int) -> list[tuple[datetime, float, float]]:
    dice = random.Random(seed)
    moments = sorted({NOON - timedelta(seconds=dice.randrange(10 * 3600)) for _ in range(600)})
    return [(at, float(dice.randrange(50, 100)), float(dice.choice((0, 0, 5)))) for at in moments]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("width", [SECOND * 10, MINUTE, MINUTE * 7, HOUR, HOUR * 5])
def test_every_step_has_its_candle_made_of_every_point_once(
    performance: Database, width: timedelta, seed: int
) -> None:
    rows = equity_rows(seed)
    fold(performance, rows)
    with performance.read() as connection:
        found = equity_candles(connection, "a", TimeBuckets.covering(NOON - 11 * HOUR, NOON, width))
    assert found == {begin: candle(points) for begin, points in curve(rows, width).items()}
    assert list(found) == sorted(found)


@pytest.mark.parametrize("width", [SECOND * 10, MINUTE, MINUTE * 7, HOUR, HOUR * 5])
def test_rollups_replace_deleted_rows_and_nothing_counts_twice(
    performance: Database, width: timedelta
) -> None:
    rows = equity_rows(1)
    fold(performance, rows)
    minutes_from, raw_from = NOON - 6 * HOUR, NOON - 3 * HOUR
    list(remove_performance(performance, minutes_from, lambda _bot: NOON))
    with performance.write() as connection:
        connection.exec_driver_sql("DELETE FROM equity WHERE timestamp < ?", (to_store(raw_from),))
    with performance.read() as connection:
        found = equity_candles(connection, "a", TimeBuckets.covering(NOON - 11 * HOUR, NOON, width))
    expected: dict[datetime, Candle] = {}
    for since, until, own in (
        (NOON - DAY, minutes_from, HOUR),
        (minutes_from, raw_from, MINUTE),
        (raw_from, NOON + DAY, SECOND),
    ):
        part = [row for row in rows if since <= row[0] < until]
        for begin, points in curve(part, own).items():
            step = EPOCH + (begin - EPOCH) // width * width
            expected[step] = expected[step].merge(candle(points)) if step in expected else candle(points)
    assert found == expected
    assert sum(one.flow for one in found.values()) == sum(flow for _, _, flow in rows)


@pytest.mark.parametrize("width", [SECOND * 10, MINUTE, HOUR])
def test_raw_rows_that_outlive_the_minutes_do_not_count_twice(
    performance: Database, width: timedelta
) -> None:
    rows = equity_rows(1)
    fold(performance, rows)
    list(remove_performance(performance, NOON - 6 * HOUR, lambda _bot: None))
    with performance.read() as connection:
        found = equity_candles(connection, "a", TimeBuckets.covering(NOON - 11 * HOUR, NOON, width))
    assert sum(one.flow for one in found.values()) == sum(flow for _, _, flow in rows)


@pytest.mark.parametrize("width", [MINUTE, HOUR])
def test_the_newest_rollup_is_used_where_its_rows_are_deleted(
    performance: Database, width: timedelta
) -> None:
    fold(performance, [(NOON, 90, 0), (NOON + MINUTE, 80, 5)])
    with performance.write() as connection:
        connection.exec_driver_sql("DELETE FROM equity")
        found = equity_candles(connection, "a", TimeBuckets.covering(NOON, NOON + MINUTE, width))
    assert list(found.values())[-1].close == 80
    assert sum(one.flow for one in found.values()) == 5


def test_a_bot_without_equity_has_its_reported_portfolio_values(performance: Database) -> None:
    write(performance, [reported(NOON, 3), reported(NOON + SECOND, 1), reported(NOON, 9, "computed")])
    with performance.read() as connection:
        found = equity_candles(connection, "a", TimeBuckets.covering(NOON, NOON, SECOND * 10))
    assert found == {NOON: Candle(3, 3, 1, 1, 0)}


@pytest.mark.parametrize("width", [MINUTE, HOUR])
def test_drawdown_is_percent_and_the_minute_under_way_has_the_computed_one(
    performance: Database, width: timedelta
) -> None:
    fold(
        performance,
        [(NOON, 90, 0), (NOON + SECOND, 70, 0), (NOON + 2 * SECOND, 95, 0), (NOON + MINUTE, 96, 0)],
    )
    write(performance, [
        Performance(bot="a", timestamp=NOON + timedelta(seconds=s), source="computed", current_drawdown=d)
        for s, d in ((1, 99.0), (61, 40.0), (62, 7.0), (63, None))
    ])  # fmt: skip
    with performance.read() as connection:
        found = drawdown_candles(connection, "a", TimeBuckets.covering(NOON, NOON + MINUTE, width))
    shown = {begin: (round(one.high, 9), round(one.close, 9)) for begin, one in found.items()}
    if width is MINUTE:
        assert shown == {NOON: (30, 5), NOON + MINUTE: (40, 7)}
    else:
        assert shown == {NOON: (40, 7)}


def test_a_bot_is_known_by_any_trace(performance: Database) -> None:
    with performance.read() as connection:
        assert not has_history(connection, "a")
    write(performance, [reported(NOON, 1)])
    list(remove_performance(performance, NOON + HOUR, lambda _bot: NOON + HOUR))
    with performance.read() as connection:
        assert has_history(connection, "a")
        assert not has_history(connection, "b")


def plans(connection: Connection) -> list[str]:
    """Gather how SQLite goes about each statement from now on."""
    found: list[str] = []
    raw = connection.connection.driver_connection
    assert raw

    def explain(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        found.extend(step[-1] for step in raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(connection, "before_cursor_execute", explain)
    return found


def test_a_source_that_a_bot_lacks_costs_no_scan_of_the_other(performance: Database) -> None:
    write(performance, (reported(NOON - n * SECOND / 5, n) for n in range(15_000)))
    span = TimeBuckets.covering(NOON - HOUR, NOON, SECOND * 10)
    with performance.read() as connection:
        spent = steps(connection, lambda: performance_rows(connection, "a", "computed", ["var95"], span))
    assert spent < 10


@pytest.mark.parametrize("width", [SECOND * 10, MINUTE, HOUR])
def test_no_table_is_scanned(performance: Database, width: timedelta) -> None:
    fold(performance, equity_rows(1))
    write(performance, [reported(NOON - n * HOUR, n) for n in range(9)])
    with performance.read() as connection:
        gone_about = plans(connection)
        span = TimeBuckets.covering(NOON - 10 * HOUR, NOON, width)
        performance_rows(connection, "a", "reported", ["var95"], span)
        equity_candles(connection, "a", span)
        drawdown_candles(connection, "a", span)
    named = ("performance", "equity")
    walked = [step for step in gone_about if step.startswith("SCAN") and step.split()[1].startswith(named)]
    assert gone_about
    assert walked == []
    assert not [
        step for step in gone_about if "USING INDEX performance_metrics_bot_timestamp (bot=?)" in step
    ]

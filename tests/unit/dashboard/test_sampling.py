"""Even samples of rows over a span, and the latest row of each subject."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from shared.schema.records import AnyRecord, Equity, Fill, Health, Heartbeat, Order, Performance
from shared.store.database import Database
from shared.store.latest_records import latest_records
from shared.store.records import insert_records
from shared.store.sampling import sample_rows
from shared.store.tables import equity, health_metrics, performance_metrics
from tests.unit.dashboard.sample_data import NOON

HOUR = (NOON - timedelta(hours=1), NOON)


def equities(*seconds_ago: float) -> list[AnyRecord]:
    return [Equity(bot="alpha", timestamp=NOON - timedelta(seconds=s), equity=s) for s in seconds_ago]


def written(database: Database, records: list[AnyRecord]) -> Database:
    with database.write() as connection:
        insert_records(connection, records)
    return database


@pytest.mark.parametrize("rows", [1, 2, 299, 3600, 36_000])
def test_a_sample_has_the_newest_row_and_never_many_more_than_asked_for(
    performance: Database, rows: int
) -> None:
    written(performance, equities(*(n * 3600 / rows for n in range(rows))))
    with performance.read() as connection:
        found = sample_rows(connection, equity, "alpha", ["equity"], HOUR, most=300)
    assert min(rows, 140) <= len(found) <= 302
    assert found[-1] == ("2026-01-31 12:00:00.000", 0.0)
    assert found == sorted(found)


def test_a_short_history_is_sampled_finely(performance: Database) -> None:
    written(performance, equities(*(n / 2 for n in range(100))))
    with performance.read() as connection:
        assert len(sample_rows(connection, equity, "alpha", ["equity"], HOUR, most=300)) == 100


def test_a_sample_keeps_to_its_span_its_subject_and_what_is_wanted(
    performance: Database, health: Database
) -> None:
    written(performance, equities(3601, 3600, 0, -1))
    figures: list[AnyRecord] = [
        Performance(bot="alpha", timestamp=NOON - timedelta(minutes=2), portfolio_value=1),
        Performance(bot="alpha", timestamp=NOON - timedelta(minutes=1), source="computed", var95=3),
        Performance(bot="beta", timestamp=NOON, portfolio_value=3),
    ]
    written(performance, figures)
    written(health, [Health(host="box", timestamp=NOON, cpu_usage=5)])
    with performance.read() as connection, health.read() as other:
        assert [r[1] for r in sample_rows(connection, equity, "alpha", ["equity"], HOUR, most=300)] == [
            3600,
            0,
        ]
        assert sample_rows(connection, equity, "nobody", ["equity"], HOUR, most=300) == []
        defined = sample_rows(connection, performance_metrics, "alpha", ["portfolioValue"], HOUR, most=300)
        both = sample_rows(
            connection, performance_metrics, "alpha", ["portfolioValue", "var95"], HOUR, most=300
        )
        computed = sample_rows(
            connection, performance_metrics, "alpha", ["var95"], HOUR, most=300, source="computed"
        )
        hosts = sample_rows(other, health_metrics, "box", ["cpuUsage"], HOUR, most=300)
    assert [row[1:] for row in defined] == [(1,)]
    assert [row[1:] for row in both] == [(1, None), (None, 3)]
    assert [row[1:] for row in computed] == [(3,)]
    assert [row[1:] for row in hosts] == [(5,)]


def test_a_sample_is_looked_up_through_the_index(performance: Database) -> None:
    statements: list[tuple[str, object]] = []
    with performance.read() as connection:
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _u, statement, parameters, *_: statements.append((statement, parameters)),
        )
        written(performance, equities(1, 2))
        sample_rows(connection, equity, "alpha", ["equity"], HOUR, most=300)
        statement, parameters = statements[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()  # type: ignore[arg-type]
    steps = "\n".join(step[-1] for step in plan)
    assert "SEARCH equity USING INDEX equity_bot_timestamp (bot=? AND timestamp>? AND timestamp<?)" in steps
    assert "SCAN equity" not in steps


def test_the_latest_records_come_back_as_they_were_written(performance: Database) -> None:
    records: list[AnyRecord] = [
        Performance(bot="alpha", timestamp=NOON, portfolio_value=2, id="p", labels={"venue": "x"}),
        Performance(bot="alpha", timestamp=NOON, source="computed", var95=3),
        Heartbeat(bot="beta", timestamp=NOON, interval_seconds=5),
        Order(bot="beta", timestamp=NOON, order_id="1", symbol="X", side="buy", quantity=1, status="filled"),
        Fill(
            bot="beta",
            timestamp=NOON,
            order_id="1",
            fill_id="2",
            symbol="X",
            side="sell",
            quantity=1,
            price=2,
        ),
    ]
    earlier: list[AnyRecord] = [
        Performance(bot="alpha", timestamp=NOON - timedelta(seconds=1), portfolio_value=1)
    ]
    written(performance, [*records, *earlier])
    with performance.read() as connection:
        found = [
            r for kind in (Performance, Heartbeat, Order, Fill) for r in latest_records(connection, kind)
        ]
    assert found == records

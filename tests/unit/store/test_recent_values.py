"""The last hour of an alert's metric, wherever it is stored."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from structlog.testing import capture_logs

from shared.schema.alerts import Details, Notice
from shared.schema.records import AnyRecord, Equity, Health, Metric, Performance
from shared.store.database import Database, sqlite_url
from shared.store.recent_values import MAX_POINTS, recent_values
from shared.store.records import insert_records

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
Source = Literal["reported", "computed"]


def notice(metric: str, bot: str | None = "a", host: str | None = None, **labels: str) -> Notice:
    details = Details(
        rule="r", bot=bot, host=host, metric=metric, value=1, operator=">", threshold=1, labels=labels
    )
    return Notice(
        id="1", timestamp=NOON, severity="LOW", category="PERFORMANCE", component=bot or host or "",
        message="m", status="ACTIVE", details=details, fingerprint="f", updated_at=NOON, change="opened",
    )  # fmt: skip


def write(database: Database, records: Iterable[AnyRecord]) -> None:
    with database.write() as connection:
        insert_records(connection, list(records))


def minutes_ago(minutes: float) -> datetime:
    return NOON - timedelta(minutes=minutes)


def performance_of(
    bot: str, minutes: float, drawdown: float | None, source: Source = "reported"
) -> Performance:
    return Performance(
        bot=bot, timestamp=minutes_ago(minutes), portfolio_value=1, max_drawdown=drawdown, source=source
    )


def test_values_of_the_last_hour_are_returned_oldest_first(performance: Database, health: Database) -> None:
    write(performance, [
        performance_of("a", 1, 3), performance_of("a", 59, 1), performance_of("a", 30, None),
        performance_of("a", 61, 9), performance_of("b", 2, 9), performance_of("a", -1, 9),
    ])  # fmt: skip
    assert recent_values(performance, health, notice("maxDrawdown"), NOON) == [
        (minutes_ago(59), 1),
        (minutes_ago(1), 3),
    ]


def test_what_is_computed_is_not_mixed_with_what_is_reported(performance: Database, health: Database) -> None:
    write(performance, [performance_of("a", 2, 1), performance_of("a", 1, 7, source="computed")])
    computed = notice("maxDrawdown", source="computed", venue="x")
    assert recent_values(performance, health, computed, NOON) == [(minutes_ago(1), 7)]
    assert recent_values(performance, health, notice("maxDrawdown"), NOON) == [(minutes_ago(2), 1)]


def test_equity_is_found_and_what_both_kinds_have_where_it_is(
    performance: Database, health: Database
) -> None:
    write(performance, [Equity(bot="a", timestamp=minutes_ago(5), equity=100, unrealized_pnl=-4)])
    assert recent_values(performance, health, notice("equity"), NOON) == [(minutes_ago(5), 100)]
    assert recent_values(performance, health, notice("unrealizedPnL"), NOON) == [(minutes_ago(5), -4)]


def test_a_metric_record_is_found_by_its_name(performance: Database, health: Database) -> None:
    write(performance, [
        Metric(bot="a", timestamp=minutes_ago(5), name="queue", value=12),
        Metric(bot="a", timestamp=minutes_ago(4), name="other", value=9),
    ])  # fmt: skip
    assert recent_values(performance, health, notice("queue"), NOON) == [(minutes_ago(5), 12)]


def test_a_hosts_metric_is_found(performance: Database, health: Database) -> None:
    write(health, [
        Health(host="box", timestamp=minutes_ago(5), cpu_usage=95),
        Health(host="other", timestamp=minutes_ago(4), cpu_usage=5),
    ])  # fmt: skip
    assert recent_values(performance, health, notice("cpuUsage", None, "box"), NOON) == [(minutes_ago(5), 95)]


def test_a_bot_that_is_called_like_a_host_is_none(performance: Database, health: Database) -> None:
    write(health, [Health(host="a", timestamp=minutes_ago(5), cpu_usage=95)])
    assert recent_values(performance, health, notice("cpuUsage"), NOON) == []


@pytest.mark.parametrize("metric", ["heartbeat", "fill", "id", "bot", "x'; DROP TABLE equity; --", "label:x"])
def test_a_metric_in_no_table_has_no_recent_values(
    metric: str, performance: Database, health: Database
) -> None:
    write(performance, [performance_of("a", 5, 1)])
    assert recent_values(performance, health, notice(metric), NOON) == []
    assert recent_values(performance, health, notice(metric, None, "box"), NOON) == []


def test_an_hour_of_many_records_is_thinned_out(performance: Database, health: Database) -> None:
    write(performance, (performance_of("a", seconds / 60, seconds) for seconds in range(0, 3600, 2)))
    found = recent_values(performance, health, notice("maxDrawdown"), NOON)
    assert MAX_POINTS / 2 < len(found) <= MAX_POINTS + 2
    assert found[-1] == (NOON, 0)


def test_a_database_that_cannot_be_read_is_no_reason_to_fail(health: Database) -> None:
    empty = Database(sqlite_url(Path("/nowhere/at/all.db")))
    with capture_logs() as logs:
        assert recent_values(empty, health, notice("maxDrawdown"), NOON) == []
    assert [(entry["log_level"], entry["error"]) for entry in logs] == [("warning", "OperationalError")]
    empty.close()

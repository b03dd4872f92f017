"""Rollups of checks and hosts: written with their rows, made again where a row came late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from alembic import command
from sqlalchemy import select, text

from shared.schema.records import Check, CheckStatus, Disk, Health
from shared.schema.timestamps import to_store
from shared.store.check_rollups import mark_due, roll_up_checks
from shared.store.database import Database, sqlite_url
from shared.store.due_rollups import due_days, remake_due_day
from shared.store.health_rollups import roll_up_hosts
from shared.store.migrate import _config, migrate
from shared.store.records import insert_records
from shared.store.retention import remove_health
from shared.store.tables import check_hours, check_spans, health_hours

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = int((NOON - datetime(1970, 1, 1, tzinfo=UTC)).days)
STATUSES: tuple[CheckStatus, ...] = ("ok", "ok", "ok", "warning", "critical", "unknown")


def look(seconds: float, status: CheckStatus = "ok", **further: Any) -> Check:
    known = {"type": "http", "interval_seconds": 30, "text": f"is {status}", **further}
    return Check(
        host="box", check="site", status=status, timestamp=NOON + timedelta(seconds=seconds), **known
    )


def write(database: Database, *records: Check | Health) -> None:
    with database.write() as connection:
        new = insert_records(connection, records).new
        roll_up_checks(connection, (one for one in new if isinstance(one, Check)))
        roll_up_hosts(connection, (one for one in new if isinstance(one, Health)))


def remake(database: Database) -> int:
    made = 0
    while True:
        with database.write() as connection:
            if not remake_due_day(connection):
                return made
        made += 1


def rolled_up(database: Database) -> list[list[tuple[Any, ...]]]:
    with database.read() as connection:
        return [
            [
                tuple(round(one, 6) if isinstance(one, float) else one for one in row)
                for row in connection.execute(select(table))
            ]
            for table in (check_spans, check_hours, health_hours)
        ]


def spans(database: Database) -> list[tuple[float, float, str]]:
    noon = NOON.timestamp() * 1000
    return [((row[2] - noon) / 1000, (row[4] - noon) / 1000, row[5]) for row in rolled_up(database)[0]]


def test_a_result_that_is_sent_twice_counts_once(health: Database) -> None:
    write(health, look(0, id="a", check_latency_ms=10), look(30, "critical", id="b"))
    before = rolled_up(health)
    write(health, look(0, id="a", check_latency_ms=10), look(30, "critical", id="b"))
    assert rolled_up(health) == before
    assert spans(health) == [(0, 30, "ok"), (30, 120, "critical")]


def test_a_late_result_has_its_day_made_again(health: Database) -> None:
    write(health, look(0), look(30), look(60), look(90))
    write(health, look(45))
    assert remake(health) == 0, "it says what is known"
    write(health, look(40, "critical"))
    assert remake(health) == 1
    assert spans(health) == [(0, 40, "ok"), (40, 45, "critical"), (45, 180, "ok")]
    write(health, look(-900, "critical"))
    assert remake(health) == 0, "nothing is stored from before: what was there may have been deleted"


@pytest.mark.parametrize("size", [1, 7, 200])
def test_whatever_the_batches_and_the_order_the_rollups_are_the_same(health: Database, size: int) -> None:
    chance = Random(2)
    records: list[Check | Health] = [look(-40_000)]
    for number in range(100):
        at = number * chance.choice((100, 100, 90)) + chance.choice((0, 0, 0, 20_000))
        records.append(
            look(
                at + 1, chance.choice(STATUSES), check_latency_ms=number, certificate_days=9, availability=50
            )
        )
        disks = [Disk(mount="/", usage=number / 5, total_bytes=100, free_bytes=number)]
        records.append(
            Health(host="box", timestamp=NOON + timedelta(seconds=at), cpu_usage=number / 7, disks=disks)
        )
    for begin in range(0, len(records), size):
        write(health, *records[begin : begin + size])
    remake(health)
    found = rolled_up(health)
    with health.write() as connection:
        for table in (check_spans, check_hours, health_hours):
            connection.execute(table.delete())
        for check in ("site", ""):
            for day in (DAY, DAY + 1):
                mark_due(connection, "box", check, day)
    assert remake(health) == 4
    assert rolled_up(health) == found
    assert sum(row[3] + row[4] + row[5] + row[6] for row in found[1]) == 101


def test_a_rollup_is_rolled_back_with_its_rows(health: Database) -> None:
    write(health, look(0))
    before = rolled_up(health)
    with pytest.raises(ZeroDivisionError), health.write() as connection:
        insert_records(connection, [late := look(30, "critical")])
        roll_up_checks(connection, [late])
        raise ZeroDivisionError
    assert rolled_up(health) == before


def test_rollups_outlive_their_rows_and_are_not_made_from_what_is_left(health: Database) -> None:
    write(health, *(look(at) for at in range(-90, 7200, 30)))
    before = rolled_up(health)
    for _ in remove_health(health, NOON + timedelta(hours=1), rollups_before=NOON - timedelta(days=1)):
        pass
    assert rolled_up(health) == before
    with health.write() as connection:
        mark_due(connection, "box", "site", DAY)
    assert remake(health) == 1
    assert rolled_up(health)[1] == before[1]
    assert spans(health) == spans(health)[:1]
    for _ in remove_health(health, NOON + timedelta(days=2)):
        pass
    assert rolled_up(health) == [[], [], []]
    with health.read() as connection:
        assert due_days(connection) == 0
        assert connection.execute(text("SELECT count(*) FROM checks")).scalar() == 0


def test_what_was_stored_before_the_rollups_is_rolled_up(tmp_path: Path) -> None:
    """Each day of every check and host is due after the migration; intervals follow from the rows."""
    database = Database(sqlite_url(tmp_path / "old.db"))
    checks = 'INSERT INTO checks (timestamp, host, "check", type, status) VALUES (?, ?, ?, ?, ?)'
    samples = 'INSERT INTO health_metrics (timestamp, host, "systemHealth", "cpuUsage") VALUES (?, ?, ?, ?)'
    with database.write() as connection:
        command.upgrade(_config("health", connection), "0013")
        moments = [to_store(NOON + timedelta(minutes=minutes)) for minutes in (0, 10, 20, 30)]
        connection.exec_driver_sql(checks, [(at, "box", "site", "http", "ok") for at in moments])
        connection.exec_driver_sql(checks, (moments[0], "other", "dns", "dns", "critical"))
        connection.exec_driver_sql(samples, [(at, "box", "HEALTHY", 10.0) for at in moments])
        connection.exec_driver_sql(samples, ("2026-01-29 23:00:00.000", "box", "HEALTHY", 30.0))
    migrate(database, "health")
    assert remake(database) == 5
    site, *_ = (row for row in rolled_up(database)[0] if row[1] == "site")
    assert (site[6], (site[4] - site[2]) / 60_000) == (600_000, 60)
    assert [row[4:6] for row in rolled_up(database)[2]] == [(1, 30), (4, 40)]
    with database.write() as connection:
        command.downgrade(_config("health", connection), "0013")
    database.close()

"""Rollups of checks and hosts in the recorder: exact whatever is killed, and made where they are due."""

import threading
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from services.recorder.metrics_calculator import MetricsCalculator
from services.recorder.recorder import Recorder
from services.recorder.rollups import DueRollups
from shared.runtime.config.documents import PerformanceLogger
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import AnyRecord, Check, CheckStatus, Disk, Health
from shared.store.check_rollups import mark_due
from shared.store.database import Database
from shared.store.due_rollups import due_days
from shared.store.tables import check_hours, check_spans, health_hours

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY = (NOON - datetime(1970, 1, 1, tzinfo=UTC)).days


class KilledError(BaseException):
    """Ends the recorder at a statement: nothing handles it, and the transaction is lost."""


def recorder_of(redis: Redis, performance: Database, health: Database) -> Recorder:
    calculator = MetricsCalculator(performance, PerformanceLogger(), lambda: NOON)
    calculator.start()
    return Recorder(RecordLog(redis), performance, health, calculator, threading.Event(), lambda: NOON)


def results(count: int) -> list[AnyRecord]:
    """Return results and samples, now and then one that is late or sent twice."""
    chance, found = Random(3), list[AnyRecord]()
    statuses: tuple[CheckStatus, ...] = ("ok", "ok", "warning", "critical", "unknown")
    for number in range(count):
        at = NOON + timedelta(seconds=30 * number - chance.choice((0, 0, 0, 100)))
        known: dict[str, Any] = {"id": f"r{number}", "timestamp": at, "host": "box"}
        disks = [Disk(mount="/", usage=number, total_bytes=9, free_bytes=1)]
        check = Check(
            check=f"c{number % 2}", type="http", status=chance.choice(statuses), interval_seconds=30,
            check_latency_ms=number, **known,
        )  # fmt: skip
        found += [check, Health(cpu_usage=number, disks=disks, **known | {"id": f"h{number}"})]
        found += [check] if chance.random() < 0.1 else []
    return found


def rollups(health: Database) -> list[list[tuple[Any, ...]]]:
    with health.read() as connection:
        return [
            [tuple(row) for row in connection.execute(select(table))]
            for table in (check_spans, check_hours, health_hours)
        ]


def remake_everything(health: Database) -> None:
    with health.write() as connection:
        for table in (check_spans, check_hours, health_hours):
            connection.execute(table.delete())
        for check in ("c0", "c1", ""):
            mark_due(connection, "box", check, DAY)
    make_due_days(health)


def make_due_days(health: Database) -> None:
    """Make what is due, in as many steps as a slow machine needs."""
    is_left = True
    while is_left:
        DueRollups(health).step()
        with health.read() as connection:
            is_left = bool(due_days(connection))


def test_rollups_are_exact_when_the_recorder_is_killed_anywhere(
    redis: Redis, performance: Database, health: Database
) -> None:
    log, written, killed = RecordLog(redis), results(40), 0
    for begin in range(0, len(written), 8):
        log.append(written[begin : begin + 8], "test")
    left = [0]

    def count(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KilledError

    event.listen(health.engine, "before_cursor_execute", count)
    for statements in range(1, 30, 2):
        left[0] = statements
        try:
            recorder_of(redis, performance, health).step()
        except KilledError:
            killed += 1
    left[0] = 0
    recorder = recorder_of(redis, performance, health)
    recorder.step()
    recorder.step()
    make_due_days(health)
    assert killed > 5
    found = rollups(health)
    assert sum(sum(row[3:7]) for row in found[1]) == 40
    remake_everything(health)
    assert rollups(health) == found


def test_days_that_are_due_are_made_in_the_background_and_wait_for_the_disk(
    health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = 'INSERT INTO checks (timestamp, host, "check", type, status) VALUES (?, ?, ?, ?, ?)'
    moments = ("2026-01-30 12:00:00.000", "2026-01-31 12:00:00.000")
    with health.write() as connection:
        for at, status in zip(moments, ("ok", "critical"), strict=True):
            connection.exec_driver_sql(insert, (at, "box", "c0", "http", status))
        for day in (DAY - 1, DAY, DAY + 1):
            mark_due(connection, "box", "c0", day)
    due = DueRollups(health)

    def refuse(_: object) -> bool:
        raise OperationalError("", {}, Exception("disk I/O error"))

    with monkeypatch.context() as patch:
        patch.setattr("services.recorder.rollups.remake_due_day", refuse)
        due.step()
    due.step()
    with health.read() as connection:
        assert due_days(connection) == 3, "the next try is ten seconds later"
    make_due_days(health)
    spans = [(row.status, row.until - row.begin) for row in rollups_of_spans(health)]
    hour = 3_600_000
    assert spans == [("ok", hour), ("critical", hour)], "without an interval a result counts for an hour"


def rollups_of_spans(health: Database) -> list[Any]:
    with health.read() as connection:
        return list(connection.execute(select(check_spans).order_by(check_spans.c.begin)))

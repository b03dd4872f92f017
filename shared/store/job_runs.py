"""Job runs: a row per background job about its last run, written by the jobs part."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from sqlalchemy import Connection, Row, case, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from shared.schema.jobs import JobRun
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import job_runs

_ROW = job_runs.c


def read_job_runs(connection: Connection) -> dict[str, JobRun]:
    """Return the last run of every job, by name."""
    return {row.name: _run(row) for row in connection.execute(select(job_runs).order_by(_ROW.name))}


def set_scheduled(connection: Connection, names: Iterable[str], now: datetime) -> None:
    """Keep a row for each of `names`, and no other; a new one is due at `now`."""
    wanted = list(names)
    connection.execute(delete(job_runs).where(_ROW.name.not_in(wanted)))
    rows = [{"name": name, "nextDueAt": to_store(now)} for name in wanted]
    connection.execute(insert(job_runs).on_conflict_do_nothing(), rows)


def record_start(connection: Connection, name: str, now: datetime) -> None:
    """Record that a run starts; the job is due until it succeeds, even if it runs before its time."""
    due = case((_ROW.nextDueAt < to_store(now), _ROW.nextDueAt), else_=to_store(now))
    values = {"startedAt": to_store(now), "finishedAt": None, "durationMs": None, "outcome": "running"}
    connection.execute(update(job_runs).where(_ROW.name == name).values(**values, nextDueAt=due))


def record_success(
    connection: Connection, name: str, result: Mapping[str, int], now: datetime, next_due: datetime
) -> None:
    """Record that the running run succeeded, and when the next one is due."""
    outcome: dict[str, object] = {
        "outcome": "success",
        "error": None,
        "failures": 0,
        "lastSuccessAt": to_store(now),
    }
    counts = {"result": msgspec.json.encode(dict(result)).decode(), "nextDueAt": to_store(next_due)}
    _finish(connection, name, outcome | counts, now)


def record_failure(connection: Connection, name: str, error: str, now: datetime) -> None:
    """Record that the running run failed; it stays due."""
    _finish(connection, name, {"outcome": "failure", "error": error, "failures": _ROW.failures + 1}, now)


def _finish(connection: Connection, name: str, values: Mapping[str, object], now: datetime) -> None:
    running = (_ROW.name == name, _ROW.outcome == "running")
    started = connection.execute(select(_ROW.startedAt).where(*running)).scalar()
    if started is None:
        return
    took = round((now - from_store(started)).total_seconds() * 1000)
    ended = {"finishedAt": to_store(now), "durationMs": max(0, took)}
    connection.execute(update(job_runs).where(*running).values(ended | dict(values)))


def _run(row: Row[tuple[object, ...]]) -> JobRun:
    def moment(value: str | None) -> datetime | None:
        return from_store(value) if value else None

    return JobRun(
        name=row.name,
        started_at=moment(row.startedAt),
        finished_at=moment(row.finishedAt),
        duration_ms=row.durationMs,
        outcome=row.outcome,
        error=row.error,
        result=msgspec.json.decode(row.result, type=dict[str, int]) if row.result else {},
        failures=row.failures,
        last_success_at=moment(row.lastSuccessAt),
        next_due_at=from_store(row.nextDueAt),
    )

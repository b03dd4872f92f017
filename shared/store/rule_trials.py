"""Rule trials: requested by the dashboard, run by the jobs part; a newer request cancels those before it."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, delete, insert, select, update

from shared.rules.trial import TrialResult
from shared.schema.rule_trials import KEPT, TrialRun
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import rule_trials

MAX_ATTEMPTS = 2
"""A trial whose process ended twice is not started again."""

_ROW = rule_trials.c
_UNFINISHED = _ROW.status.in_(("waiting", "running"))
_FIELDS = msgspec.structs.fields(TrialRun)


def request_trial(connection: Connection, run: TrialRun) -> None:
    """Insert a trial, and cancel those that have not ended."""
    ended = {
        "status": "cancelled",
        "error": "a newer trial was started",
        "finishedAt": to_store(run.requested_at),
    }
    connection.execute(update(rule_trials).where(_UNFINISHED).values(**ended))
    row: dict[str, Any] = {field.encode_name: getattr(run, field.name) for field in _FIELDS}
    connection.execute(insert(rule_trials).values({**row, "requestedAt": to_store(run.requested_at)}))


def read_trial(connection: Connection, trial_id: str) -> tuple[TrialRun, TrialResult | None] | None:
    """Return a trial and its result; None if there is none with that ID."""
    row = connection.execute(select(rule_trials).where(_ROW.id == trial_id)).first()
    if row is None:
        return None
    return _to_run(row), msgspec.json.decode(row.result, type=TrialResult) if row.result else None


def start_next(connection: Connection, now: datetime) -> TrialRun | None:
    """Return the trial to run next, marked as running; one that an ended process left is run again."""
    given_up = {"status": "failed", "error": "its process ended twice", "finishedAt": to_store(now)}
    spent = (_UNFINISHED, _ROW.attempts >= MAX_ATTEMPTS)
    connection.execute(update(rule_trials).where(*spent).values(**given_up))
    row = connection.execute(select(rule_trials).where(_UNFINISHED).order_by(_ROW.requestedAt)).first()
    if row is None:
        return None
    started = {"status": "running", "progress": 0.0, "attempts": row.attempts + 1}
    connection.execute(update(rule_trials).where(_ROW.id == row.id).values(**started))
    return _to_run(row)


def record_progress(connection: Connection, trial_id: str, share: float) -> bool:
    """Store the share that is done; return False if the trial was cancelled."""
    mine = (_ROW.id == trial_id, _ROW.status == "running")
    return connection.execute(update(rule_trials).where(*mine).values(progress=share)).rowcount > 0


def record_end(
    connection: Connection, trial_id: str, now: datetime, result: TrialResult | None, error: str | None = None
) -> None:
    """Store the result of a trial that is running, or why it has none."""
    values = {
        "status": "done" if result else "failed",
        "progress": 1.0,
        "finishedAt": to_store(now),
        "result": msgspec.json.encode(result).decode() if result else None,
        "error": error,
    }
    mine = (_ROW.id == trial_id, _ROW.status == "running")
    connection.execute(update(rule_trials).where(*mine).values(**values))


def remove_old_trials(connection: Connection, now: datetime) -> int:
    """Delete trials requested longer ago than `KEPT`; return their number."""
    return connection.execute(delete(rule_trials).where(_ROW.requestedAt < to_store(now - KEPT))).rowcount


def _to_run(row: Row[Any]) -> TrialRun:
    values = {field.name: row._mapping[field.encode_name] for field in _FIELDS}  # noqa: SLF001 - SQLAlchemy's public face
    values["is_draft"] = bool(values["is_draft"])
    values["requested_at"] = from_store(values["requested_at"])
    if values["finished_at"]:
        values["finished_at"] = from_store(values["finished_at"])
    return TrialRun(**values)

"""Trials of rules as a job: run, cancelled, given up, deleted."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.jobs import rule_trials
from services.jobs.context import JobContext
from services.jobs.rule_trials import run_rule_trials
from shared.rules.trial import TrialResult
from shared.runtime.rule_trial import try_rule
from shared.schema.records import Equity
from shared.schema.rule_trials import TrialRun
from shared.store.records import insert_records
from shared.store.rule_trials import read_trial, request_trial, start_next
from tests.unit.jobs.conftest import NOON

CONDITION = {"name": "low", "metricName": "equity", "operator": "<", "threshold": 900, "severity": "HIGH"}


def request(context: JobContext, trial_id: str = "t", days_ago: int = 0) -> None:
    run = TrialRun(
        id=trial_id, rule="low", is_draft=True, condition=msgspec.json.encode(CONDITION).decode(), days=1,
        requested_by="ann", requested_at=NOON - timedelta(days=days_ago),
    )  # fmt: skip
    with context.health.write() as connection:
        request_trial(connection, run)


def read(context: JobContext, trial_id: str = "t") -> tuple[str, str | None, int | None]:
    """Return status, error and number of alerts."""
    with context.health.read() as connection:
        found = read_trial(connection, trial_id)
    assert found
    run, result = found
    return run.status, run.error, result.alerts if result else None


def test_a_requested_trial_is_run_once(context: JobContext) -> None:
    """The stored records are evaluated; a second run of the job finds nothing to do."""
    moments = [NOON - timedelta(minutes=minutes) for minutes in range(60, 0, -1)]
    with context.performance.write() as connection:
        values = [1000.0 - 10 * (index % 20) for index in range(60)]
        points = [
            Equity(bot="a", equity=value, timestamp=at) for value, at in zip(values, moments, strict=True)
        ]
        insert_records(connection, points)
    request(context)
    assert run_rule_trials(context) == {"trials": 1, "removed": 0}
    assert read(context) == ("done", None, 3)
    assert run_rule_trials(context) == {"removed": 0}


def test_a_newer_trial_ends_the_running_one(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """It notices when it reports its progress; then the newer one runs."""
    monkeypatch.setattr(rule_trials, "PROGRESS_INTERVAL_S", 0)
    newer = iter(["newer"])

    def try_meanwhile(*given: Any) -> TrialResult:
        for trial_id in newer:
            request(context, trial_id)
        return try_rule(*given)

    monkeypatch.setattr(rule_trials, "try_rule", try_meanwhile)
    request(context)
    assert run_rule_trials(context) == {"removed": 0, "cancelled": 1, "trials": 1}
    assert (read(context)[0], read(context, "newer")[0]) == ("cancelled", "done")


def test_a_trial_that_takes_too_long_fails(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job does not fail with it: no alert opens."""
    monkeypatch.setattr(rule_trials, "TIME_LIMIT_S", -1.0)
    request(context)
    run_rule_trials(context)
    status, error, _ = read(context)
    assert (status, "try fewer days" in str(error)) == ("failed", True)


def test_a_trial_that_ends_its_process_is_given_up(context: JobContext) -> None:
    """It is run again once; then it fails, and the next trial has its turn."""
    request(context)
    with context.health.write() as connection:
        assert [start_next(connection, NOON) is not None for _ in range(3)] == [True, True, False]
    assert read(context)[:2] == ("failed", "its process ended twice")


def test_results_are_deleted_after_a_week(context: JobContext) -> None:
    request(context, "old", days_ago=8)
    request(context, "new", days_ago=6)
    assert run_rule_trials(context)["removed"] == 1
    assert read(context, "new")[0] == "done"

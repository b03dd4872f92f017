"""Turn the state of a heartbeat into a check record: status and text. Pure."""

from datetime import datetime, timedelta

from services.ingestion.heartbeats import (
    MISSED_REASONS,
    ExpectedHeartbeat,
    HeartbeatProblem,
    HeartbeatState,
    format_local_time,
)
from shared.schema.durations import format_duration_ms, format_rough
from shared.schema.records import Check, CheckStatus
from shared.schema.timestamps import MILLISECOND

HOST = "heartbeats"
"""The host of these checks: they are about no machine, and containers have random names."""
REPUBLISH_INTERVAL = timedelta(minutes=1)
"""Every heartbeat is reported this often, like a check that runs at an interval."""
MAX_LINE = 200
"""Limit of the last line of a job's output, in characters."""


def heartbeat_check(expected: ExpectedHeartbeat, state: HeartbeatState, at: datetime, identity: str) -> Check:
    """Return the check record at the time `at`; its status is unknown before the first ping or miss."""
    problem = state.problem
    status: CheckStatus = "ok" if state.came else "unknown"
    if state.came:
        last = _describe_last_ping(expected, state)
        text = last[0].upper() + last[1:]
    else:
        text = _describe_first_due(expected, state)
    late, ran = 0.0, state.run_seconds
    if problem:
        status = expected.severity
        text = _describe_problem(expected, state, problem, at)
        passed = max(round((at - problem.since).total_seconds(), 3), 0.0)
        late = passed if problem.reason in MISSED_REASONS else late
        ran = passed if problem.reason == "ran_too_long" else ran
    return Check(
        timestamp=at,
        id=identity,
        host=HOST,
        check=expected.name,
        type="heartbeat",
        status=status,
        reason=problem.reason if problem else None,
        text=text,
        late_seconds=late,
        run_seconds=ran,
        interval_seconds=REPUBLISH_INTERVAL.total_seconds(),
        last_ping_at=state.came,
        next_due_at=expected.next_due(state.came or state.known_since),
    )


def removed_check(name: str, at: datetime, identity: str) -> Check:
    """Return the record that resolves the alert of a heartbeat that was removed from the configuration."""
    text = "Heartbeat removed from the configuration"
    return Check(timestamp=at, id=identity, host=HOST, check=name, type="heartbeat", status="ok", text=text)


def last_line(body: bytes) -> str:
    """Return the last line of a job's output that is not blank, printable characters only."""
    lines = body.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(character if character.isprintable() else " " for character in last)[:MAX_LINE]


def _describe_problem(
    expected: ExpectedHeartbeat, state: HeartbeatState, problem: HeartbeatProblem, at: datetime
) -> str:
    since = format_local_time(problem.since, expected)
    passed = format_rough((at - problem.since).total_seconds())
    match problem.reason:
        case "failed":
            ran = "" if state.run_seconds is None else f" after {format_rough(state.run_seconds)}"
            return f"Failed{ran}{problem.words}"
        case "ran_too_long":
            longest = format_duration_ms((expected.longest or (at - problem.since)) // MILLISECOND)
            return f"Still running after {passed} (limit {longest}): started at {since}"
        case "never_came":
            return f"Never arrived: due {passed} ago, at {since} ({expected.schedule_text}){problem.words}"
        case _:
            last = _describe_last_ping(expected, state)
            return f"{passed} late: due at {since} ({expected.schedule_text}); {last}{problem.words}"


def _describe_last_ping(expected: ExpectedHeartbeat, state: HeartbeatState) -> str:
    if state.came is None:
        ended = "no run has finished"
    else:
        ended = f"last ping {format_local_time(state.came, expected)}"
    ran = "" if state.run_seconds is None else f" (ran for {format_rough(state.run_seconds)})"
    return f"{ended}{ran}{_describe_running(expected, state)}"


def _describe_first_due(expected: ExpectedHeartbeat, state: HeartbeatState) -> str:
    moment = format_local_time(expected.next_due(state.known_since), expected)
    return f"Waiting for the first ping, due at {moment}{_describe_running(expected, state)}"


def _describe_running(expected: ExpectedHeartbeat, state: HeartbeatState) -> str:
    began = max((run.began for run in state.runs.values()), default=None)
    return f"; running since {format_local_time(began, expected)}" if began else ""

"""A heartbeat's standing as a check: its status, and a sentence for people. Pure."""

from datetime import datetime

from services.ingestion.heartbeats import MISSED, Expectation, Standing, Trouble, say
from shared.schema.durations import rough, words
from shared.schema.records import Check, CheckStatus
from shared.schema.timestamps import MILLISECOND

HOST = "heartbeats"
"""The host of these checks: they are about no machine, and doors come and go under made-up names."""
LONGEST_LINE = 200
"""Characters of the last line that a job said."""


def check_of(expected: Expectation, standing: Standing, at: datetime, identity: str) -> Check:
    """Return the record of how it stands `at`; unknown until it has come or is missed."""
    trouble = standing.trouble
    status: CheckStatus = "ok" if standing.came else "unknown"
    text = _fine(expected, standing) if standing.came else _awaited(expected, standing)
    late, ran = 0.0, standing.run_seconds
    if trouble:
        status = expected.severity
        text = _wrong(expected, standing, trouble, at)
        passed = max(round((at - trouble.since).total_seconds(), 3), 0.0)
        late = passed if trouble.reason in MISSED else late
        ran = passed if trouble.reason == "ran_too_long" else ran
    return Check(
        timestamp=at,
        id=identity,
        host=HOST,
        check=expected.name,
        type="heartbeat",
        status=status,
        reason=trouble.reason if trouble else None,
        text=text,
        late_seconds=late,
        run_seconds=ran,
    )


def farewell(name: str, at: datetime, identity: str) -> Check:
    """Return what ends the alert on a heartbeat that is not configured any more."""
    text = "no longer expected: it is not in health_monitor.json any more"
    return Check(timestamp=at, id=identity, host=HOST, check=name, type="heartbeat", status="ok", text=text)


def last_line(body: bytes) -> str:
    """Return the last line of what a job said that is not empty, as far as it can be printed."""
    lines = body.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(one if one.isprintable() else " " for one in last)[:LONGEST_LINE]


def _wrong(expected: Expectation, standing: Standing, trouble: Trouble, at: datetime) -> str:
    since = say(trouble.since, expected)
    passed = rough((at - trouble.since).total_seconds())
    match trouble.reason:
        case "failed":
            ran = "" if standing.run_seconds is None else f" after {rough(standing.run_seconds)}"
            return f"failed{ran}{trouble.words}"
        case "ran_too_long":
            longest = words((expected.longest or (at - trouble.since)) // MILLISECOND)
            return (
                f"still running after {passed}: it began at {since} and was expected to end within {longest}"
            )
        case "never_came":
            return f"has never come: expected {passed} ago, at {since} ({expected.rhythm}){trouble.words}"
        case _:
            last = _fine(expected, standing)
            return f"{passed} late: expected at {since} ({expected.rhythm}); {last}{trouble.words}"


def _fine(expected: Expectation, standing: Standing) -> str:
    came = "it never ended" if standing.came is None else f"it came last at {say(standing.came, expected)}"
    ran = "" if standing.run_seconds is None else f" after it ran for {rough(standing.run_seconds)}"
    return f"{came}{ran}{_begun(expected, standing)}"


def _awaited(expected: Expectation, standing: Standing) -> str:
    moment = say(expected.after(standing.known_since), expected)
    return f"has not come yet: expected at {moment}{_begun(expected, standing)}"


def _begun(expected: Expectation, standing: Standing) -> str:
    began = max((run.began for run in standing.runs.values()), default=None)
    return f"; a run began at {say(began, expected)}" if began else ""

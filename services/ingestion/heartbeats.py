"""Heartbeats: the schedule of each, its state after a ping, and when it is late.

Pure; time is an argument. Only the end of a run, successful or not, counts as arrived: a job that starts
again and again and never ends is late too. A `start` ping measures the run time, and a job with `longest` may
take that long.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from shared.runtime.config.check_sections import HeartbeatSection
from shared.schema.cron import next_moment, validate_cron
from shared.schema.durations import Duration, format_duration_ms, to_timedelta
from shared.schema.faults import Fault, InvalidError
from shared.schema.timestamps import MILLISECOND

DOCUMENT = "health_monitor.json: $.monitoring.heartbeats"
EARLY_TOLERANCE = timedelta(seconds=10)
"""A ping this little before its due time counts for it: the job's clock may be ahead."""
MAX_RUNS = 16
"""Limit of concurrent runs that are tracked; the oldest are dropped."""
KEY_PREFIX_LENGTH = 8
"""Characters of the key that serve as the name of a heartbeat without `name`."""
ZERO = timedelta()

Timestamp = Annotated[datetime, msgspec.Meta(tz=True)]
Action = Literal["success", "fail", "start", "log"]
Reason = Literal["failed", "late", "never_came", "ran_too_long"]
MISSED_REASONS: tuple[Reason, ...] = ("late", "never_came")
"""Reasons that mean: a ping did not arrive in time."""


class ExpectedHeartbeat(NamedTuple):
    """The schedule and limits of one heartbeat."""

    name: str
    period: timedelta | None = None
    cron: str | None = None
    zone: ZoneInfo = ZoneInfo("UTC")
    grace: timedelta = timedelta(minutes=1)
    longest: timedelta | None = None
    severity: Literal["critical", "warning"] = "critical"

    def next_due(self, moment: datetime) -> datetime:
        """Return when the next run is due after one that ended at `moment`."""
        if self.period is not None:
            return moment + self.period
        return next_moment(self.cron or "", self.zone, moment + EARLY_TOLERANCE)

    @property
    def schedule_text(self) -> str:
        """The schedule and the grace, such as `every 10m, grace 5m`."""
        how = self.cron if self.period is None else f"every {_format_length(self.period)}"
        return f"{how}, grace {_format_length(self.grace)}"


def _format_length(length: timedelta) -> str:
    return format_duration_ms(length // MILLISECOND)


class Ping(msgspec.Struct, frozen=True, omit_defaults=True):
    """A ping of a bot or a job, as it is queued in Redis."""

    name: str
    action: Action
    at: Timestamp
    code: int | None = None
    """The exit code of the job."""
    run: str = ""
    """The ID of the run: runs with different IDs may overlap."""
    body: bytes = b""


class JobRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run that has not ended."""

    began: Timestamp
    is_reported: bool = msgspec.field(default=False, name="is_told")
    """Whether it was reported as running too long."""


class HeartbeatProblem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a heartbeat."""

    reason: Reason
    since: Timestamp
    """A miss: when the ping was due; a run that is too long: its start; a failure: when it was reported."""
    words: str = ""
    """Details to append to the text of the check."""


class HeartbeatState(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of a heartbeat; stored in Redis."""

    known_since: Timestamp
    """When it was first configured."""
    came: Timestamp | None = None
    """When the last run ended, successful or not."""
    run_seconds: float | None = None
    """How long that run took; None without a `start` ping."""
    runs: dict[str, JobRun] = {}
    """Unfinished runs by ID, the oldest first."""
    problem: HeartbeatProblem | None = msgspec.field(default=None, name="trouble")


def parse_heartbeats(sections: Mapping[str, HeartbeatSection]) -> dict[str, ExpectedHeartbeat]:
    """Return the heartbeats by key; InvalidError names every invalid section."""
    faults: list[Fault] = []
    found: dict[str, ExpectedHeartbeat] = {}
    names: set[str] = set()
    for place, (key, section) in enumerate(sections.items()):
        try:
            expectation = _expectation(key, section)
            if expectation.name in names:
                raise ValueError(f"expected different names, got {expectation.name!r} twice")  # noqa: TRY301 - listed as the others
        except ValueError as error:
            # Named by its index, because the key is a secret.
            faults.append(Fault(f"{DOCUMENT}[{place}]", str(error)))
            continue
        names.add(expectation.name)
        found[key] = expectation
    if faults:
        raise InvalidError(faults)
    return found


def _expectation(key: str, section: HeartbeatSection) -> ExpectedHeartbeat:
    if section.cron is not None:
        try:
            validate_cron(section.cron)
        except ValueError as error:
            raise ValueError(f"`cron`: expected an expression such as `0 3 * * *`; {error}") from error
    name = section.name or key[:KEY_PREFIX_LENGTH]
    if not name.isprintable():
        raise ValueError(f"`name`: expected printable characters, got {name!r}")
    return ExpectedHeartbeat(
        name=name,
        period=_parse_length(section.period),
        cron=section.cron,
        zone=ZoneInfo(section.time_zone),
        grace=_parse_length(section.grace) or ZERO,
        longest=_parse_length(section.longest),
        severity=section.severity,
    )


def _parse_length(duration: Duration | None) -> timedelta | None:
    return None if duration is None else to_timedelta(duration)


def apply_ping(state: HeartbeatState, ping: Ping, said: str = "") -> HeartbeatState:
    """Return the state after `ping`; `said` is the last line of its body. A `log` changes nothing."""
    if ping.action == "log":
        return state
    runs = {name: run for name, run in state.runs.items() if name != ping.run}
    if ping.action == "start":
        newest = [*runs.items(), (ping.run, JobRun(ping.at))][-MAX_RUNS:]
        return replace(state, runs=dict(newest))
    run = state.runs.get(ping.run)
    problem = None
    if ping.action == "fail":
        code = "" if ping.code is None else f" with exit code {ping.code}"
        problem = HeartbeatProblem("failed", ping.at, f"{code}{': ' if said else ''}{said}")
    return replace(
        state,
        came=ping.at,
        run_seconds=None if run is None else max((ping.at - run.began).total_seconds(), 0.0),
        # An end without an ID ends all runs: otherwise a start with an ID would never end.
        runs=runs if ping.run else {},
        problem=problem,
    )


def evaluate_heartbeat(
    state: HeartbeatState, expected: ExpectedHeartbeat, listening: datetime, now: datetime
) -> HeartbeatState:
    """Return the state at `now`; a ping exactly at its limit is in time.

    Before `listening` pings were not received: the grace counts from then at the earliest.
    """
    earliest = listening + expected.grace
    for name, run in state.runs.items():
        if expected.longest and not run.is_reported and now > max(run.began + expected.longest, earliest):
            runs = {**state.runs, name: replace(run, is_reported=True)}
            return replace(state, runs=runs, problem=HeartbeatProblem("ran_too_long", run.began))
    moment = expected.next_due(state.came or state.known_since)
    problem = state.problem
    if problem and problem.reason in MISSED_REASONS:
        # After a change of the configuration it may no longer be late.
        return state if now > moment + expected.grace else replace(state, problem=None)
    if problem and problem.reason == "ran_too_long":
        return state  # more specific than late
    if now <= max(moment + expected.grace, earliest) + _run_allowance(state, expected):
        return state
    reason: Reason = "late" if state.came or state.runs else "never_came"
    note = (
        f"; Botwatch has been receiving pings since {format_local_time(listening, expected)}"
        if listening > moment
        else ""
    )
    return replace(state, problem=HeartbeatProblem(reason, moment, note))


def _run_allowance(state: HeartbeatState, expected: ExpectedHeartbeat) -> timedelta:
    """Return how much longer it may take because a run is in progress."""
    is_running = any(not run.is_reported for run in state.runs.values())
    return expected.longest if expected.longest and is_running else ZERO


def format_local_time(moment: datetime, expected: ExpectedHeartbeat) -> str:
    """Format a time in the heartbeat's time zone."""
    return f"{moment.astimezone(expected.zone):%Y-%m-%d %H:%M:%S %Z}"

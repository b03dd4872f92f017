"""Heartbeats: what is expected of each, what its pings make of it, and when one is late.

Pure; time is an argument. Signs of life are the ends of runs, well or not: a job that begins again and again
and never ends is late too. A start says how long a run took, and lets a run that has `longest` take its time.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import replace

from shared.runtime.checks import HeartbeatSection
from shared.schema.cron import check_cron, next_moment
from shared.schema.durations import Duration, span_of, words
from shared.schema.faults import Fault, InvalidError
from shared.schema.streams import PREFIX
from shared.schema.timestamps import MILLISECOND

DOCUMENT = "health_monitor.json: $.monitoring.heartbeats"
PINGS = f"{PREFIX}:pings"
"""Redis stream of pings that were taken and not yet judged: field `data`, a `Ping` as MessagePack."""
EARLY = timedelta(seconds=10)
"""A ping that comes so little before a schedule's moment is that moment's: the job's clock may be ahead."""
MOST_RUNS = 16
"""Runs at once that are known; the oldest are forgotten."""
NAMED_BY = 8
"""Characters of the key that name a heartbeat without a name."""
NO_TIME = timedelta()

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Action = Literal["success", "fail", "start", "log"]
Reason = Literal["failed", "late", "never_came", "ran_too_long"]
MISSED: tuple[Reason, ...] = ("late", "never_came")
"""Nothing came where something was expected."""


class Expectation(NamedTuple):
    """What is expected of one heartbeat."""

    name: str
    period: timedelta | None = None
    cron: str | None = None
    zone: ZoneInfo = ZoneInfo("UTC")
    grace: timedelta = timedelta(minutes=1)
    longest: timedelta | None = None
    severity: Literal["critical", "warning"] = "critical"

    def after(self, moment: datetime) -> datetime:
        """Return when the next end is expected after one at `moment`."""
        if self.period is not None:
            return moment + self.period
        return next_moment(self.cron or "", self.zone, moment + EARLY)

    @property
    def rhythm(self) -> str:
        """How often, in words."""
        how = self.cron if self.period is None else f"every {_words(self.period)}"
        return f"{how}, {_words(self.grace)} of grace"


def _words(length: timedelta) -> str:
    return words(length // MILLISECOND)


class Ping(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a bot or a job told of itself, as it waits in Redis."""

    name: str
    action: Action
    at: Moment
    code: int | None = None
    """The exit code it gave."""
    run: str = ""
    """The run's own id: runs with different ones may go on at once."""
    body: bytes = b""


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run that has not ended."""

    began: Moment
    is_told: bool = False
    """That it runs too long."""


class Trouble(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong."""

    reason: Reason
    since: Moment
    """Of a miss, when the ping was expected; of a run too long, its begin; of a failure, when it was told."""
    words: str = ""
    """What there is to say besides."""


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a heartbeat; kept in Redis."""

    known_since: Moment
    """When it was first configured."""
    came: Moment | None = None
    """When a run ended last, well or not."""
    run_seconds: float | None = None
    """How long that one took, if it told its start."""
    runs: dict[str, Run] = {}
    """By id, the oldest first."""
    trouble: Trouble | None = None


def expectations_of(sections: Mapping[str, HeartbeatSection]) -> dict[str, Expectation]:
    """Return what is expected by key; InvalidError names every section that means nothing."""
    faults: list[Fault] = []
    found: dict[str, Expectation] = {}
    names: set[str] = set()
    for place, (key, section) in enumerate(sections.items()):
        try:
            expectation = _expectation(key, section)
            if expectation.name in names:
                raise ValueError(f"expected names that differ, got {expectation.name!r} twice")  # noqa: TRY301 - listed as the others
        except ValueError as error:
            # By its place: a key is a secret.
            faults.append(Fault(f"{DOCUMENT}[{place}]", str(error)))
            continue
        names.add(expectation.name)
        found[key] = expectation
    if faults:
        raise InvalidError(faults)
    return found


def _expectation(key: str, section: HeartbeatSection) -> Expectation:
    if section.cron is not None:
        try:
            check_cron(section.cron)
        except ValueError as error:
            raise ValueError(f"`cron`: expected an expression such as `0 3 * * *`: {error}") from error
    name = section.name or key[:NAMED_BY]
    if not name.isprintable():
        raise ValueError(f"`name`: expected characters that can be printed, got {name!r}")
    return Expectation(
        name=name,
        period=_length(section.period),
        cron=section.cron,
        zone=ZoneInfo(section.time_zone),
        grace=_length(section.grace) or NO_TIME,
        longest=_length(section.longest),
        severity=section.severity,
    )


def _length(duration: Duration | None) -> timedelta | None:
    return None if duration is None else span_of(duration)


def fold(standing: Standing, ping: Ping, said: str = "") -> Standing:
    """Return the standing after `ping`, which said so in words; a log changes nothing."""
    if ping.action == "log":
        return standing
    runs = {name: run for name, run in standing.runs.items() if name != ping.run}
    if ping.action == "start":
        newest = [*runs.items(), (ping.run, Run(ping.at))][-MOST_RUNS:]
        return replace(standing, runs=dict(newest))
    run = standing.runs.get(ping.run)
    trouble = None
    if ping.action == "fail":
        code = "" if ping.code is None else f" with exit code {ping.code}"
        trouble = Trouble("failed", ping.at, f"{code}{': ' if said else ''}{said}")
    return replace(
        standing,
        came=ping.at,
        run_seconds=None if run is None else max((ping.at - run.began).total_seconds(), 0.0),
        # An end without an id ends all: else a start with one would go on for ever.
        runs=runs if ping.run else {},
        trouble=trouble,
    )


def judge(standing: Standing, expected: Expectation, listening: datetime, now: datetime) -> Standing:
    """Return the standing at `now`; what comes exactly at its limit has come in time.

    Before `listening` nobody heard pings: the grace counts from then on at the earliest.
    """
    heard = listening + expected.grace
    for name, run in standing.runs.items():
        if expected.longest and not run.is_told and now > max(run.began + expected.longest, heard):
            runs = {**standing.runs, name: replace(run, is_told=True)}
            return replace(standing, runs=runs, trouble=Trouble("ran_too_long", run.began))
    moment = expected.after(standing.came or standing.known_since)
    trouble = standing.trouble
    if trouble and trouble.reason in MISSED:
        # Where the configuration has changed it may not be late any more.
        return standing if now > moment + expected.grace else replace(standing, trouble=None)
    if trouble and trouble.reason == "ran_too_long":
        return standing  # that says more than that it is late
    if now <= max(moment + expected.grace, heard) + _running(standing, expected):
        return standing
    reason: Reason = "late" if standing.came or standing.runs else "never_came"
    deaf = f"; Botwatch listens only since {say(listening, expected)}" if listening > moment else ""
    return replace(standing, trouble=Trouble(reason, moment, deaf))


def _running(standing: Standing, expected: Expectation) -> timedelta:
    """Return how much longer it may take because a run is under way."""
    is_running = any(not run.is_told for run in standing.runs.values())
    return expected.longest if expected.longest and is_running else NO_TIME


def say(moment: datetime, expected: Expectation) -> str:
    """Write a moment by the clocks that the heartbeat is configured with."""
    return f"{moment.astimezone(expected.zone):%Y-%m-%d %H:%M:%S %Z}"

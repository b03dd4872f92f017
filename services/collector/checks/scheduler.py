"""Scheduler: runs every check when it is due, each in a thread of its own.

The owner calls `step` repeatedly, which never waits for a probe: it collects results, gives up runs that take
too long, and starts those that are due. A thread that was given up cannot be ended; its result is discarded,
and its check waits for it, so that a check never runs twice at once.
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from queue import Empty, SimpleQueue
from random import random
from typing import Literal, NamedTuple

import msgspec
import structlog

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.soft_state import CheckStatistics, SoftState
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.schema.durations import format_duration_ms
from shared.schema.records import Check, CheckType
from shared.schema.timestamps import epoch_ms

log = structlog.get_logger()

MAX_CONCURRENT = 16
"""Concurrent runs, without those that timed out."""
JITTER = 0.1
"""Share of the interval by which a run is earlier or later, so that checks do not run in step."""
MAX_INITIAL_DELAY_S = 30.0
"""The first runs are spread over their intervals, but no first run waits longer."""
POLL_INTERVAL_S = 0.05
"""How long the owner waits at most while checks run."""
MAX_TEXT = 4096
"""Characters of a check's text."""

_decoder = msgspec.json.Decoder(Check)


class ScheduledCheck(NamedTuple):
    """A check: its probe, its interval, and when a failure counts."""

    name: str
    probe: Probe
    every_s: float
    timeout_s: float
    failures: int = 1
    severity: Literal["critical", "warning"] = "critical"
    slow_ms: int | None = None


class _CheckRun:
    """One check and its current run."""

    def __init__(self, number: int, watched: ScheduledCheck, due: float) -> None:
        self.number = number
        self.watched = watched
        self.due = due
        self.started: float | None = None
        """When the current run started; None if there is none."""
        self.given_up = False
        self.statistics = CheckStatistics(watched.probe.type)
        self.soft_state = SoftState(watched.failures, watched.severity, watched.slow_ms)
        self.faults: set[str] = set()
        """Errors that probes should not raise and that were logged."""

    @property
    def is_running(self) -> bool:
        """Whether a run is in progress and has not timed out."""
        return self.started is not None and not self.given_up


class CheckScheduler:
    """The checks of one host."""

    def __init__(
        self,
        host: str,
        watched: Sequence[ScheduledCheck],
        *,
        now: Clock = clock.now,
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random,
    ) -> None:
        self.latest: dict[str, Check] = {}
        """The latest record of each check, by its name."""
        self._host = host
        self._now = now
        self._monotonic = monotonic
        self._chance = chance
        self._seen: SimpleQueue[tuple[_CheckRun, CheckResult | Exception, datetime]] = SimpleQueue()
        start = monotonic()
        self._courses = [
            _CheckRun(number, one, start + chance() * min(one.every_s, MAX_INITIAL_DELAY_S))
            for number, one in enumerate(watched)
        ]

    def step(self) -> list[Check]:
        """Return the records of runs that ended or timed out since the last step; start what is due."""
        now = self._monotonic()
        checks = [*self._finished(), *self._timed_out(now)]
        self.latest |= {check.check: check for check in checks}
        self._start_due(now)
        return checks

    def seconds_until_due(self) -> float:
        """Return the seconds until the next step has something to do."""
        if any(course.is_running for course in self._courses):
            return POLL_INTERVAL_S
        due = min((course.due for course in self._courses), default=float("inf"))
        return max(0.0, due - self._monotonic())

    def _finished(self) -> Iterator[Check]:
        while True:
            try:
                course, seen, at = self._seen.get_nowait()
            except Empty:
                return
            late, course.started, course.given_up = course.given_up, None, False
            if not late:
                yield self._to_record(course, seen, at)

    def _timed_out(self, now: float) -> Iterator[Check]:
        for course in self._courses:
            if course.started is None or now < (course.due if course.given_up else self._deadline(course)):
                continue
            if course.given_up:
                self._schedule_next(course, now)
            course.given_up = True
            limit = format_duration_ms(round(course.watched.timeout_s * 1000))
            text = f"No result after {now - course.started:.0f} s (timeout {limit})"
            yield self._to_record(course, CheckResult("critical", text, "timeout"), self._now())

    @staticmethod
    def _deadline(course: _CheckRun) -> float:
        return (course.started or 0.0) + course.watched.timeout_s

    def _start_due(self, now: float) -> None:
        free = MAX_CONCURRENT - sum(course.is_running for course in self._courses)
        due = [course for course in self._courses if course.started is None and course.due <= now]
        for course in sorted(due, key=lambda one: one.due)[:free]:
            self._schedule_next(course, now)
            course.started = now
            thread = threading.Thread(
                target=self._run_check, args=(course,), name=f"check {course.watched.name}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left
                self._seen.put((course, error, self._now()))

    def _schedule_next(self, course: _CheckRun, now: float) -> None:
        """Set when the next run is due, from now on, so that missed runs are not made up for."""
        course.due = now + course.watched.every_s * (1 + JITTER * (2 * self._chance() - 1))

    def _run_check(self, course: _CheckRun) -> None:
        try:
            seen: CheckResult | Exception = course.watched.probe.run(self._now())
        except Exception as error:  # noqa: BLE001 - a probe's own fault ends neither the thread nor the round
            seen = error
        self._seen.put((course, seen, self._now()))

    def _to_record(self, course: _CheckRun, seen: CheckResult | Exception, at: datetime) -> Check:
        result = self._internal_error(course, seen) if isinstance(seen, Exception) else seen
        course.statistics.add(result)
        settled = course.soft_state.apply(result)
        settled = settled._replace(figures={**result.figures, **course.statistics.metrics()})
        try:
            return self._build_record(course, settled, at)
        except (TypeError, ValueError) as error:
            return self._build_record(course, self._internal_error(course, error, said=str(error)), at)

    def _build_record(self, course: _CheckRun, result: CheckResult, at: datetime) -> Check:
        watched = course.watched
        record = check_record(self._host, watched.name, watched.probe.type, result, at, course.number)
        record.interval_seconds = watched.every_s
        return record

    @staticmethod
    def _internal_error(course: _CheckRun, error: Exception, said: str = "") -> CheckResult:
        kind = type(error).__name__
        if kind not in course.faults:
            course.faults.add(kind)
            # Not what a probe's error says: it may quote an address with its password.
            trace = said or "".join(traceback.format_tb(error.__traceback__))
            log.error(
                "check failed with an internal error", check=course.watched.name, error=kind, trace=trace
            )
        return CheckResult(
            "unknown", f"Check failed with an internal error ({kind}); see the collector log", "other"
        )


def check_record(
    host: str, check: str, kind: CheckType, result: CheckResult, at: datetime, number: int
) -> Check:
    """Return the record of a result that came `at`; `number` identifies the check on its host.

    Its id makes sending it twice harmless. Raises TypeError for a figure that no record has, ValueError for
    one out of its bounds: one record that cannot be read would be in every reader's way.
    """
    figures = {
        name: round(value, 3) if isinstance(value, float) else value for name, value in result.figures.items()
    }
    record = Check(
        timestamp=at,
        id=f"{epoch_ms(at)}-{number}",
        host=host,
        check=check,
        type=kind,
        status=result.status,
        reason=result.reason,
        text=on_one_line(result.text)[:MAX_TEXT],
        **figures,  # type: ignore[arg-type]  # decoding says what is wrong with them
    )
    return _decoder.decode(msgspec.json.encode(record))


def on_one_line(text: str) -> str:
    """Return `text` on one line: strangers have a say in it, such as by the names they try to log in with."""
    return "".join(one if one.isprintable() else " " for one in text)

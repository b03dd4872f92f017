"""Availability: spans of one status of a check, made from its results, and how long each status lasted. Pure.

A result counts until the next one, but for at most three intervals of the check, and at least a minute; from
then on there is no data. Spans end at UTC midnight, so that a day can be made again from its results alone.
Times are epoch milliseconds.
"""

import itertools
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from statistics import median_low
from typing import NamedTuple

from shared.schema.records import CheckStatus

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
INTERVALS_HELD = 3
"""A run is up to a tenth late and may take as long as its interval."""
MIN_HOLD_MS = 60_000
UNKNOWN_INTERVAL_MS = 20 * 60_000
"""Of a check that does not say its interval, before it is known: its result counts for an hour."""
STATUSES: tuple[CheckStatus, ...] = ("ok", "warning", "critical", "unknown")
_PLACES = {status: place for place, status in enumerate(STATUSES)}


class StatusResult(NamedTuple):
    """One result of a check."""

    at: int
    status: CheckStatus
    interval: int | None = None
    """Milliseconds to the next result; None if it does not say."""
    reason: str | None = None
    text: str = ""


class StatusSpan(NamedTuple):
    """A time in which all results of a check have one status."""

    begin: int
    last: int
    """The latest result's time."""
    until: int
    """Where the status ends: the next result's time, or the end of what the latest one counts for."""
    status: CheckStatus
    interval: int
    reason: str | None = None
    text: str = ""

    @property
    def day(self) -> int:
        """The day on which it began, since 1970."""
        return self.begin // DAY_MS


class StatusTimes(NamedTuple):
    """How long a check had each status, milliseconds; the rest of a time is without data."""

    ok: int = 0
    warning: int = 0
    critical: int = 0
    unknown: int = 0

    @property
    def known(self) -> int:
        """The time in which it was known whether the check was up."""
        return self.ok + self.warning + self.critical

    @property
    def availability(self) -> float | None:
        """The share of the known time in which it was up, percent; None if nothing is known."""
        return 100 * (self.ok + self.warning) / self.known if self.known else None


def hold_ms(interval: int) -> int:
    """Return how long a result counts where none follows."""
    return max(INTERVALS_HELD * interval, MIN_HOLD_MS)


def extend_spans(newest: StatusSpan | None, results: Iterable[StatusResult]) -> list[StatusSpan]:
    """Return the spans after `results`, in the order of their times, from `newest` on.

    `newest` is the check's newest span, which is among them. No result may be before its latest one.
    """
    spans = [newest] if newest else []
    for result in results:
        span = spans[-1] if spans else None
        interval = result.interval or (span.interval if span else UNKNOWN_INTERVAL_MS)
        until = result.at + hold_ms(interval)
        if (
            span
            and span.status == result.status
            and span.day == result.at // DAY_MS
            and result.at <= span.until
        ):
            spans[-1] = span._replace(last=result.at, until=until, interval=interval)
            continue
        if span:
            spans[-1] = span._replace(until=min(span.until, result.at))
            if span.begin == result.at:
                spans.pop()
        cause = (None, "") if result.status == "ok" else (result.reason, result.text)
        spans.append(StatusSpan(result.at, result.at, until, result.status, interval, *cause))
    return spans


def rebuild_spans(
    before: StatusSpan | None, results: Sequence[StatusResult], begin: int, following: int | None
) -> list[StatusSpan]:
    """Return the spans from `begin` on, made again from all `results` from then on to the end of the day.

    `before` is the last span that began earlier, returned first as it is then; `following` is the time of the
    first result after them.
    """
    if before:
        last = min(before.last, begin)
        before = before._replace(last=last, until=last + hold_ms(before.interval))
    typical = _typical_interval(results)
    known = [result._replace(interval=result.interval or typical) for result in results]
    spans = extend_spans(before, known)
    if spans and following is not None:
        spans[-1] = spans[-1]._replace(until=min(spans[-1].until, following))
    return spans


def _typical_interval(results: Sequence[StatusResult]) -> int | None:
    """Return the median time between results; None for fewer than two."""
    gaps = [after.at - before.at for before, after in itertools.pairwise(results)]
    return median_low(gaps) if gaps else None


def times_in(spans: Sequence[StatusSpan], begin: int, end: int) -> StatusTimes:
    """Return how long each status lasted from `begin` to `end`; `spans` are in the order of their times."""
    times = dict.fromkeys(STATUSES, 0)
    for span in spans[_first_after(spans, begin) :]:
        length = min(span.until, end) - max(span.begin, begin)
        if length > 0:
            times[span.status] += length
    return StatusTimes(**times)


def _first_after(spans: Sequence[StatusSpan], moment: int) -> int:
    """Return the place of the first span that ends after `moment`."""
    return bisect_right(spans, moment, key=attrgetter("until"))


def status_bars(spans: Sequence[StatusSpan], begin: int, width: int, count: int, now: int) -> list[list[int]]:
    """Return how long each status lasted in each of `count` consecutive parts of a time, up to `now`.

    Milliseconds by status, in the order of `STATUSES`.
    """
    bars = [[0, 0, 0, 0] for _ in range(count)]
    last = min(begin + width * count, now)
    for span in spans[_first_after(spans, begin) :]:
        since, until = max(span.begin, begin), min(span.until, last)
        place = _PLACES[span.status]
        while since < until:
            bar = (since - begin) // width
            end = min(until, begin + (bar + 1) * width)
            bars[bar][place] += end - since
            since = end
    return bars


class Outage(NamedTuple):
    """A time in which a check was critical; results that say nothing, or none at all, do not end it."""

    begin: int
    end: int | None
    """When the first result came that was ok or a warning; None: none came yet."""
    last: int
    """When the latest critical result came."""
    critical: int
    """How long it was known to be critical, milliseconds."""
    reason: str | None
    text: str


def find_outages(spans: Iterable[StatusSpan], now: int) -> list[Outage]:
    """Return the outages of a check, the oldest first."""
    found: list[Outage] = []
    is_open = False
    for span in spans:
        length = max(0, min(span.until, now) - span.begin)
        if span.status == "critical" and is_open:
            found[-1] = found[-1]._replace(last=span.last, critical=found[-1].critical + length)
        elif span.status == "critical":
            found.append(Outage(span.begin, None, span.last, length, span.reason, span.text))
            is_open = True
        elif span.status != "unknown" and is_open:
            found[-1] = found[-1]._replace(end=span.begin)
            is_open = False
    return found


def status_since(spans: Sequence[StatusSpan]) -> int | None:
    """Return since when the newest span's status has lasted, without a result of another one in between."""
    since = None
    for span in reversed(spans):
        if span.status != spans[-1].status:
            break
        since = span.begin
    return since

"""Periods of reports: the last complete day, week or month, and the one before; what is asked for. Pure.

Days begin at midnight in the report's time zone, weeks on Monday, months on their first day.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.schema.faults import Fault, InvalidError
from shared.schema.reports import FORMATS, MAX_DAYS, Period, PeriodKind, ReportEntry, ReportRequest
from shared.schema.timestamps import EARLIEST

DAY = timedelta(days=1)


def resolve_period(request: ReportRequest, now: datetime) -> Period:
    """Return the period that a request means at `now`. InvalidError names every fault."""
    kind = request.period or ("custom" if request.from_ else "daily")
    faults: list[Fault] = []
    zone = _zone(request.time_zone, faults)
    if kind != "custom" and (request.from_ or request.to):
        faults.append(Fault("$.period", f"expected custom with `from` and `to`, got {kind}"))
    if kind != "custom" and zone and not faults:
        return last_period(kind, zone, now)
    since, until = request.from_, min(request.to or now, now)
    if faults:
        raise InvalidError(faults)
    if since is None:
        faults.append(Fault("$.from", "required for the period custom, but missing"))
    elif since >= until:
        faults.append(Fault("$.from", "expected a time before `to` and before now"))
    elif until - since > MAX_DAYS * DAY:
        faults.append(Fault("$.from", f"expected at most {MAX_DAYS} days, got {(until - since) / DAY:.0f}"))
    elif since < EARLIEST:
        faults.append(Fault("$.from", "expected a time in the years 2000 to 2099"))
    if faults or since is None:
        raise InvalidError(faults)
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    before = max(since - (until - since), EARLIEST)
    return Period(kind=kind, since=since, until=until, previous_since=before, time_zone=request.time_zone)


def build_entry(
    request: ReportRequest, period: Period, suffix: str, now: datetime, schedule: str | None = None
) -> ReportEntry:
    """Return a report that is to be built; `suffix` are eight hexadecimal digits that make its ID unique."""
    first = period.since.astimezone(ZoneInfo(period.time_zone))
    return ReportEntry(
        report_id=f"{period.kind}-{first:%Y%m%d}-{suffix}",
        title=title_of(period, request.kind),
        kind=request.kind,
        state="pending",
        period=period,
        bots=request.bots,
        formats=[form for form in FORMATS if form in request.formats],
        schedule=schedule,
        requested_at=now,
        requested_by=request.requested_by,
    )


def last_period(kind: PeriodKind, zone: ZoneInfo, now: datetime) -> Period:
    """Return the last complete day, week or month before `now`."""
    until = _beginning(kind, now.astimezone(zone).date())
    since = _beginning(kind, until - DAY)
    before = _beginning(kind, since - DAY)
    return Period(
        kind=kind,
        since=_midnight(since, zone),
        until=_midnight(until, zone),
        previous_since=_midnight(before, zone),
        time_zone=zone.key,
    )


def next_end(kind: PeriodKind, zone: ZoneInfo, now: datetime, at: time) -> datetime:
    """Return when the next report of a schedule is due: the time of day `at` after a period's end."""
    day = _beginning(kind, now.astimezone(zone).date())
    while (due := due_at(day, zone, at)) <= now:
        day = _following(kind, day)
    return due


def due_at(end: date, zone: ZoneInfo, at: time) -> datetime:
    """Return when the report of a period that ended at the beginning of the day `end` is due."""
    return datetime.combine(end, at, tzinfo=zone).astimezone(UTC)


def title_of(period: Period, kind: str) -> str:
    """Return the title of a report: `Weekly monitoring report, 2026-11-23 to 2026-11-29`."""
    zone = ZoneInfo(period.time_zone)
    first = period.since.astimezone(zone)
    if period.kind == "custom":
        last = period.until.astimezone(zone)
        return f"{kind.capitalize()} report, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
    days = f"{first:%Y-%m-%d}"
    if period.kind == "weekly":
        days += f" to {(period.until - timedelta(seconds=1)).astimezone(zone):%Y-%m-%d}"
    if period.kind == "monthly":
        days = f"{first:%B %Y}"
    return f"{period.kind.capitalize()} {kind} report, {days}"


def _zone(name: str, faults: list[Fault]) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # not a name, a folder, unknown
        text = f"expected the name of a time zone such as Europe/Berlin, got {name!r}"
        faults.append(Fault("$.timeZone", text))
        return None


def _beginning(kind: PeriodKind, day: date) -> date:
    """Return the first day of the day, week or month that has `day`."""
    if kind == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if kind == "monthly" else day


def _following(kind: PeriodKind, day: date) -> date:
    """Return the beginning of the period after the one that begins on `day`."""
    length = {"weekly": timedelta(days=7), "monthly": timedelta(days=31)}.get(kind, DAY)
    return _beginning(kind, day + length)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)

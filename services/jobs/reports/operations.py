"""What a report says of alerts, notices, checks and hosts. Pure: rows in, structs out."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.analytics.availability import StatusSpan, find_outages, times_in
from shared.analytics.value import percentile
from shared.schema.alerts import SEVERITIES
from shared.schema.report_rows import AlertRow, CheckHours, HostHour, NoticeRow
from shared.schema.reports import (
    CheckUptime,
    Figure,
    HostTrend,
    Incident,
    IncidentGroup,
    Incidents,
    OnCallGroup,
    OnCallLoad,
    Period,
)
from shared.schema.timestamps import epoch_ms
from shared.schema.units import PERCENT, PLAIN, SECONDS, Unit
from shared.store.time_buckets import HOUR

MAX_INCIDENTS = 20
MAX_RULES = 30
MAX_GROUPS = 50
SHORT = timedelta(minutes=5)
"""An alert that resolves faster without an acknowledgement needed nobody."""
NIGHT_BEGINS, NIGHT_ENDS = 22, 7
"""Local hours."""
TREND_PARTS = 60
DISK_DAYS_CURRENT = timedelta(hours=2)
"""An older forecast is no longer made: the disk does not fill."""


def incidents(rows: Sequence[AlertRow], notices: Sequence[NoticeRow], period: Period) -> Incidents:
    """Return the alerts that opened in the period, compared with the period before."""
    now = [row for row in rows if row.opened_at >= period.since]
    before = [row for row in rows if row.opened_at < period.since]
    sent = Counter(notice.alert for notice in notices if notice.is_sent)
    longest = sorted(now, key=lambda row: _duration(row, period.until), reverse=True)
    return Incidents(
        figures=_incident_figures(now, before),
        by_severity={name: sum(row.severity == name for row in now) for name in reversed(SEVERITIES)},
        by_rule=_by_rule(now, before, sent),
        longest=[_incident(row, sent) for row in longest[:MAX_INCIDENTS]],
    )


def _incident_figures(now: Sequence[AlertRow], before: Sequence[AlertRow]) -> list[Figure]:
    def both(
        name: str, label: str, of: Callable[[Sequence[AlertRow]], float | None], unit: Unit, none: str = ""
    ) -> Figure:
        value = of(now)
        return Figure(
            name=name,
            label=label,
            unit=unit.name,
            value=value,
            previous=of(before),
            note=none if value is None else "",
        )

    never, open_ones = "No alert was acknowledged.", "No alert was resolved."
    return [
        both("alertsOpened", "Alerts opened", len, PLAIN),
        both("alertsStillOpen", "Still open", lambda rows: sum(not row.resolved_at for row in rows), PLAIN),
        both("acknowledgedShare", "Acknowledged", _acknowledged_share, PERCENT, "No alert opened."),
        both("timeToAcknowledge", "Time to acknowledge, median", _middle(_to_acknowledge), SECONDS, never),
        both("timeToAcknowledgeP95", "Time to acknowledge, p95", _slow(_to_acknowledge), SECONDS, never),
        both("timeToResolve", "Time to resolve, median", _middle(_to_resolve), SECONDS, open_ones),
        both("timeToResolveP95", "Time to resolve, p95", _slow(_to_resolve), SECONDS, open_ones),
    ]


def _acknowledged_share(rows: Sequence[AlertRow]) -> float | None:
    return sum(row.acknowledged_at is not None for row in rows) / len(rows) * 100 if rows else None


def _to_acknowledge(row: AlertRow) -> float | None:
    return _seconds(row.opened_at, row.acknowledged_at)


def _to_resolve(row: AlertRow) -> float | None:
    return _seconds(row.opened_at, row.resolved_at)


def _seconds(begin: datetime, end: datetime | None) -> float | None:
    return max(0.0, (end - begin).total_seconds()) if end else None


def _known(rows: Iterable[AlertRow], of: Callable[[AlertRow], float | None]) -> list[float]:
    return sorted(value for row in rows if (value := of(row)) is not None)


def _middle(of: Callable[[AlertRow], float | None]) -> Callable[[Sequence[AlertRow]], float | None]:
    def middle(rows: Sequence[AlertRow]) -> float | None:
        known = _known(rows, of)
        return median(known) if known else None

    return middle


def _slow(of: Callable[[AlertRow], float | None]) -> Callable[[Sequence[AlertRow]], float | None]:
    def slow(rows: Sequence[AlertRow]) -> float | None:
        known = _known(rows, of)
        return percentile(known, 0.95) if known else None

    return slow


def _by_rule(
    now: Sequence[AlertRow], before: Sequence[AlertRow], sent: Mapping[str, int]
) -> list[IncidentGroup]:
    earlier = Counter(row.rule for row in before)
    found: dict[str, list[AlertRow]] = {}
    for row in now:
        found.setdefault(row.rule, []).append(row)
    groups = [
        IncidentGroup(
            key=rule,
            opened=len(rows),
            previous=earlier[rule],
            acknowledged=sum(row.acknowledged_at is not None for row in rows),
            resolved=sum(row.resolved_at is not None for row in rows),
            acknowledge_seconds=_middle(_to_acknowledge)(rows),
            resolve_seconds=_middle(_to_resolve)(rows),
            short=sum(map(_is_short, rows)),
            notices=sum(sent[row.id] for row in rows),
        )
        for rule, rows in found.items()
    ]
    return sorted(groups, key=lambda group: (-group.opened, group.key))[:MAX_RULES]


def _is_short(row: AlertRow) -> bool:
    if row.acknowledged_at or not row.resolved_at:
        return False
    return row.resolved_at - row.opened_at <= SHORT


def _duration(row: AlertRow, until: datetime) -> timedelta:
    return (row.resolved_at or max(until, row.opened_at)) - row.opened_at


def _incident(row: AlertRow, sent: Mapping[str, int]) -> Incident:
    return Incident(
        id=row.id,
        opened_at=row.opened_at,
        severity=row.severity,
        rule=row.rule,
        component=row.component,
        message=row.message,
        status=row.status,
        acknowledge_seconds=_to_acknowledge(row),
        resolve_seconds=_to_resolve(row),
        notices=sent[row.id],
    )


def on_call_load(notices: Sequence[NoticeRow], period: Period) -> OnCallLoad:
    """Return the notices of the period by person and by channel, most of them first."""
    zone = ZoneInfo(period.time_zone)
    return OnCallLoad(
        by_person=_load(notices, lambda notice: notice.person, period.since, zone),
        by_channel=_load(notices, lambda notice: notice.channel, period.since, zone),
    )


def _load(
    notices: Iterable[NoticeRow], key: Callable[[NoticeRow], str | None], since: datetime, zone: ZoneInfo
) -> list[OnCallGroup]:
    found: dict[str, list[NoticeRow]] = {}
    for notice in notices:
        if name := key(notice):
            found.setdefault(name, []).append(notice)
    groups = []
    for name, rows in found.items():
        now = [notice for notice in rows if notice.at >= since]
        sent = [notice for notice in now if notice.is_sent]
        group = OnCallGroup(
            key=name,
            notices=len(sent),
            previous=sum(notice.is_sent for notice in rows) - len(sent),
            at_night=sum(is_night(notice.at, zone) for notice in sent),
            alerts=len({notice.alert for notice in sent}),
            failed=len(now) - len(sent),
        )
        groups.append(group)
    return sorted(groups, key=lambda group: (-group.notices, group.key))[:MAX_GROUPS]


def is_night(at: datetime, zone: ZoneInfo) -> bool:
    """Say whether it is night in `zone`."""
    hour = at.astimezone(zone).hour
    return hour >= NIGHT_BEGINS or hour < NIGHT_ENDS


def check_uptime(
    key: tuple[str, str], spans: Sequence[StatusSpan], hours: CheckHours, period: Period
) -> CheckUptime:
    """Return how long a check was up; `spans` are those of the period and of the one before."""
    begin, since, until = map(epoch_ms, (period.previous_since, period.since, period.until))
    now, before = times_in(spans, since, until), times_in(spans, begin, since)
    outages = [one for one in find_outages(spans, until) if (one.end or until) > since]
    return CheckUptime(
        host=key[0],
        check=key[1],
        uptime=now.availability,
        previous=before.availability,
        outages=len(outages),
        downtime_seconds=now.critical / 1000,
        latency_ms=hours.latency_ms,
        certificate_days=hours.certificate_days,
    )


class HostFigures(NamedTuple):
    """The hours of a host over the period."""

    cpu: Sequence[HostHour]
    memory: Sequence[HostHour]
    disk: Sequence[HostHour]
    disk_full_days: Sequence[HostHour]


def host_trend(host: str, found: HostFigures, period: Period) -> HostTrend:
    """Return a host over the period."""
    full = found.disk_full_days[-1:] if found.disk_full_days else ()
    is_current = full and period.until - full[0].at <= DISK_DAYS_CURRENT
    return HostTrend(
        host=host,
        cpu_mean=_mean([hour.mean for hour in found.cpu]),
        cpu_max=max((hour.highest for hour in found.cpu), default=None),
        memory_mean=_mean([hour.mean for hour in found.memory]),
        memory_max=max((hour.highest for hour in found.memory), default=None),
        disk_begin=found.disk[0].mean if found.disk else None,
        disk_end=found.disk[-1].highest if found.disk else None,
        disk_full_days=full[0].mean if is_current else None,
        cpu=[_mean([hour.mean for hour in part]) for part in _parts(found.cpu, period)],
        memory=[_mean([hour.mean for hour in part]) for part in _parts(found.memory, period)],
        disk=[max((hour.highest for hour in part), default=None) for part in _parts(found.disk, period)],
    )


def _parts(hours: Sequence[HostHour], period: Period) -> list[list[HostHour]]:
    """Split the hours into equal parts of the period, each of at least an hour."""
    count = max(1, min(TREND_PARTS, (period.until - period.since) // HOUR))
    parts: list[list[HostHour]] = [[] for _ in range(count)]
    length = (period.until - period.since) / count
    for hour in hours:
        parts[min(count - 1, max(0, (hour.at - period.since) // length))].append(hour)
    return parts


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None

"""Uptime of checks and hourly figures of hosts over a span of time, from the rollups."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from shared.analytics.availability import DAY_MS, HOUR_MS, StatusSpan
from shared.schema.report_rows import CheckHours, HostHour
from shared.schema.timestamps import epoch_ms, from_epoch_ms
from shared.store.tables import check_hours, check_spans, health_hours

_SPAN_COLUMNS = [check_spans.c[name] for name in StatusSpan._fields]
DISKS_TOGETHER = ""
"""`mount` of figures of the host."""


def checks_between(connection: Connection, since: datetime, until: datetime) -> list[tuple[str, str]]:
    """Return host and name of the checks with results in [since, until)."""
    row = check_spans.c
    inside = (row.begin >= epoch_ms(since) - DAY_MS, row.begin < epoch_ms(until))
    statement = select(row.host, row.check).where(*inside).distinct().order_by(row.host, row.check)
    return [(host, check) for host, check in connection.execute(statement)]


def status_spans(
    connection: Connection, host: str, check: str, since: datetime, until: datetime
) -> list[StatusSpan]:
    """Return the spans of a check that may reach into [since, until), the oldest first."""
    row = check_spans.c
    mine = (row.host == host, row.check == check)
    # A span lasts a day at most.
    inside = (row.begin >= epoch_ms(since) - DAY_MS, row.begin < epoch_ms(until))
    statement = select(*_SPAN_COLUMNS).where(*mine, *inside).order_by(row.begin)
    return [StatusSpan(*found) for found in connection.execute(statement)]


def summarise_hours(
    connection: Connection, host: str, check: str, since: datetime, until: datetime
) -> CheckHours:
    """Return latency and certificate days of a check in the hours of [since, until)."""
    row = check_hours.c
    hours = (row.hour >= epoch_ms(since) // HOUR_MS, row.hour < -(-epoch_ms(until) // HOUR_MS))
    count, total, days = connection.execute(
        select(func.sum(row.latencies), func.sum(row.latencyTotal), func.min(row.certificateDays)).where(
            row.host == host, row.check == check, *hours
        )
    ).one()
    return CheckHours(total / count if count else None, days)


def hosts_between(connection: Connection, since: datetime, until: datetime) -> list[str]:
    """Return the hosts with samples in [since, until)."""
    row = health_hours.c
    inside = (row.hour >= epoch_ms(since) // HOUR_MS, row.hour < -(-epoch_ms(until) // HOUR_MS))
    known = select(row.host).distinct().order_by(row.host)
    return [
        host
        for host in connection.scalars(known).all()
        if connection.execute(select(row.hour).where(row.host == host, *inside).limit(1)).first()
    ]


def host_hours(
    connection: Connection, host: str, field: str, since: datetime, until: datetime
) -> list[HostHour]:
    """Return a figure of a host in each hour of [since, until) that has samples."""
    row = health_hours.c
    mine = (row.host == host, row.field == field, row.mount == DISKS_TOGETHER)
    hours = (row.hour >= epoch_ms(since) // HOUR_MS, row.hour < -(-epoch_ms(until) // HOUR_MS))
    statement = select(row.hour, row.total, row.samples, row.highest).where(*mine, *hours).order_by(row.hour)
    return [
        HostHour(from_epoch_ms(hour * HOUR_MS), total / samples, highest)
        for hour, total, samples, highest in connection.execute(statement)
    ]

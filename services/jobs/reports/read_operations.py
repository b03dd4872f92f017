"""Reads what a report says of alerts, notices, checks, hosts and the present status."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from redis.exceptions import RedisError

from services.jobs.context import JobContext
from services.jobs.reports.operations import (
    HostFigures,
    check_uptime,
    host_trend,
    incidents,
    on_call_load,
)
from shared.runtime.redis.connection import connect_redis, describe_redis_error
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence, read_presence
from shared.schema.overall_status import StatusInputs, evaluate_status
from shared.schema.patterns import glob_matches
from shared.schema.records import Check, Health
from shared.schema.reports import (
    CheckUptime,
    HostTrend,
    Incidents,
    OnCallLoad,
    Period,
    ReportDashboard,
    Summary,
)
from shared.store.alerts import open_alerts
from shared.store.check_history import latest_checks
from shared.store.database import Database
from shared.store.incidents import alerts_opened, notices_of_span
from shared.store.latest_records import latest_records
from shared.store.uptime import (
    checks_between,
    host_hours,
    hosts_between,
    status_spans,
    summarise_hours,
)

MAX_CHECKS = 200
MAX_HOSTS = 30
REDIS_TIMEOUT_S = 2.0
FORGOTTEN_S = 86_400
"""Hosts and checks without a record for so long do not count for the present status."""


class Operations(NamedTuple):
    """What is known of alerts, notices, checks and hosts."""

    incidents: Incidents
    on_call: OnCallLoad
    checks: list[CheckUptime]
    hosts: list[HostTrend]
    notes: list[str]


def read_operations(health: Database, period: Period, bots: Sequence[str]) -> Operations:
    """Read the period; with patterns of `bots`, alerts of these only, and neither checks nor hosts."""
    with health.read() as connection:
        rows = alerts_opened(connection, period.previous_since, period.until)
        notices = notices_of_span(connection, period.previous_since, period.until)
    notes: list[str] = []
    if bots:
        rows = [row for row in rows if any(glob_matches(pattern, row.component) for pattern in bots)]
        own = {row.id for row in rows}
        notices = [notice for notice in notices if notice.alert in own]
        return Operations(incidents(rows, notices, period), on_call_load(notices, period), [], [], notes)
    return Operations(
        incidents(rows, notices, period),
        on_call_load(notices, period),
        _checks(health, period, notes),
        _hosts(health, period, notes),
        notes,
    )


def _checks(health: Database, period: Period, notes: list[str]) -> list[CheckUptime]:
    with health.read() as connection:
        keys = checks_between(connection, period.since, period.until)
    found = []
    for key in keys:
        with health.read() as connection:
            spans = status_spans(connection, *key, period.previous_since, period.until)
            hours = summarise_hours(connection, *key, period.since, period.until)
        found.append(check_uptime(key, spans, hours, period))
    found.sort(key=lambda one: (101.0 if one.uptime is None else one.uptime, one.host, one.check))
    if len(found) > MAX_CHECKS:
        notes.append(f"Checks: the {MAX_CHECKS} with the lowest uptime of {len(found)} are listed.")
    return found[:MAX_CHECKS]


def _hosts(health: Database, period: Period, notes: list[str]) -> list[HostTrend]:
    with health.read() as connection:
        names = hosts_between(connection, period.since, period.until)
    if len(names) > MAX_HOSTS:
        notes.append(f"Hosts: the first {MAX_HOSTS} of {len(names)} are listed.")
    found = []
    for name in names[:MAX_HOSTS]:
        with health.read() as connection:
            hours = [
                host_hours(connection, name, field, period.since, period.until)
                for field in ("cpuUsage", "memoryUsage", "diskUsage", "diskFullDays")
            ]
        found.append(host_trend(name, HostFigures(*hours), period))
    return found


def read_dashboard(
    context: JobContext, now: datetime, bots: int, worth: tuple[float | None, str | None]
) -> ReportDashboard:
    """Return the present status, decided as the dashboard does; `worth` is the portfolio value."""
    with context.health.read() as connection:
        active = open_alerts(connection)
        records = [*latest_records(connection, Health), *latest_checks(connection)]
    recent = [one for one in records if (now - one.at).total_seconds() <= FORGOTTEN_S]
    hosts = {one.host: one for one in recent if isinstance(one, Health)}
    parts, fault = _read_parts(context, now)
    found = evaluate_status(
        StatusInputs(
            alerts=active,
            hosts=hosts,
            checks=[one for one in recent if isinstance(one, Check)],
            lost_parts={name: part.seen_at for name, (part, alive) in parts.items() if not alive},
            stopped_parts=() if fault else EXPECTED_PARTS - parts.keys(),
            redis_fault=fault,
            any_record=bool(recent) or bool(bots),
        )
    )
    return ReportDashboard(
        summary=Summary(
            status=found.status,
            reasons=found.reasons,
            handled=found.handled,
            bots=bots,
            hosts=len(hosts),
            active_alerts=len(active),
            portfolio_value=worth[0],
            currency=worth[1],
        )
    )


def _read_parts(
    context: JobContext, now: datetime
) -> tuple[Mapping[str, tuple[PartPresence, bool]], str | None]:
    redis = connect_redis(context.settings.redis_url, call_timeout_s=REDIS_TIMEOUT_S, retries=0)
    try:
        return read_presence(redis, now), None
    except RedisError as error:
        return {}, describe_redis_error(error)
    finally:
        redis.close()

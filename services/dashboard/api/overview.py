"""The dashboard as data: what `GET /api/monitoring` answers, section by section."""

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import make_url

from services.dashboard import snapshot
from services.dashboard.api.queries import ALL_BOTS, BotPage
from services.dashboard.data_sources import CurrentState, DataSources
from services.dashboard.snapshot import Fields
from shared.runtime.backups import describe_backup, newest_verified
from shared.runtime.disk_space import PAUSED, DiskSpace
from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.schema.accounts import account_currency
from shared.schema.alerts import Alert
from shared.schema.jobs import JobRun
from shared.schema.overall_status import StatusInputs, evaluate_status, needs_attention, urgent_alerts
from shared.schema.records import AnyRecord, Check, Health
from shared.schema.timestamps import from_store
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG
from shared.store.account_sums import AccountSum, sum_accounts
from shared.store.alerts import count_by_severity, list_alerts, open_alerts
from shared.store.database import Database
from shared.store.database_sizes import DatabaseGrowth, read_growth
from shared.store.deliveries import last_sent
from shared.store.job_runs import read_job_runs
from shared.store.outbox import pending_by_channel
from shared.store.sampling import sample_rows
from shared.store.tables import equity, performance_metrics
from shared.version import VERSION

TIME_LIMIT_S = 10.0
"""A request that takes longer fails, and names the step that took most of the time."""
WINDOW = timedelta(hours=1)
"""How far back trends go."""
MAX_POINTS = 300
MAX_RECENT = 20
"""How many alerts of any status are listed."""
MAX_BOTS_WITH_TRENDS = 20
"""Where more bots are answered, each bot's trends are to be asked for."""

_TRENDS: tuple[tuple[str, Table], ...] = (
    ("equity", equity),
    ("portfolioValue", performance_metrics),
    ("currentDrawdown", performance_metrics),
)


class TimeBudgetExceededError(Exception):
    """A request took longer than its limit; the message names the slowest step."""


class TimeBudget:
    """The time that one request may take, checked between its queries; `monotonic` returns seconds."""

    def __init__(self, monotonic: Callable[[], float], limit_s: float = TIME_LIMIT_S) -> None:
        self._monotonic = monotonic
        self._limit_s = limit_s
        self._begun = self._last = monotonic()
        self._took: dict[str, float] = {}

    def record_step(self, step: str) -> None:
        """Record the end of a step, or of a part of one. Raises TimeBudgetExceededError past the limit."""
        now = self._monotonic()
        self._took[step] = self._took.get(step, 0.0) + now - self._last
        self._last = now
        total = now - self._begun
        if total > self._limit_s:
            slowest = max(self._took, key=lambda name: self._took[name])
            raise TimeBudgetExceededError(
                f"request took {total:.1f} s (limit {self._limit_s:g} s): "
                f"{slowest} took {self._took[slowest]:.1f} s"
            )


def overview(sources: DataSources, now: datetime, wanted: BotPage = ALL_BOTS) -> Fields:
    """Return the whole dashboard at `now`, with a page of the bots."""
    deadline = TimeBudget(time.monotonic)
    known = sources.read_current(now)
    deadline.record_step("the latest values")
    records = snapshot.group_by_bot(known.records)
    names = wanted.names(list(records))
    bots = {
        bot: snapshot.bot_snapshot(bot, records[bot], now, sources.configured_currency(bot)) for bot in names
    }
    has_trends = len(bots) <= MAX_BOTS_WITH_TRENDS if wanted.trends is None else wanted.trends
    hosts = snapshot.host_snapshots(known.records, now)
    deadline.record_step("the figures")
    with sources.health.read() as connection:
        active = open_alerts(connection)
        recent = list_alerts(connection, limit=MAX_RECENT)
    deadline.record_step("the alerts")
    return {
        "timestamp": now,
        "summary": _summary(sources, known, records, active, now),
        "performance": bots,
        "health": hosts,
        "checks": snapshot.check_snapshots(known.records, now),
        "alerts": {"active": active, "counts": count_by_severity(active), "recent": recent},
        "trends": trends(sources.performance, bots, now, deadline) if has_trends else {},
        "system": _system_fields(sources, known, now),
        "page": {
            "limit": wanted.limit,
            "next": wanted.next_after(names, list(records)),
            "trends": has_trends,
        },
    }


def summary(sources: DataSources, now: datetime) -> Fields:
    """Return what the head of every view shows: the overall status, sums, and how access is."""
    known = sources.read_current(now)
    with sources.health.read() as connection:
        active = open_alerts(connection)
    records = snapshot.group_by_bot(known.records)
    return {
        "timestamp": now,
        **_summary(sources, known, records, active, now),
        "attention": urgent_alerts(active),
        "access": sources.access,
        "version": VERSION,
    }


def system(sources: DataSources, now: datetime) -> Fields:
    """Return how Botwatch itself is: parts, lag, jobs, databases, disk, backup."""
    return {"timestamp": now, **_system_fields(sources, sources.read_current(now), now)}


def _summary(
    sources: DataSources,
    known: CurrentState,
    bots: Mapping[str, list[AnyRecord]],
    active: list[Alert],
    now: datetime,
) -> Fields:
    overall = evaluate_status(
        StatusInputs(
            alerts=active,
            hosts={record.host: record for record in known.records if isinstance(record, Health)},
            checks=[record for record in known.records if isinstance(record, Check)],
            lost_parts={}
            if known.redis_fault
            else {name: part.seen_at for name, (part, alive) in known.parts.items() if not alive},
            stopped_parts=() if known.redis_fault else EXPECTED_PARTS - known.parts.keys(),
            redis_fault=known.redis_fault,
            any_record=bool(known.records),
        )
    )
    return {
        "status": overall.status,
        "reasons": overall.reasons,
        "handled": overall.handled,
        "bots": len(bots),
        "hosts": len({record.host for record in known.records if isinstance(record, Health)}),
        "activeAlerts": len(active),
        "triggeredAlerts": sum(needs_attention(alert) for alert in active),
        "alertsBySeverity": count_by_severity(active),
        **_worth_fields(_portfolio_value(sources, bots, now)),
    }


def _portfolio_value(sources: DataSources, bots: Mapping[str, list[AnyRecord]], now: datetime) -> AccountSum:
    """Sum the portfolio values of all bots."""
    values = [
        (account_currency(records) or sources.configured_currency(bot), value)
        for bot, records in bots.items()
        if (value := snapshot.shown_value(records, "portfolio_value")) is not None
    ]
    return sum_accounts(values, sources.reporting_currency, sources.newest_rate_at(now))


def _worth_fields(worth: AccountSum) -> Fields:
    return {
        "portfolioValue": worth.total,
        "portfolioValueReason": worth.reason if worth.by_currency else "No bot has a portfolio value yet.",
        "portfolioValues": worth.by_currency,
        "currency": worth.currency,
        "rates": worth.rate_fields(),
    }


def trends(
    database: Database, bots: Mapping[str, Fields], now: datetime, deadline: TimeBudget | None = None
) -> Fields:
    """Return each bot's last hour: figure → points [moment, value], undefined ones left out."""
    span = (now - WINDOW, now)
    found: Fields = {}
    with database.read() as connection:
        for bot, known in bots.items():
            found[bot] = {
                name: _points(
                    sample_rows(
                        connection,
                        table,
                        bot,
                        [name],
                        span,
                        most=MAX_POINTS,
                        **_preferred_source(known, name, table),
                    )
                )
                for name, table in _TRENDS
            }
            if deadline:
                deadline.record_step("the trends")
    return found


def _preferred_source(known: Fields, name: str, table: Table) -> dict[str, str]:
    """Keep reported and computed figures apart: a line must not jump between the two."""
    computed = known["computed"]
    if table is not performance_metrics or not isinstance(computed, list):
        return {}
    return {"source": "computed" if name in computed else "reported"}


def _points(rows: Iterable[tuple[Any, ...]]) -> list[tuple[datetime, float]]:
    return [(from_store(row[0]), row[1]) for row in rows]


def _system_fields(sources: DataSources, known: CurrentState, now: datetime) -> Fields:
    with sources.health.read() as connection:
        pending = pending_by_channel(connection)
        last_beat = last_sent(connection, WATCHDOG, LOOPBACK_CHANNEL)
        jobs = read_job_runs(connection)
        databases = {
            name: _database_file(database) | _growth(read_growth(connection, name))
            for name, database in (("performance", sources.performance), ("health", sources.health))
        }
    return {
        **_parts(known),
        "databases": databases,
        "disk": _disk(sources.disk),
        "access": sources.access,
        "notifications": pending,
        "watchdog": {"heardAt": last_beat},
        "jobs": {name: _job(run, now) for name, run in jobs.items()},
        "backup": _newest_backup(sources.home),
    }


def _parts(known: CurrentState) -> Fields:
    return {
        "version": VERSION,
        "parts": {
            name: {
                "status": "up" if alive else "gone",
                "host": part.host,
                "pid": part.pid,
                "startedAt": part.started_at,
                "seenAt": part.seen_at,
            }
            for name, (part, alive) in known.parts.items()
        },
        "log": known.log._asdict() if known.log else None,
        "redis": {
            "status": "away" if known.redis_down else "up",
            "latencyMs": known.redis_latency_ms,
            "fault": known.redis_fault,
        },
    }


def _job(run: JobRun, now: datetime) -> Fields:
    return {
        "status": run.status(now),
        "startedAt": run.started_at,
        "finishedAt": run.finished_at,
        "durationMs": run.duration_ms,
        "outcome": run.outcome,
        "error": run.error,
        "result": run.result,
        "failures": run.failures,
        "lastSuccessAt": run.last_success_at,
        "nextDueAt": run.next_due_at,
    }


def _newest_backup(home: Path | None) -> Fields | None:
    """Describe the newest verified backup; None without one."""
    backup = newest_verified(home) if home else None
    return dict(describe_backup(backup)) if backup else None


def _growth(found: DatabaseGrowth | None) -> Fields:
    """Name what was measured last: the day, the growth, and the tables."""
    return {
        "measuredOn": found.measured_on if found else None,
        "bytesPerDay": found.whole.bytes_per_day if found else None,
        "tables": found.tables if found else {},
    }


def _disk(disk: DiskSpace | None) -> Fields | None:
    """Describe the disk of the databases; None if it is unknown."""
    state = disk.read() if disk else None
    return state and {
        "level": state.level.text,
        "freeBytes": state.free,
        "totalBytes": state.total,
        "paused": PAUSED[state.level],
    }


def _database_file(database: Database) -> Fields:
    """Name a database and its size with what is still in its write-ahead log; no size on a server."""
    url = make_url(database.url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return {"path": url.database, "bytes": None}
    path = Path(url.database)
    files = [path, path.with_name(path.name + "-wal")]
    return {"path": path.name, "bytes": sum(file.stat().st_size for file in files if file.exists())}

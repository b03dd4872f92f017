"""The dashboard as data: what `GET /api/monitoring` answers, section by section."""

import importlib.metadata
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import make_url

from services.dashboard import figures
from services.dashboard.deadline import Deadline
from services.dashboard.figures import Fields
from services.dashboard.queries import ALL, BotPage
from services.dashboard.sources import Now, Sources
from services.dashboard.status import Situation, judge, needs_attention
from shared.runtime.parts import EXPECTED
from shared.schema.alerts import Alert
from shared.schema.records import AnyRecord, Check, Health
from shared.schema.timestamps import from_store
from shared.schema.watchdog import ITSELF, WATCHDOG
from shared.store.alerts import counts, list_alerts, open_alerts
from shared.store.database import Database
from shared.store.deliveries import last_sent
from shared.store.outbox import pending_by_channel
from shared.store.sampling import sample
from shared.store.tables import equity, performance_metrics

WINDOW = timedelta(hours=1)
"""How far back trends go."""
MOST_POINTS = 300
RECENT = 20
"""How many alerts of any status are listed."""
MOST_BOTS_WITH_TRENDS = 20
"""Where more bots are answered, each bot's trends are to be asked for."""

_TRENDS: tuple[tuple[str, Table], ...] = (
    ("equity", equity),
    ("portfolioValue", performance_metrics),
    ("currentDrawdown", performance_metrics),
)


def monitoring(sources: Sources, now: datetime, wanted: BotPage = ALL) -> Fields:
    """Return the whole dashboard at `now`, with a page of the bots."""
    deadline = Deadline(time.monotonic)
    known = sources.now(now)
    deadline.done("the latest values")
    records = figures.by_bot(known.records)
    names = wanted.names(list(records))
    bots = {bot: figures.of_bot(bot, records[bot], now) for bot in names}
    has_trends = len(bots) <= MOST_BOTS_WITH_TRENDS if wanted.trends is None else wanted.trends
    hosts = figures.of_hosts(known.records, now)
    deadline.done("the figures")
    with sources.health.read() as connection:
        active = open_alerts(connection)
        recent = list_alerts(connection, status=None, severity=None, component=None, limit=RECENT)
        pending = pending_by_channel(connection)
        heard = last_sent(connection, WATCHDOG, ITSELF)
    deadline.done("the alerts")
    return {
        "timestamp": now,
        "summary": _summary(known, records, hosts, active),
        "performance": bots,
        "health": hosts,
        "checks": figures.of_checks(known.records, now),
        "alerts": {"active": active, "counts": counts(active), "recent": recent},
        "trends": trends(sources.performance, bots, now, deadline) if has_trends else {},
        "system": {**_system(sources, known), "notifications": pending, "watchdog": {"heardAt": heard}},
        "page": {
            "limit": wanted.limit,
            "next": wanted.following(names, list(records)),
            "trends": has_trends,
        },
    }


def _summary(
    known: Now, bots: Mapping[str, list[AnyRecord]], hosts: Mapping[str, Fields], active: list[Alert]
) -> Fields:
    overall = judge(
        Situation(
            alerts=active,
            hosts={record.host: record for record in known.records if isinstance(record, Health)},
            checks=[record for record in known.records if isinstance(record, Check)],
            gone={name: part.seen_at for name, (part, alive) in known.parts.items() if not alive},
            missing=() if known.redis_away else EXPECTED - known.parts.keys(),
            redis_away=known.redis_away,
            any_record=bool(known.records),
        )
    )
    return {
        "status": overall.status,
        "reasons": overall.reasons,
        "handled": overall.handled,
        "bots": len(bots),
        "hosts": len(hosts),
        "portfolioValue": figures.total(map(figures.worth, bots.values())),
        "activeAlerts": len(active),
        "triggeredAlerts": sum(needs_attention(alert) for alert in active),
        "alertsBySeverity": counts(active),
    }


def trends(
    database: Database, bots: Mapping[str, Fields], now: datetime, deadline: Deadline | None = None
) -> Fields:
    """Return each bot's last hour: figure → points [moment, value], undefined ones left out."""
    span = (now - WINDOW, now)
    found: Fields = {}
    with database.read() as connection:
        for bot, known in bots.items():
            found[bot] = {
                name: _points(
                    sample(
                        connection, table, bot, [name], span, most=MOST_POINTS, **_source(known, name, table)
                    )
                )
                for name, table in _TRENDS
            }
            if deadline:
                deadline.done("the trends")
    return found


def _source(known: Fields, name: str, table: Table) -> dict[str, str]:
    """Keep reported and computed figures apart: a line must not jump between the two."""
    computed = known["computed"]
    if table is not performance_metrics or not isinstance(computed, list):
        return {}
    return {"source": "computed" if name in computed else "reported"}


def _points(rows: Iterable[tuple[Any, ...]]) -> list[tuple[datetime, float]]:
    return [(from_store(row[0]), row[1]) for row in rows]


def _system(sources: Sources, known: Now) -> Fields:
    return {
        "version": importlib.metadata.version("botwatch"),
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
        "redis": {"status": "away" if known.redis_away else "up", "latencyMs": known.redis_latency_ms},
        "databases": {
            "performance": _file(sources.performance),
            "health": _file(sources.health),
        },
    }


def _file(database: Database) -> Fields:
    """Name a database and its size with what is still in its write-ahead log; no size on a server."""
    url = make_url(database.url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return {"path": url.database, "bytes": None}
    path = Path(url.database)
    files = [path, path.with_name(path.name + "-wal")]
    return {"path": path.name, "bytes": sum(file.stat().st_size for file in files if file.exists())}

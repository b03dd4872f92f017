"""Access journal: stores when tokens were used and what was refused, as all parts report it in Redis."""

import threading
from datetime import datetime

import structlog
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from shared.access.access_events import AccessReport, Denials, take_reports
from shared.access.tokens import mark_used
from shared.runtime.clock import Clock
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database

log = structlog.get_logger()

INTERVAL_S = 5.0
MAX_REPORTS = 100
"""Limit of reports per transaction."""
STRANGER = "unknown"


class AccessJournal:
    """Writes the reports of all parts: the last use of tokens, and refusals into the audit log."""

    def __init__(self, redis: Redis, database: Database, key: AuditKeyFile, clock: Clock) -> None:
        self._redis = redis
        self._database = database
        self._key = key
        self._clock = clock

    def run(self, stopping: threading.Event) -> None:
        """Store reports every few seconds until `stopping` is set."""
        while not stopping.wait(INTERVAL_S):
            try:
                self.store(self._clock())
            except (RedisError, SQLAlchemyError, OSError, ValueError) as error:
                log.warning("access reports not stored", error=str(error).partition("\n")[0])

    def store(self, now: datetime) -> int:
        """Store the reports that are there; return how many. They are lost if the database fails."""
        reports = take_reports(self._redis, MAX_REPORTS)
        if reports:
            with self._database.write() as connection:
                for report in reports:
                    mark_used(connection, report.used)
                    for denied in report.denied:
                        append_audit(connection, _entry(report, denied), now, self._key)
        return len(reports)


def _entry(report: AccessReport, denied: Denials) -> AuditEntry:
    return AuditEntry(
        action="access.refuse",
        actor=denied.name or STRANGER,
        address=denied.address or None,
        target=report.part,
        after={"reason": denied.reason, "requests": denied.count},
        outcome="denied",
    )

"""Housekeeping: rollups and retention, in small batches between writes."""

import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import chain

import structlog
from prometheus_client import Counter
from sqlalchemy.exc import OperationalError

from shared.runtime.config.documents import Documents
from shared.store.database import Database
from shared.store.retention import (
    COMPUTED_RETENTION,
    KeepFrom,
    RemovedRows,
    remove_health,
    remove_performance,
    retention_limit,
)
from shared.store.rollups import roll_up

log = structlog.get_logger()

ROLL_UP_INTERVAL_S = 10.0
ROLL_UP_BATCH = 10_000
"""Rows per batch: about 5 µs each, during which the database is locked for writing."""
RETENTION_INTERVAL_S = 3600.0
FIRST_RETENTION_AFTER_S = 30.0
"""Delay after the start, when other work is more urgent."""
RETENTION_PAUSE_S = 0.02
"""No further batch is started after this time, seconds."""

REMOVED = Counter(
    "botwatch_recorder_removed", "Rows removed because they are older than retentionDays.", ["table"]
)


class Housekeeping:
    """Runs rollups and retention; `keep_from` returns the time from which a bot's raw rows must stay."""

    def __init__(
        self,
        performance: Database,
        health: Database,
        documents: Documents,
        now: Callable[[], datetime],
        keep_from: KeepFrom,
    ) -> None:
        self._performance = performance
        self._health = health
        self._documents = documents
        self._now = now
        self._keep_from = keep_from
        self._roll_up_at = time.monotonic()
        self._retention_at = time.monotonic() + FIRST_RETENTION_AFTER_S
        self._pieces: Iterator[RemovedRows] | None = None
        self._removed: Tally[str] = Tally()

    def step(self) -> None:
        """Run one small batch if it is due; a batch that cannot be written is retried later."""
        moment = time.monotonic()
        try:
            if moment >= self._roll_up_at:
                self._roll_up(moment)
            elif self._pieces or moment >= self._retention_at:
                self._remove(moment)
        except OperationalError as error:
            log.warning("housekeeping postponed; retrying", error=str(error.orig))

    def _roll_up(self, moment: float) -> None:
        self._roll_up_at = moment + ROLL_UP_INTERVAL_S
        with self._performance.write() as connection:
            taken = roll_up(connection, ROLL_UP_BATCH)
        if taken == ROLL_UP_BATCH:
            self._roll_up_at = moment

    def _remove(self, moment: float) -> None:
        pieces = self._pieces or self._start_retention()
        # If a batch fails, the rest waits for the next run.
        self._pieces, self._retention_at = None, moment + RETENTION_INTERVAL_S
        for piece in pieces:
            REMOVED.labels(piece.table).inc(piece.rows)
            self._removed[piece.table] += piece.rows
            if time.monotonic() - moment >= RETENTION_PAUSE_S:
                self._pieces = pieces
                return
        if removed := +self._removed:
            log.info("removed rows older than retentionDays", **removed)
        self._removed.clear()

    def _start_retention(self) -> Iterator[RemovedRows]:
        now, documents = self._now(), self._documents
        performance = retention_limit(now, documents.performance.database.retention_days)
        health = retention_limit(now, documents.health.database.retention_days)
        return chain(
            remove_performance(
                self._performance, performance, self._keep_from, computed_before=now - COMPUTED_RETENTION
            ),
            remove_health(self._health, health),
        )

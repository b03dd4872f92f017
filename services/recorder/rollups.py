"""Rollups: keeps the minute and hour rollups close behind what is written.

They stay here rather than in the jobs part: charts read the rows that are not rolled up yet, one by one, so
the rollups must follow within seconds.
"""

import time

import structlog
from sqlalchemy.exc import OperationalError

from shared.store.database import Database
from shared.store.rollups import roll_up

log = structlog.get_logger()

INTERVAL_S = 10.0
BATCH_ROWS = 10_000
"""Rows per batch: about 5 µs each, during which the database is locked for writing."""


class Rollups:
    """Makes rollups in small batches between writes."""

    def __init__(self, performance: Database) -> None:
        self._performance = performance
        self._due_at = time.monotonic()

    def step(self) -> None:
        """Make one batch if it is due; one that cannot be written is retried later."""
        moment = time.monotonic()
        if moment < self._due_at:
            return
        self._due_at = moment + INTERVAL_S
        try:
            with self._performance.write() as connection:
                taken = roll_up(connection, BATCH_ROWS)
        except OperationalError as error:
            log.warning("rollups postponed; retrying", error=str(error.orig))
            return
        if taken == BATCH_ROWS:
            self._due_at = moment

"""Rollups: keeps the minute and hour rollups of metrics close behind what is written.

Those of checks and hosts are written with their rows; what remains of them is to make again the days that are
due: those stored before there were rollups, and those in which a result came late.

They stay here rather than in the jobs part: charts read the rows that are not rolled up yet, one by one, so
the rollups must follow within seconds.
"""

import time

import structlog
from sqlalchemy.exc import OperationalError

from shared.store.database import Database
from shared.store.due_rollups import remake_due_day
from shared.store.rollups import roll_up

log = structlog.get_logger()

INTERVAL_S = 10.0
BATCH_ROWS = 10_000
"""Rows per batch: about 5 µs each, during which the database is locked for writing."""
DUE_BUDGET_S = 0.1
"""Time for days that are due, per step."""


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


class DueRollups:
    """Makes again the rollups of checks and hosts of the days that are due, each in one transaction."""

    def __init__(self, health: Database) -> None:
        self._health = health
        self._due_at = time.monotonic()

    def step(self) -> None:
        """Make days for a short time; a day that cannot be written stays due."""
        moment = time.monotonic()
        try:
            while self._due_at <= moment and time.monotonic() - moment < DUE_BUDGET_S:
                with self._health.write() as connection:
                    if not remake_due_day(connection):
                        self._due_at = moment + INTERVAL_S
        except OperationalError as error:
            self._due_at = moment + INTERVAL_S
            log.warning("rollups of checks and hosts postponed; retrying", error=str(error.orig))

"""Job context: what a job works with."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from services.jobs.config import JobsSettings
from shared.runtime import clock, databases
from shared.runtime.audit_key import audit_key
from shared.runtime.config.documents import Documents, load_documents
from shared.runtime.environment import load_settings
from shared.store.audit import SYSTEM, AuditEntry, append_audit
from shared.store.database import Database

PAUSE_S = 0.1
"""Shortest pause between write transactions, seconds: who waits for SQLite's lock tries as often."""

T = TypeVar("T")


class JobContext(NamedTuple):
    """Databases, config documents, folders and settings as they are when a run starts."""

    performance: Database
    health: Database
    documents: Documents
    home: Path
    now: clock.Clock
    sleep: Callable[[float], None] = time.sleep
    settings: JobsSettings = JobsSettings()
    actor: str = SYSTEM
    """Who runs the job, for the audit log."""

    @property
    def databases(self) -> dict[str, Database]:
        """Both databases by name."""
        return {"performance": self.performance, "health": self.health}

    def append_audit(self, action: str, target: str, after: Mapping[str, int]) -> None:
        """Append what was deleted to the audit log."""
        entry = AuditEntry(action=action, actor=self.actor, target=target, after=dict(after))
        with self.health.write() as connection:
            append_audit(connection, entry, self.now(), audit_key(self.home))

    def paced(self, steps: Iterable[T]) -> Iterator[T]:
        """Yield from `steps`, each a write transaction, with pauses as long: others must get a turn."""
        started = time.monotonic()
        for step in steps:
            yield step
            self.sleep(max(PAUSE_S, time.monotonic() - started))
            started = time.monotonic()


JobFunction = Callable[[JobContext], Mapping[str, int]]
"""Does the work and returns counts of what it did; running it again, or twice at once, does no harm."""


@contextmanager
def open_context() -> Iterator[JobContext]:
    """Read settings and documents as they are now, and open both databases."""
    settings = load_settings(JobsSettings, os.environ).validated()
    documents = load_documents(settings.botwatch_config)
    with (
        closing(databases.performance_database(settings, documents)) as performance,
        closing(databases.health_database(settings, documents)) as health,
    ):
        yield JobContext(performance, health, documents, settings.botwatch_home, clock.now, settings=settings)

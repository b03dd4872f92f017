"""The config documents in force, for views that show what is configured, and its place in a file.

The evaluator and the notifier load the documents at their start and at a reload, not when a file changes. The
dashboard reads the same files at the same moments. It has no secret of another part: where a section refers
to one (`${ALERT_WEBHOOK_URL}`) the value is empty here, and encrypted values stay encrypted.
"""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime import clock
from shared.runtime.config.documents import (
    Documents,
    HealthMonitor,
    PerformanceLogger,
    load_documents,
    read_documents,
)
from shared.runtime.config.notifications import Notifications
from shared.runtime.redis.reload_requests import latest_results
from shared.schema.faults import InvalidError
from shared.schema.timestamps import EARLIEST

log = structlog.get_logger()

PERFORMANCE_LOGGER = "performance_logger.json"
HEALTH_MONITOR = "health_monitor.json"
NOTIFICATIONS = "notifications.yml"


class Place(msgspec.Struct, frozen=True):
    """Where something is configured."""

    file: str
    """Name of the document, such as `notifications.yml`."""
    path: str
    """Path in it, such as `channels.ops` or `alerting.conditions[3]`."""


class LoadedDocuments(NamedTuple):
    """The documents, and what is written in them."""

    documents: Documents
    written: Mapping[str, object]
    """By file name, with references such as `${NAME}`; may hold secrets that are written in clear."""
    changed_at: datetime = EARLIEST
    """When `notifications.yml` was changed last."""


class DocumentsInForce:
    """Reads the documents of `folder` when created, and again after each reload that was not refused."""

    def __init__(self, folder: Path | None, redis: Redis) -> None:
        """Without a folder the documents are empty. Raises InvalidError."""
        self._folder = folder
        self._redis = redis
        self._lock = threading.Lock()
        self._read_at = clock.now()
        self._loaded = self._load()

    def read(self) -> LoadedDocuments:
        """Return the documents in force; while Redis is down, those of the last call."""
        try:
            replies = latest_results(self._redis).values()
        except RedisError:
            return self._loaded
        newest = max((reply.at for reply in replies if reply.at), default=self._read_at)
        latest = max((reply.request for reply in replies), default=0)
        is_refused = any(reply.faults for reply in replies if reply.request == latest)
        if newest <= self._read_at or is_refused:
            return self._loaded
        with self._lock:
            if newest > self._read_at:
                self._read_at = newest
                try:
                    self._loaded = self._load()
                except InvalidError as error:  # changed again since the reload
                    log.warning(
                        "config invalid; showing the previous one", faults=list(map(str, error.faults))
                    )
        return self._loaded

    def _load(self) -> LoadedDocuments:
        if self._folder is None:
            return LoadedDocuments(Documents(PerformanceLogger(), HealthMonitor(), Notifications()), {})
        changed_at = _changed_at(
            self._folder / NOTIFICATIONS
        )  # first: a change while it is read counts later
        return LoadedDocuments(load_documents(self._folder), read_documents(self._folder), changed_at)


def _changed_at(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
    except FileNotFoundError:
        return EARLIEST

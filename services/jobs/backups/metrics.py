"""The newest verified backup as metrics for Prometheus, read from the folder at each scrape."""

from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.runtime.backups import newest_verified


class BackupMetrics(Collector):
    """Time and size of the newest verified backup; no samples without one."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Read the samples."""
        finished = GaugeMetricFamily(
            "botwatch_backup_last_success_timestamp_seconds", "When the newest verified backup was made."
        )
        size = GaugeMetricFamily("botwatch_backup_size_bytes", "Size of the newest verified backup.")
        if backup := newest_verified(self._home):
            finished.add_metric([], backup.created_at.timestamp())
            size.add_metric([], backup.bytes)
        yield from (finished, size)

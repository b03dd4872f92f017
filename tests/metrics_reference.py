"""Writes docs/metrics-reference.md: `python -m tests.metrics_reference docs/metrics-reference.md`.

Every metric comes from its registration: from the modules that the parts import, and from the collectors that
read Redis and the databases.
"""

import importlib
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from prometheus_client import PROCESS_COLLECTOR
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase
from redis import Redis

from services.dashboard.prometheus_exporter import (
    AlertMetricsCollector,
    DashboardInfo,
    PositionMetricsCollector,
)
from services.ingestion.log_metrics import LogMetricsCollector
from services.ingestion.prometheus_exporter import metric_families
from services.jobs.backups.metrics import BackupMetrics
from services.jobs.scheduler import QueueLength
from services.jobs.sizes import SizeMetrics
from services.notifier.watchdog.watchdog import WatchdogMetrics, WatchdogVerdict
from shared.runtime.exposition import GaugeLines
from shared.runtime.health import BuildInfo
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.runtime.settings import REPOSITORY

EVERY_PART = "every part"
SHARED = {
    "shared.runtime.web.app": "dashboard, ingestion",
    "shared.runtime.step_latency": "evaluator, notifier, recorder",
}
"""The parts that have the metrics of a shared module, where not all do."""
SUFFIX = {"counter": "_total"}
HEAD = """# Metrics reference

Every metric of Botwatch, as it is registered: `make schema` writes this page. Names and labels are public:
they grow, and a metric that is renamed keeps its old name for one release (below).
[prometheus.md](prometheus.md) describes how to scrape them, and how many series there can be;
[metrics.md](metrics.md) defines the figures of trading. Prometheus adds `app`, `part`, `job` and `instance`.

`botwatch_bot_metric` also has the labels of the record. A histogram has `_bucket`, `_sum` and
`_count`. Parts without workers have those of the interpreter, too: `python_…`.

| metric | type | labels | part | meaning |
|---|---|---|---|---|
"""
TAIL = """
## Renamed

A recording rule in `prometheus/rules` keeps the old name in this release.

| old name | new name |
|---|---|
| `botwatch_bot_trading_days` | `botwatch_bot_daily_returns` |
"""


class MetricEntry(NamedTuple):
    """A line of the reference."""

    name: str
    kind: str
    labels: tuple[str, ...]
    parts: str
    meaning: str


def metric_entries() -> list[MetricEntry]:
    """Return every metric by name."""
    found = {(entry.name, entry.parts): entry for entry in (*_of_modules(), *_of_collectors())}
    return sorted(found.values())


def _of_modules() -> Iterator[MetricEntry]:
    """Yield what modules register when the parts import them."""
    for path in sorted(REPOSITORY.glob("services/*/__main__.py")):
        importlib.import_module(f"services.{path.parent.name}.__main__")
    importlib.import_module("services.dashboard.app")
    importlib.import_module("services.ingestion.http_endpoint")
    for name, module in sorted(sys.modules.items()):
        if name.startswith(("services.", "shared.")):
            yield from _of_module(name, module)


def _of_module(name: str, module: ModuleType) -> Iterator[MetricEntry]:
    for value in vars(module).values():
        # A module that imports a metric of another has it, too.
        if isinstance(value, MetricWrapperBase) and _is_defined_in(module, value):
            [metric] = value.describe()
            yield _entry(metric, value._labelnames, _parts_of(name))  # noqa: SLF001 - it tells nobody else


def _is_defined_in(module: ModuleType, metric: MetricWrapperBase) -> bool:
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    [described] = metric.describe()
    return f'"{described.name}"' in text


def _parts_of(module: str) -> str:
    if module.startswith("services.notifier.watchdog"):
        return "watchdog"
    if module.startswith("services."):
        return module.split(".")[1]
    return SHARED.get(module, EVERY_PART)


def _of_collectors() -> Iterator[MetricEntry]:
    """Yield what collectors make of Redis and the databases."""
    redis = Redis()
    database: Any = None  # only asked when they collect
    yield from _entries("ingestion", LogMetricsCollector(redis).describe())
    yield from _entries("ingestion", metric_families([], datetime.now(UTC), FORGOTTEN_AFTER))
    yield from _entries("dashboard", DashboardInfo("").collect())
    yield from _entries("dashboard", AlertMetricsCollector(database).describe())
    yield from _entries("dashboard", PositionMetricsCollector(database).describe())
    yield from _entries("jobs", SizeMetrics({}).describe())
    yield from _entries("jobs", QueueLength(redis).describe())
    with tempfile.TemporaryDirectory() as folder:
        yield from _entries("jobs", BackupMetrics(Path(folder)).collect())
    yield from _entries("watchdog", WatchdogMetrics(lambda: WatchdogVerdict({}, 0)).collect())
    yield from _entries(EVERY_PART, BuildInfo().collect())
    yield from _entries(EVERY_PART, PROCESS_COLLECTOR.collect())


def _entries(parts: str, metrics: Iterable[Metric]) -> Iterator[MetricEntry]:
    for metric in metrics:
        own = metric.label_names if isinstance(metric, GaugeLines) else getattr(metric, "_labelnames", ())
        yield _entry(metric, own, parts)


def _entry(metric: Metric, labels: Sequence[str], parts: str) -> MetricEntry:
    name = metric.name + SUFFIX.get(metric.type, "")
    return MetricEntry(name, metric.type, tuple(sorted(labels)), parts, metric.documentation)


def reference() -> str:
    """Return the page."""
    rows = (
        (f"`{one.name}`", one.kind, ", ".join(f"`{name}`" for name in one.labels), one.parts, one.meaning)
        for one in metric_entries()
    )
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + TAIL


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference(), encoding="utf-8")

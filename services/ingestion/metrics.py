"""What Prometheus sees of the bots: the latest records from Redis, the same whichever worker answers."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime import clock
from shared.runtime.log import RecordLog
from shared.runtime.read_back import announced_alerts, read_back
from shared.runtime.trim import FORGOTTEN_AFTER
from shared.schema import records, streams
from shared.schema.alerts import SEVERITIES
from shared.schema.definitions import DEFINITIONS
from shared.schema.units import Figure, figures

LABELS = {"accepted": 2, "rejected": 1, "clamped": 1}
"""The counters, and how many labels each has."""


class WhileRedisAnswers(Collector):
    """Another collector's metrics, and none while Redis is away: the rule on that asks for their absence."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        """Return all of the other's metrics or none."""
        try:
            return list(self._collector.collect())
        except RedisError:
            return []


class LatestFigures(Collector):
    """Gauges of the latest record per bot and host; undefined figures have no sample."""

    def __init__(self, redis: Redis, now: clock.Clock = clock.now) -> None:
        self._log = RecordLog(redis)
        self._now = now

    def collect(self) -> Iterable[Metric]:
        """Read the latest records and turn them into metric families."""
        return render(self._log.latest().values(), self._now())


def render(latest: Iterable[records.AnyRecord], now: datetime) -> Iterator[Metric]:
    """Make the metric families of `latest`, in base units."""
    known = [record for record in latest if now - record.at <= FORGOTTEN_AFTER]
    performance = [(r, [r.bot, r.source]) for r in known if isinstance(r, records.Performance)]
    yield from _gauges("botwatch_bot", figures(records.Performance), ["bot", "source"], performance)
    equity = [(r, [r.bot]) for r in known if isinstance(r, records.Equity)]
    worth = next(figure for figure in figures(records.Equity) if figure.wire == "equity")
    yield from _gauges("botwatch_bot", [worth], ["bot"], equity)
    health = [(r, [r.host]) for r in known if isinstance(r, records.Health)]
    yield from _gauges("botwatch_host", figures(records.Health), ["host"], health)
    yield from _checks([record for record in known if isinstance(record, records.Check)])
    metrics = GaugeMetricFamily(
        "botwatch_bot_metric", "Latest value of a metric record.", labels=["bot", "name", "unit"]
    )
    seen = GaugeMetricFamily(
        "botwatch_bot_last_record_timestamp_seconds", "Time of the latest record.", labels=["bot", "kind"]
    )
    for record in known:
        if isinstance(record, records.Metric):
            metrics.add_metric([record.bot, record.name, record.unit], record.value)
        elif isinstance(record, records.BotRecord):
            kind = "computed" if getattr(record, "source", "") == "computed" else record.kind
            seen.add_metric([record.bot, kind], record.at.timestamp())
    yield metrics
    yield seen


def _checks(known: Iterable[records.Check]) -> Iterator[Metric]:
    labels = ["host", "check", "type"]
    checks = [(check, [check.host, check.check, check.type]) for check in known]
    yield from _gauges("botwatch_check", figures(records.Check), labels, checks)
    state = GaugeMetricFamily(
        "botwatch_check_state", "0 ok, 1 warning, 2 critical; none while it is unknown.", labels=labels
    )
    for check, values in checks:
        if check.state is not None:
            state.add_metric(values, check.state)
    yield state


def _gauges(
    prefix: str,
    wanted: Iterable[Figure],
    labels: list[str],
    latest: Iterable[tuple[records.AnyRecord, list[str]]],
) -> Iterator[Metric]:
    latest = list(latest)
    for figure in wanted:
        meaning = f" {DEFINITIONS[figure.wire].text}" if figure.wire in DEFINITIONS else ""
        text = f"Latest {figure.wire} ({figure.unit.name} on the wire).{meaning}"
        name = figure.prometheus.removeprefix("check_")  # `botwatch_check` says it already
        family = GaugeMetricFamily(f"{prefix}_{name}", text, labels=labels)
        for record, values in latest:
            value = getattr(record, figure.attribute)
            if value is not None:
                family.add_metric(values, value * figure.unit.factor)
        yield family


class LogState(Collector):
    """Counts at the doors, length and readers of the log, open alerts; all from Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._log = RecordLog(redis)

    def collect(self) -> Iterator[Metric]:
        """Read Redis and turn it into metric families."""
        yield from self._counters()
        yield from self._readers()
        yield self._alerts()

    def _counters(self) -> Iterator[Metric]:
        accepted = CounterMetricFamily(
            "botwatch_records_accepted", "Records that entered the log.", labels=["kind", "door"]
        )
        rejected = CounterMetricFamily("botwatch_records_rejected", "Records refused.", labels=["door"])
        clamped = CounterMetricFamily(
            "botwatch_records_clamped",
            "Records dated in the future, kept as of their arrival.",
            labels=["door"],
        )
        families = {"accepted": accepted, "rejected": rejected, "clamped": clamped}
        counters = cast("dict[bytes, bytes]", self._redis.hgetall(streams.COUNTERS))
        for field, count in counters.items():
            if counted := read_back(streams.COUNTERS, partial(_counted, field, count)):
                name, labels, number = counted
                families[name].add_metric(labels, number)
        yield from families.values()

    def _readers(self) -> Iterator[Metric]:
        entries = self._redis.xlen(self._log.stream)
        yield GaugeMetricFamily("botwatch_log_entries", "Entries in the log.", value=entries)
        lag = GaugeMetricFamily(
            "botwatch_log_group_lag", "Entries that a group has not been given.", labels=["group"]
        )
        pending = GaugeMetricFamily(
            "botwatch_log_group_pending", "Entries that a group has not acknowledged.", labels=["group"]
        )
        groups = self._redis.xinfo_groups(self._log.stream) if self._redis.exists(self._log.stream) else []
        for group in groups:
            name = [group["name"].decode(errors="replace")]
            if group["lag"] is not None:  # Redis does not always know it
                lag.add_metric(name, group["lag"])
            pending.add_metric(name, group["pending"])
        yield lag
        yield pending

    def _alerts(self) -> Metric:
        found = cast("list[bytes]", self._redis.hvals(streams.ALERTS_OPEN))
        severities = [alert.severity for alert in announced_alerts(found)]
        family = GaugeMetricFamily("botwatch_alerts_open", "Alerts not resolved.", labels=["severity"])
        for severity in SEVERITIES:
            family.add_metric([severity], severities.count(severity))
        return family


def _counted(field: bytes, count: bytes) -> tuple[str, list[str], int]:
    """Read a counter: `accepted|kind|endpoint` or `rejected|endpoint`, and a whole number."""
    name, *labels = field.decode().split("|")
    if len(labels) != LABELS[name]:
        raise ValueError(f"expected {LABELS[name]} labels after {name}, got {labels}")
    return name, labels, int(count)

"""Export the latest records to Prometheus, from Redis, so that every worker returns the same."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError

from shared.runtime import clock
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.latest_values import subject_key
from shared.runtime.redis.log_trim import FORGOTTEN_AFTER
from shared.runtime.redis.record_log import RecordLog
from shared.schema import records, redis_keys
from shared.schema.metric_definitions import DEFINITIONS
from shared.schema.units import MetricField, metric_fields

LABELS = {"accepted": 2, "rejected": 1, "clamped": 1, "evicted": 1, redis_keys.REFUSED_BOTS: 0}
"""The counters, and how many labels each has."""


class RedisDependentCollector(Collector):
    """Export another collector's metrics, and none while Redis is down: an alert rule tests their absence."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        """Return all metrics of the other collector, or none."""
        try:
            return list(self._collector.collect())
        except RedisError:
            return []


class LatestMetricsCollector(Collector):
    """Gauges of the latest record per bot and host; undefined metrics have no sample."""

    def __init__(self, redis: Redis, stale_seconds: float, now: clock.Clock = clock.now) -> None:
        self._log = RecordLog(redis)
        self._stale = timedelta(seconds=stale_seconds)
        self._now = now

    def collect(self) -> Iterable[Metric]:
        """Read the latest records and turn them into metric families."""
        return metric_families(self._log.latest().values(), self._now(), self._stale)


def metric_families(latest: Iterable[records.AnyRecord], now: datetime, stale: timedelta) -> Iterator[Metric]:
    """Build the metric families of `latest`, in base units.

    A bot or host that has not reported for `stale` has only the time of its latest record: metrics that no
    longer change would look current.
    """
    everything = [record for record in latest if now - record.at <= FORGOTTEN_AFTER]
    fresh = {subject_key(record) for record in everything if now - record.at <= stale}
    known = [record for record in everything if subject_key(record) in fresh]
    performance = [(r, [r.bot, r.source]) for r in known if isinstance(r, records.Performance)]
    yield from _gauges("botwatch_bot", metric_fields(records.Performance), ["bot", "source"], performance)
    equity = [(r, [r.bot]) for r in known if isinstance(r, records.Equity)]
    worth = next(figure for figure in metric_fields(records.Equity) if figure.wire == "equity")
    yield from _gauges("botwatch_bot", [worth], ["bot"], equity)
    health = [(r, [r.host]) for r in known if isinstance(r, records.Health)]
    yield from _gauges("botwatch_host", metric_fields(records.Health), ["host"], health)
    yield from _checks([record for record in known if isinstance(record, records.Check)])
    yield _metrics([record for record in known if isinstance(record, records.Metric)])
    yield _last_seen(everything)


def _metrics(known: Iterable[records.Metric]) -> Metric:
    """Return the values of metric records with their labels; a reserved name gets the prefix `label_`."""
    own = ["bot", "name", "unit"]
    family = GaugeMetricFamily("botwatch_bot_metric", "Latest value of a metric record.", labels=own)
    for record in known:
        labels = {
            f"label_{name}" if name in own or name.startswith("__") else name: value
            for name, value in record.labels.items()
        }
        labels |= {"bot": record.bot, "name": record.name, "unit": record.unit}
        family.add_sample("botwatch_bot_metric", labels, record.value)
    return family


def _last_seen(known: Iterable[records.AnyRecord]) -> Metric:
    seen = GaugeMetricFamily(
        "botwatch_bot_last_record_timestamp_seconds", "Time of the latest record.", labels=["bot", "kind"]
    )
    for record in known:
        if isinstance(record, records.BotRecord) and not isinstance(record, records.Metric):
            kind = "computed" if getattr(record, "source", "") == "computed" else record.kind
            seen.add_metric([record.bot, kind], record.at.timestamp())
    return seen


def _checks(known: Iterable[records.Check]) -> Iterator[Metric]:
    labels = ["host", "check", "type"]
    checks = [(check, [check.host, check.check, check.type]) for check in known]
    yield from _gauges("botwatch_check", metric_fields(records.Check), labels, checks)
    state = GaugeMetricFamily(
        "botwatch_check_state", "0 ok, 1 warning, 2 critical; none while it is unknown.", labels=labels
    )
    for check, values in checks:
        if check.state is not None:
            state.add_metric(values, check.state)
    yield state


def _gauges(
    prefix: str,
    wanted: Iterable[MetricField],
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


class LogMetricsCollector(Collector):
    """Counters of ingestion, length and readers of the log, number of bots and hosts; all from Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._log = RecordLog(redis)

    def collect(self) -> Iterator[Metric]:
        """Read Redis and build the metric families."""
        yield from self._counters()
        yield from self._readers()
        for kind, key in (("bots", redis_keys.BOTS), ("hosts", redis_keys.HOSTS)):
            text = f"Number of {kind} that count towards MAX_BOTS."
            yield GaugeMetricFamily(f"botwatch_{kind}", text, value=self._redis.zcard(key))

    def _counters(self) -> Iterator[Metric]:
        accepted = CounterMetricFamily(
            "botwatch_records_accepted", "Records accepted into the log.", labels=["kind", "door"]
        )
        rejected = CounterMetricFamily("botwatch_records_rejected", "Records rejected.", labels=["door"])
        clamped = CounterMetricFamily(
            "botwatch_records_clamped",
            "Records with a timestamp in the future, replaced by the arrival time.",
            labels=["door"],
        )
        evicted = CounterMetricFamily("botwatch_latest_evicted", "Latest values evicted.", labels=["limit"])
        refused = CounterMetricFamily(
            "botwatch_records_refused_bots", "Records rejected because of MAX_BOTS."
        )
        families = {
            "accepted": accepted,
            "rejected": rejected,
            "clamped": clamped,
            "evicted": evicted,
            redis_keys.REFUSED_BOTS: refused,
        }
        counters = cast("dict[bytes, bytes]", self._redis.hgetall(redis_keys.COUNTERS))
        for field, count in counters.items():
            if counted := decode_or_none(redis_keys.COUNTERS, partial(_parse_counter, field, count)):
                name, labels, number = counted
                families[name].add_metric(labels, number)
        yield from families.values()

    def _readers(self) -> Iterator[Metric]:
        entries = self._redis.xlen(self._log.stream)
        yield GaugeMetricFamily("botwatch_log_entries", "Entries in the log.", value=entries)
        lag = GaugeMetricFamily(
            "botwatch_log_group_lag", "Entries not yet delivered to a group.", labels=["group"]
        )
        pending = GaugeMetricFamily(
            "botwatch_log_group_pending", "Entries delivered to a group and not acked.", labels=["group"]
        )
        groups = self._redis.xinfo_groups(self._log.stream) if self._redis.exists(self._log.stream) else []
        for group in groups:
            name = [group["name"].decode(errors="replace")]
            if group["lag"] is not None:  # Redis does not always know it
                lag.add_metric(name, group["lag"])
            pending.add_metric(name, group["pending"])
        yield lag
        yield pending


def _parse_counter(field: bytes, count: bytes) -> tuple[str, list[str], int]:
    """Parse a counter: its name, its labels, and its value."""
    name, *labels = field.decode().split("|")
    if len(labels) != LABELS[name]:
        raise ValueError(f"expected {LABELS[name]} labels after {name}, got {labels}")
    return name, labels, int(count)

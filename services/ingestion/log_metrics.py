"""Counters of ingestion and the state of the log, from Redis, so that every worker returns the same."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis

from shared.runtime.redis import event_counts
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.record_log import RecordLog, StreamEntry
from shared.schema import redis_keys
from shared.schema.stream_ids import split_id

LABELS = {"accepted": 2, "rejected": 1, "clamped": 1, "evicted": 1, redis_keys.REFUSED_BOTS: 0}
"""The counters, and how many labels each has."""
EVENTS = event_counts.PREFIX.encode()
"""Counters with the name of a bot, which `LatestMetricsCollector` exports."""


class LogMetricsCollector(Collector):
    """Counters of ingestion, length and readers of the log, number of bots and hosts."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._log = RecordLog(redis)

    def describe(self) -> list[Metric]:
        """Return the families without samples: registering must not need Redis."""
        return [*_counter_families().values(), *_reader_families(), *_subject_families()]

    def collect(self) -> Iterator[Metric]:
        """Read Redis and build the metric families."""
        yield from self._counters()
        yield from self._readers()
        for family, key in zip(_subject_families(), (redis_keys.BOTS, redis_keys.HOSTS), strict=True):
            family.add_metric([], self._redis.zcard(key))
            yield family

    def _counters(self) -> Iterable[Metric]:
        families = _counter_families()
        counters = cast("dict[bytes, bytes]", self._redis.hgetall(redis_keys.COUNTERS))
        for field, count in counters.items():
            if field.startswith(EVENTS):
                continue
            if counted := decode_or_none(redis_keys.COUNTERS, partial(_parse_counter, field, count)):
                name, labels, number = counted
                families[name].add_metric(labels, number)
        return families.values()

    def _readers(self) -> Iterable[Metric]:
        length, lag, pending, seconds = families = _reader_families()
        length.add_metric([], self._redis.xlen(self._log.stream))
        groups = self._redis.xinfo_groups(self._log.stream) if self._redis.exists(self._log.stream) else []
        for group in groups:
            name = [group["name"].decode(errors="replace")]
            if group["lag"] is not None:  # Redis does not always know it
                lag.add_metric(name, group["lag"])
            pending.add_metric(name, group["pending"])
            seconds.add_metric(name, self._oldest_age_s(group))
        return families

    def _oldest_age_s(self, group: Mapping[str, Any]) -> float:
        """Return the age of the oldest entry that a group has not acked, delivered or not; 0 without one."""
        oldest = self._redis.xpending(self._log.stream, group["name"])["min"] if group["pending"] else None
        if oldest is None:
            after = f"({group['last-delivered-id'].decode()}"
            following = cast("list[StreamEntry]", self._redis.xrange(self._log.stream, min=after, count=1))
            oldest = following[0][0] if following else None
        return max(0, self._log.clock.now_ms() - split_id(oldest.decode())[0]) / 1000 if oldest else 0.0


def _counter_families() -> dict[str, CounterMetricFamily]:
    return {
        "accepted": CounterMetricFamily(
            "botwatch_records_accepted", "Records accepted into the log.", labels=["kind", "door"]
        ),
        "rejected": CounterMetricFamily("botwatch_records_rejected", "Records rejected.", labels=["door"]),
        "clamped": CounterMetricFamily(
            "botwatch_records_clamped",
            "Records with a timestamp in the future, replaced by the arrival time.",
            labels=["door"],
        ),
        "evicted": CounterMetricFamily("botwatch_latest_evicted", "Latest values evicted.", labels=["limit"]),
        redis_keys.REFUSED_BOTS: CounterMetricFamily(
            "botwatch_records_refused_bots", "Records rejected because of MAX_BOTS.", labels=[]
        ),
    }


def _reader_families() -> tuple[GaugeMetricFamily, ...]:
    labels = ["group"]
    return (
        GaugeMetricFamily("botwatch_log_entries", "Entries in the log.", labels=[]),
        GaugeMetricFamily("botwatch_log_group_lag", "Entries not yet delivered to a group.", labels=labels),
        GaugeMetricFamily(
            "botwatch_log_group_pending", "Entries delivered to a group and not acked.", labels=labels
        ),
        GaugeMetricFamily(
            "botwatch_log_group_lag_seconds",
            "Age of the oldest entry that a group has not acked; 0 without one.",
            labels=labels,
        ),
    )


def _subject_families() -> tuple[GaugeMetricFamily, ...]:
    return tuple(
        GaugeMetricFamily(f"botwatch_{kind}", f"Number of {kind} that count towards MAX_BOTS.", labels=[])
        for kind in ("bots", "hosts")
    )


def _parse_counter(field: bytes, count: bytes) -> tuple[str, list[str], int]:
    """Parse a counter: its name, its labels, and its value."""
    name, *labels = field.decode().split("|")
    if len(labels) != LABELS[name]:
        raise ValueError(f"expected {LABELS[name]} labels after {name}, got {labels}")
    return name, labels, int(count)

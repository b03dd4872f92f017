"""The log on Prometheus: how far behind its readers are, in seconds; and the counts of events."""

from datetime import timedelta

from prometheus_client import CollectorRegistry
from redis import Redis

from services.ingestion.log_metrics import LogMetricsCollector
from services.ingestion.prometheus_exporter import LatestMetricsCollector
from shared.runtime import clock
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogReader, ensure_group
from shared.schema import redis_keys
from shared.schema.records import Equity, Event
from tests.support import wait_until


def samples(redis: Redis) -> dict[str, float]:
    """Return the samples of counters and of the log."""
    registry = CollectorRegistry()
    registry.register(LogMetricsCollector(redis))
    registry.register(LatestMetricsCollector(redis, stale_seconds=300))
    return {
        f"{sample.name} {' '.join(sample.labels.values())}".strip(): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def lag(redis: Redis) -> float:
    return samples(redis)["botwatch_log_group_lag_seconds g"]


def test_the_lag_is_the_age_of_the_oldest_entry_that_is_not_acked(redis: Redis) -> None:
    """An entry counts before it is delivered and until it is acked; then the lag is 0."""
    log = RecordLog(redis)
    ensure_group(redis, log.stream, "g")
    assert lag(redis) == 0
    redis.execute_command("XADD", log.stream, f"{log.clock.now_ms() - 60_000}-1", "data", "x")  # type: ignore[no-untyped-call]
    log.append([Equity(bot="a", equity=1, timestamp=clock.now())], "http")
    assert 60 <= lag(redis) < 90
    reader = LogReader(log, "g", batch=10)
    old, new = reader.read()
    assert 60 <= lag(redis) < 90
    reader.ack([old])
    assert lag(redis) < 30
    reader.ack([new])
    wait_until(lambda: lag(redis) == 0, "all is acked")


def test_events_count_by_bot_and_level_until_the_bot_is_forgotten(redis: Redis) -> None:
    """The names of bots may contain the separator; a retired bot leaves no counter behind."""
    log, now = RecordLog(redis), clock.now()
    said = [Event(bot="a|b", level="error", title=str(n), timestamp=now, id=str(n)) for n in range(2)]
    log.append([*said, Event(bot="c", title="x", timestamp=now)], "http")
    found = {name: value for name, value in samples(redis).items() if "bot_events" in name}
    assert found == {"botwatch_bot_events_total a|b error": 2, "botwatch_bot_events_total c info": 1}
    log.forget("a|b")
    log.evict_latest(now - timedelta(days=1))
    assert redis.hexists(redis_keys.COUNTERS, "event|info|c")
    assert not redis.hexists(redis_keys.COUNTERS, "event|error|a|b")

"""The watchdog beat on its way through the log and the evaluator."""

import threading
from typing import cast

import msgspec
from redis import Redis
from sqlalchemy import select

from services.broadcaster.encoding import decode_record_entry
from services.evaluator.evaluator import Evaluator
from services.recorder.recorder import split_by_database
from shared.runtime import clock
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.record_log import RecordLog, StreamEntry
from shared.runtime.redis.stream_reader import LogReader
from shared.schema import redis_keys
from shared.schema.records import Health, decode_frame
from shared.schema.watchdog import WATCHDOG
from shared.store import alerts as store
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import alert_events, health_metrics


def enter(redis: Redis, beat: int) -> None:
    """Beat as the watchdog does."""
    redis.xadd(redis_keys.record_stream(), {redis_keys.FIELD: b"[]", redis_keys.BEAT: str(beat)})


def evaluator(redis: Redis, health: Database) -> Evaluator:
    log = RecordLog(redis)
    begun = Evaluator(log, health, [], "http://page", threading.Event(), log.clock.now_ms)
    begun.start()
    return begun


def beats(health: Database) -> list[float]:
    with health.read() as connection:
        notices = connection.execute(
            select(alert_events.c.notice)
            .where(alert_events.c.alertId == WATCHDOG)
            .order_by(alert_events.c.id)
        ).scalars()
        return [msgspec.json.decode(one)["details"]["value"] for one in notices]


def test_each_beat_is_put_on_the_timeline_of_the_alert_that_always_fires(
    redis: Redis, health: Database
) -> None:
    one = evaluator(redis, health)
    enter(redis, 1000)
    one.step()
    enter(redis, 1005)
    one.step()
    assert beats(health) == [1000, 1005]


def test_of_beats_that_waited_the_newest_is_passed_on(redis: Redis, health: Database) -> None:
    one = evaluator(redis, health)
    for beat in (1000, 1005, 1010):
        enter(redis, beat)
    one.step()
    assert beats(health) == [1010]


def test_the_beat_is_in_no_list_of_alerts_and_is_announced_to_nobody(redis: Redis, health: Database) -> None:
    announcer = AlertStreamPublisher(redis, health)
    one = evaluator(redis, health)
    for beat in range(1000, 1050, 5):
        enter(redis, beat)
        one.step()
    announcer.publish()
    with health.read() as connection:
        assert store.open_alerts(connection) == []
        assert store.list_alerts(connection, limit=10) == []
    assert redis.xlen(redis_keys.ALERTS) == 0
    assert redis.hlen(redis_keys.ALERTS_OPEN) == 0
    announcer.refresh([])
    redis.delete(redis_keys.ALERTS_CURSOR)
    announcer.publish()
    assert redis.hlen(redis_keys.ALERTS_OPEN) == 0


def test_the_beat_is_no_record_of_any_bot(redis: Redis) -> None:
    """It is no row, no message to WebSocket clients, no latest value (which page and metrics show)."""
    log = RecordLog(redis)
    reader = LogReader(log, redis_keys.RECORDER_GROUP, batch=10)
    enter(redis, 1000)
    (entry,) = reader.read()
    performance, health = split_by_database([entry], "0-0", "0-0")
    assert (performance.records, health.records) == ([], [])
    assert performance.position == entry.id
    ((entry_id, fields),) = cast("list[StreamEntry]", redis.xrange(log.stream))
    assert decode_frame(fields[redis_keys.FIELD]) == []
    assert decode_record_entry(entry_id.decode(), fields[redis_keys.FIELD]) == []
    assert redis.hlen(redis_keys.LATEST) == redis.hlen(redis_keys.COUNTERS) == 0


def test_an_entry_whose_beat_is_garbage_stops_nothing(redis: Redis, health: Database) -> None:
    one = evaluator(redis, health)
    redis.xadd(redis_keys.record_stream(), {redis_keys.FIELD: b"[]", redis_keys.BEAT: b"NaN"})
    enter(redis, 1000)
    one.step()
    assert beats(health) == [1000]


def test_the_beat_is_not_counted_in_active_alerts_of_health_records(redis: Redis, health: Database) -> None:
    one = evaluator(redis, health)
    enter(redis, 1000)
    one.step()
    with health.write() as connection:
        insert_records(connection, [Health(host="box", timestamp=clock.now())])
    with health.read() as connection:
        assert connection.execute(select(health_metrics.c.activeAlerts)).scalar() == 0

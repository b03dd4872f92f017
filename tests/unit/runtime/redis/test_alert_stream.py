"""Announcing: every event once and in order, whoever is killed in between."""

from datetime import UTC, datetime
from typing import cast

import msgspec
from redis import Redis

from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.record_log import StreamEntry
from shared.schema import redis_keys
from shared.schema.alerts import Alert, AlertMessage, Details
from shared.store.alert_changes import acknowledge
from shared.store.alerts import add_event, insert_alert
from shared.store.database import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def opened(database: Database, name: str) -> Alert:
    alert = Alert(
        id=name, timestamp=NOON, severity="HIGH", category="PERFORMANCE", component="a", message="m",
        status="ACTIVE", fingerprint=name, updated_at=NOON,
        details=Details(rule="r", bot="a", metric="m", value=1.0, operator=">", threshold=0.0),
    )  # fmt: skip
    with database.write() as connection:
        insert_alert(connection, alert)
        add_event(connection, alert, "opened", NOON)
    return alert


def announced(redis: Redis) -> list[tuple[str, str]]:
    entries = cast("list[StreamEntry]", redis.xrange(redis_keys.ALERTS))
    messages = [msgspec.json.decode(fields[redis_keys.FIELD], type=AlertMessage) for _, fields in entries]
    return [(message.alert.id, message.change) for message in messages]


def test_events_are_announced_once_in_order(redis: Redis, health: Database) -> None:
    announcer = AlertStreamPublisher(redis, health)
    announcer.publish()
    opened(health, "1")
    opened(health, "2")
    with health.write() as connection:
        acknowledge(connection, "1", "ann", None, NOON)
    assert announcer.publish() == 3
    assert AlertStreamPublisher(redis, health).publish() == 0
    assert announced(redis) == [("1", "opened"), ("2", "opened"), ("1", "acknowledged")]


def test_what_a_killed_process_left_unsaid_is_said_by_the_next(redis: Redis, health: Database) -> None:
    AlertStreamPublisher(redis, health).publish()
    opened(health, "1")
    assert announced(redis) == []
    AlertStreamPublisher(redis, health).publish()
    assert announced(redis) == [("1", "opened")]


def test_a_redis_that_lost_its_data_learns_the_open_alerts_again(redis: Redis, health: Database) -> None:
    announcer = AlertStreamPublisher(redis, health)
    opened(health, "1")
    announcer.publish()
    redis.flushall()
    announcer.publish()
    assert redis.hkeys(redis_keys.ALERTS_OPEN) == [b"1"]
    assert announced(redis) == []


def test_a_new_value_is_shown_without_an_event(redis: Redis, health: Database) -> None:
    announcer = AlertStreamPublisher(redis, health)
    announcer.publish()
    alert = opened(health, "1")
    announcer.publish()
    alert.details.value = 9.0
    announcer.refresh([alert])
    shown = redis.hget(redis_keys.ALERTS_OPEN, "1")
    assert shown is not None
    assert msgspec.json.decode(shown, type=Alert).details.value == 9.0
    assert announced(redis)[-1] == ("1", "updated")


def test_a_restored_store_is_published_from_its_current_state(redis: Redis, health: Database) -> None:
    redis.set(redis_keys.ALERTS_CURSOR, 1000)
    redis.hset(redis_keys.ALERTS_OPEN, "gone", "{}")
    opened(health, "1")
    announcer = AlertStreamPublisher(redis, health)
    announcer.publish()
    assert redis.hkeys(redis_keys.ALERTS_OPEN) == [b"1"]
    opened(health, "2")
    assert announcer.publish() == 1

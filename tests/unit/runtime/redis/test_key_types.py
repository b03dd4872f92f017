"""Keys of a type that they cannot have are moved out of the way, and nothing is half done until then."""

import pytest
from prometheus_client import REGISTRY
from redis import Redis
from structlog.testing import capture_logs

from shared.runtime import clock
from shared.runtime.redis.alert_stream import AlertStreamPublisher
from shared.runtime.redis.connection import WrongTypeError
from shared.runtime.redis.key_types import KeyTypes
from shared.runtime.redis.record_log import AckedSource, RecordLog
from shared.runtime.redis.stream_reader import ensure_group
from shared.schema import redis_keys
from shared.schema.records import Equity
from shared.store.database import Database
from tests.unit.dashboard.sample_data import make_alert, store_open_alert


def spoil(redis: Redis, key: str) -> None:
    """Put a value of another type there."""
    redis.delete(key)
    if redis_keys.TYPES.get(key) == "string":
        redis.rpush(key, "x")
    else:
        redis.set(key, "x")


def point() -> Equity:
    return Equity(bot="a", equity=1.0, timestamp=clock.now())


def test_the_type_of_every_key_is_known() -> None:
    """Who adds a key says of which type it is."""
    names = {value for name, value in vars(redis_keys).items() if name.isupper() and isinstance(value, str)}
    others = {
        redis_keys.PREFIX,
        redis_keys.BOT_CHANNEL,
        redis_keys.BOT_GROUP,
        redis_keys.MISPLACED,
        redis_keys.REFUSED_BOTS,
    }
    others |= {redis_keys.RECORDER_GROUP, redis_keys.EVALUATOR_GROUP}
    assert {*names, redis_keys.record_stream()} - others == set(redis_keys.TYPES)


@pytest.mark.parametrize("key", redis_keys.TYPES)
def test_a_key_of_the_wrong_type_is_moved_counted_and_logged_once(redis: Redis, key: str) -> None:
    """What stood there is kept for a week, and others are left alone."""
    types = KeyTypes(redis)
    redis.set("other", "x")
    labels = {"key": key}
    before = REGISTRY.get_sample_value("botwatch_redis_unreadable_total", labels) or 0
    with capture_logs() as lines:
        for _ in range(2):
            spoil(redis, key)
            types.repair()
            types.repair()
    assert sorted(redis.keys()) == sorted([f"botwatch:wrong-type:{key}".encode(), b"other"])
    assert 0 < redis.ttl(f"botwatch:wrong-type:{key}") <= 7 * 86_400
    assert [(line["key"], line["moved_to"]) for line in lines] == [(key, f"botwatch:wrong-type:{key}")]
    assert REGISTRY.get_sample_value("botwatch_redis_unreadable_total", labels) == before + 2


@pytest.mark.parametrize(
    "key", [redis_keys.LATEST, redis_keys.COUNTERS, redis_keys.BOTS, redis_keys.HOSTS, redis_keys.BOT_STREAM]
)
def test_an_append_with_a_key_of_the_wrong_type_changes_nothing(redis: Redis, key: str) -> None:
    """A request that failed may be sent again: none of it may be in the log already."""
    spoil(redis, key)
    log = RecordLog(redis)
    source = AckedSource(redis_keys.BOT_STREAM, redis_keys.BOT_GROUP, ["1-1"])
    with pytest.raises(WrongTypeError):
        log.append([point()], "test", source)
    assert redis.xlen(log.stream) == 0
    KeyTypes(redis).repair()
    if key == redis_keys.BOT_STREAM:
        ensure_group(redis, redis_keys.BOT_STREAM, redis_keys.BOT_GROUP)
    log.append([point()], "test", source)
    assert redis.xlen(log.stream) == 1


def test_an_index_of_the_wrong_type_is_made_again(redis: Redis) -> None:
    """It keeps no record of its bot out, at the start, when it is forgotten, nor later."""
    log, index = RecordLog(redis), f"{redis_keys.LATEST}:bot|a"
    for act in (lambda: log.append([point()], "test"), log.reindex_latest, lambda: log.forget("a")):
        redis.set(index, "x")
        act()
    log.append([point()], "test")
    assert redis.type(index) == b"zset"


@pytest.mark.parametrize("key", [redis_keys.ALERTS, redis_keys.ALERTS_OPEN])
def test_an_alert_is_announced_once(redis: Redis, health: Database, key: str) -> None:
    """What cannot be announced in whole is not announced in part, again and again."""
    publisher = AlertStreamPublisher(redis, health)
    publisher.publish()
    store_open_alert(health, make_alert(1))
    spoil(redis, key)
    for _ in range(3):
        with pytest.raises(WrongTypeError):
            publisher.publish()
    KeyTypes(redis).repair()
    publisher.publish()
    assert redis.hkeys(redis_keys.ALERTS_OPEN) == [b"alert-1"]
    assert redis.xlen(redis_keys.ALERTS) <= 1

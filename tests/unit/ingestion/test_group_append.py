"""Group append: concurrent requests share an entry of the log, and nothing else."""

import asyncio
from collections.abc import Sequence

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from services.ingestion.group_append import MAX_RECORDS, GroupAppend
from shared.runtime import clock
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog, TooManyBotsError
from shared.runtime.redis.stream_reader import LogReader
from shared.schema.records import AnyRecord, Equity
from tests.support import free_port


def equity(bot: str, count: int = 1) -> list[AnyRecord]:
    """Return records of a bot."""
    return [Equity(bot=bot, equity=float(number), timestamp=clock.now()) for number in range(count)]


def append_all(log: RecordLog, requests: Sequence[list[AnyRecord]]) -> list[str | BaseException]:
    """Append what concurrent requests have, and return what each got."""

    async def run() -> list[str | BaseException]:
        append = GroupAppend(log, "http")
        return await asyncio.gather(*map(append.append, requests), return_exceptions=True)

    return asyncio.run(run())


def entries(redis: Redis) -> list[list[str]]:
    """Return the bots of each entry of the log."""
    found = LogReader(RecordLog(redis), "test", batch=1000).read(block_ms=1)
    return [[record.subject for record in entry.records] for entry in found]


def test_what_arrives_during_an_append_is_the_next_entry(redis: Redis) -> None:
    """The first is appended at once; the others wait for it together, in their order."""
    answers = append_all(RecordLog(redis), [equity("a"), equity("b", 2), equity("c")])
    assert entries(redis) == [["a"], ["b", "b", "c"]] or entries(redis) == [["a", "b", "b", "c"]]
    assert answers[1] == answers[2]


def test_an_entry_is_bounded(redis: Redis) -> None:
    """A request is never divided."""
    append_all(RecordLog(redis), [equity("a", MAX_RECORDS), equity("b", 3), equity("c", MAX_RECORDS)])
    assert [len(entry) for entry in entries(redis)] == [MAX_RECORDS, MAX_RECORDS + 3]


def test_a_bot_too_many_concerns_its_request_alone(redis: Redis) -> None:
    """The others of the group are appended; counters count each record once."""
    log = RecordLog(redis, max_bots=2)
    answers = append_all(log, [equity("a"), equity("b"), equity("third"), equity("a")])
    assert [type(answer) for answer in answers] == [str, str, TooManyBotsError, str]
    assert sorted(bot for entry in entries(redis) for bot in entry) == ["a", "a", "b"]


def test_every_request_of_a_group_gets_the_error() -> None:
    """None waits for ever while Redis is down."""
    log = RecordLog(connect_redis(f"redis://127.0.0.1:{free_port()}/0", call_timeout_s=0.5, retries=0))
    answers = append_all(log, [equity("a"), equity("b"), equity("c")])
    assert [type(answer) for answer in answers] == [RedisConnectionError] * 3


def test_a_client_that_goes_away_does_not_stop_the_others(redis: Redis) -> None:
    """What it sent is appended all the same, as it may have been before."""

    async def run() -> str:
        append = GroupAppend(RecordLog(redis), "http")
        first, gone, other = (asyncio.create_task(append.append(equity(bot))) for bot in "abc")
        await asyncio.sleep(0)
        gone.cancel()
        await first
        with pytest.raises(asyncio.CancelledError):
            await gone
        return await other

    assert asyncio.run(run())
    assert [bot for entry in entries(redis) for bot in entry] == ["a", "b", "c"]

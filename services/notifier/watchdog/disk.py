"""Full disk: detection and alert message, for the disks that Botwatch writes to."""

import os
import shutil
from pathlib import Path

from redis.exceptions import RedisError
from sqlalchemy.engine import make_url

from shared.runtime.redis.connection import CannotPersistError

MIN_FREE_BYTES = 8 * 2**20
"""With less free space SQLite may fail to write a transaction."""
MIB = 2**20
_DO = "Free space; Botwatch recovers by itself"


def describe_full_disk(database_url: str, refusal: RedisError | None) -> str | None:
    """Return the message about a full disk, of the SQLite database or of Redis; None if neither is full."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        folder = Path(url.database).parent
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return None  # the database has a check of its own
        if usage.free < MIN_FREE_BYTES:
            left = f"{usage.free / MIB:.1f} of {usage.total / MIB:,.0f} MiB free"
            return f"Disk full on {os.uname().nodename}: {folder}: {left}. {_DO}"
    if isinstance(refusal, CannotPersistError):
        return f"Disk full on the Redis host: {str(refusal).partition(' script: ')[0]}. {_DO}"
    return None

"""Log archive job: compresses the log files that supervisor has rotated, and deletes old archives.

Supervisor starts a new file at 10 MB and keeps the three before it. In containers logs go to standard error,
and the container engine rotates them: there is nothing to do.
"""

import gzip
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.jobs.context import JobContext

KEPT = timedelta(days=30)
COMPLETE_AFTER = timedelta(minutes=1)
"""A file that an operator compresses is complete when it has not changed for so long."""
MAX_BYTES = 200 * 2**20
"""Size of all archives together; the oldest go first."""


def archive_logs(context: JobContext) -> Mapping[str, int]:
    """Compress rotated log files into `logs/archive`; return how many were archived and deleted."""
    logs = context.home / "logs"
    rotated, compressed = sorted(logs.glob("*.log.[0-9]*")), sorted(logs.glob("*.log.gz"))
    archive = logs / "archive"
    if rotated or compressed:
        archive.mkdir(mode=0o750, exist_ok=True)
    for path in rotated:
        _archive_file(path, archive)
    moved = sum(_move_compressed(path, archive, context.now()) for path in compressed)
    return {"archived": len(rotated) + moved, "deleted": _delete_old(archive, context.now())}


def _move_compressed(path: Path, archive: Path, now: datetime) -> bool:
    """Move a log file that an operator has compressed, so that its name is free for the next time.

    gzip sets its time, the one of the last line, when it is complete; it is kept as long as one made here.
    """
    found = path.stat()
    if now.timestamp() - found.st_mtime < COMPLETE_AFTER.total_seconds():
        return False
    target = archive / _archive_name(path, found)
    os.utime(path, (now.timestamp(), now.timestamp()))
    path.replace(target)
    return True


def _archive_file(path: Path, archive: Path) -> None:
    """Compress one file under the time of its last line, then delete it.

    Supervisor may rename the file meanwhile: it is read through one descriptor, and deleted only if the path
    still means the same file. Otherwise it is archived again by the next run, under the same name.
    """
    try:
        source = path.open("rb")
    except FileNotFoundError:
        return
    with source:
        found = os.fstat(source.fileno())
        target = archive / _archive_name(path, found)
        partial = target.with_suffix(f".{os.getpid()}")
        try:
            with gzip.open(partial, "wb") as compressed:
                shutil.copyfileobj(source, compressed)
            os.utime(partial, (found.st_mtime, found.st_mtime))
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        if path.exists() and path.stat().st_ino == found.st_ino:
            path.unlink(missing_ok=True)


def _archive_name(path: Path, found: os.stat_result) -> str:
    moment = datetime.fromtimestamp(found.st_mtime, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{path.name.partition('.log')[0]}-{moment}-{found.st_ino}.log.gz"


def _delete_old(archive: Path, now: datetime) -> int:
    """Delete archives that are too old, and the oldest while all together are too large."""
    files = sorted(((path.stat(), path) for path in archive.glob("*.gz")), key=lambda pair: -pair[0].st_mtime)
    size, deleted = 0, 0
    for found, path in files:
        size += found.st_size
        if size > MAX_BYTES or now.timestamp() - found.st_mtime > KEPT.total_seconds():
            path.unlink(missing_ok=True)
            deleted += 1
    return deleted

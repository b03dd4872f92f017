"""Clean files job: deletes old files of `results` and `tmp/monitoring` in the home."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from services.jobs.context import JobContext

FOLDERS = ("results", "tmp/monitoring")
KEPT_APART = Path("results", "reports")
"""Reports have a retention of their own (`services/jobs/reports/job.py`)."""


def delete_old_files(context: JobContext) -> Mapping[str, int]:
    """Delete files that were not changed for FILE_RETENTION_DAYS; return their number and bytes.

    Links are neither followed nor deleted, so that nothing outside the folders is touched; folders stay.
    """
    days = context.settings.file_retention_days
    if not days:
        return {}
    limit = context.now().timestamp() - timedelta(days=days).total_seconds()
    sizes = {name: list(_delete_before(context.home / name, limit)) for name in FOLDERS}
    for name, deleted in sizes.items():
        if deleted:
            target = f"files of {name} older than {days} days"
            context.append_audit("files.delete", target, {"files": len(deleted), "bytes": sum(deleted)})
    return {"files": sum(map(len, sizes.values())), "bytes": sum(map(sum, sizes.values()))}


def _delete_before(root: Path, limit: float) -> Iterator[int]:
    """Delete the files under `root` that were last changed before `limit`; yield the size of each."""
    if not root.is_dir():
        return
    for path, _, names, folder in os.fwalk(root):
        if Path(path).is_relative_to(root.parent / KEPT_APART):
            continue
        for name in names:
            with suppress(FileNotFoundError):  # deleted meanwhile
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_mtime < limit:
                    os.unlink(name, dir_fd=folder)
                    yield found.st_size

"""The folder of backups while it is written: by one process at a time, without leftovers of a killed one."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from services.jobs.backups.errors import BackupError
from shared.runtime.backups import FOLDER, JOURNAL
from shared.schema.backups import id_of_file

LOCK = ".lock"
_WORK = ".work"
DOWNLOADS = ".download-"
"""Begins the name of a folder for a download; the process ID follows."""
STAGED = ".restoring"
"""Ends the name of a file that a restore is about to put in the place of the one without it."""
MARGIN_BYTES = 32 * 2**20


class Sources(NamedTuple):
    """What is backed up, and where it is restored."""

    home: Path
    config: Path
    """The folder of the config documents."""
    databases: dict[str, Path]
    """`performance` and `health`."""
    secrets_folder: Path | None = None
    """The folder of passwords and keys, if it is not `secrets` in the home: in compose it is a volume."""

    @property
    def secrets(self) -> Path:
        """The folder of passwords and keys."""
        return self.secrets_folder or self.home / "secrets"

    @property
    def folder(self) -> Path:
        """The folder of backups."""
        return self.home / FOLDER


@contextmanager
def locked_folder(sources: Sources) -> Iterator[Path]:
    """Yield an empty work folder inside the folder of backups, which only this process writes to.

    What a killed process left is deleted first. Raises BackupError if another process is at work.
    """
    folder = sources.folder
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(handle, 20, 0).decode(errors="replace") or "unknown"
            raise BackupError(
                f"another backup or restore is at work (process {holder}): try again when it has ended"
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        delete_leftovers(sources)
        work = folder / _WORK
        work.mkdir(mode=0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work)
    finally:
        os.close(handle)


def delete_leftovers(sources: Sources) -> None:
    """Delete what a killed process left: its work folder, temporary files, and notes without an archive."""
    folder = sources.folder
    shutil.rmtree(folder / _WORK, ignore_errors=True)
    archives = {id_of_file(path.name) for path in folder.iterdir()}
    for path in folder.iterdir():
        is_orphan = path.suffix == ".json" and path.stem not in archives and path.stem.startswith("botwatch-")
        is_partial = path.name.startswith(".botwatch-") or path.name.startswith(".restore.json")
        if is_orphan or is_partial:
            path.unlink(missing_ok=True)
        if path.name.startswith(DOWNLOADS) and path.name != f"{DOWNLOADS}{os.getpid()}":
            shutil.rmtree(path)
    if not (folder / JOURNAL).exists():  # with a journal they are about to be put in place
        for parent in {sources.home / "data", sources.secrets, *_parents(sources)}:
            for path in parent.rglob(f"*{STAGED}"):
                if os.access(path.parent, os.W_OK):  # the jobs part may only read the volume of secrets
                    path.unlink(missing_ok=True)


def _parents(sources: Sources) -> set[Path]:
    return {path.parent for path in sources.databases.values()}


def ensure_space(folder: Path, needed: int, what: str) -> None:
    """Raise BackupError unless `folder` has `needed` bytes free, and a margin."""
    free = shutil.disk_usage(folder).free
    if free < needed + MARGIN_BYTES:
        raise BackupError(
            f"not enough space for {what}: {folder} has {free / 2**20:,.0f} MiB free, "
            f"it needs about {(needed + MARGIN_BYTES) / 2**20:,.0f} MiB"
        )


def size_of(paths: Sequence[Path]) -> int:
    """Return the bytes of databases with their write-ahead logs."""
    files = [Path(f"{path}{suffix}") for path in paths for suffix in ("", "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())

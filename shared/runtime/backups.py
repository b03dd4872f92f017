"""The folder of backups: an archive each, and beside it a JSON file with what is known of it.

Who only looks (the page, metrics, the watchdog) reads the JSON files; the jobs part and the command write.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import structlog

from shared.runtime.file_modes import write_private
from shared.schema.backups import Backup, id_of_file
from shared.schema.timestamps import to_wire

log = structlog.get_logger()

FOLDER = Path("backups", "monitoring")
"""Below BOTWATCH_HOME."""
JOURNAL = "restore.json"
"""In the folder of backups while a restore replaces files; parts must not start before it is complete."""


def list_backups(home: Path) -> list[Backup]:
    """Return every backup, newest first. Raises OSError if the folder cannot be read."""
    folder = home / FOLDER
    if not folder.exists():
        return []
    archives = ((path, id_of_file(path.name)) for path in folder.iterdir())
    found = [read_backup(path, backup) for path, backup in archives if backup]
    return sorted(found, key=lambda backup: backup.id, reverse=True)


def read_backup(archive: Path, backup: str) -> Backup:
    """Return what is known of an archive: without its JSON file no more than its size."""
    try:
        return msgspec.json.decode(archive.with_name(f"{backup}.json").read_bytes(), type=Backup)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        log.debug("nothing is known of a backup yet", backup=backup, reason=str(error))
    return Backup(id=backup, file=archive.name, bytes=archive.stat().st_size, sha256="")


def write_backup(home: Path, backup: Backup) -> None:
    """Store what is known of a backup, on disk when it returns."""
    folder = home / FOLDER
    text = msgspec.json.format(msgspec.json.encode(backup), indent=2).decode()
    write_private(folder / f"{backup.id}.json", f"{text}\n")
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make renames and deletions in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def newest_verified(home: Path) -> Backup | None:
    """Return the newest backup that was verified; None without one, or if the folder cannot be read."""
    try:
        return next((backup for backup in list_backups(home) if backup.verified_at), None)
    except OSError as error:
        log.warning("cannot read the backups", error=str(error))
        return None


def interrupted_restore(home: Path) -> str | None:
    """Return the ID of the backup whose restore was interrupted while it replaced files; None if none was."""
    try:
        journal = msgspec.json.decode((home / FOLDER / JOURNAL).read_bytes(), type=dict[str, object])
    except FileNotFoundError:
        return None
    return str(journal["id"])


def describe_backup(backup: Backup) -> Mapping[str, object]:
    """Return a backup as the API and `botwatch backup list --json` show it."""
    manifest = backup.manifest

    def moment(value: datetime | None) -> str | None:
        return to_wire(value) if value else None

    return {
        "id": backup.id,
        "file": backup.file,
        "createdAt": moment(backup.created_at),
        "finishedAt": moment(manifest.finished_at if manifest else None),
        "bytes": backup.bytes,
        "sha256": backup.sha256,
        "version": manifest.version if manifest else None,
        "position": manifest.position if manifest else None,
        "secrets": manifest.secrets if manifest else None,
        "encrypted": backup.is_encrypted,
        "verifiedAt": moment(backup.verified_at),
        "verifiedBy": backup.verified_by,
        "uploadedAt": moment(backup.uploaded_at),
        "error": backup.error,
    }

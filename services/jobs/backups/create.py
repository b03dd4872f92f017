"""Create a backup, verify it, and delete the ones that need not be kept."""

import os
import shutil
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import structlog

from services.jobs.backups import secret_files
from services.jobs.backups.archive import (
    describe_file,
    encrypt_file,
    extract_archive,
    hash_file,
    write_archive,
)
from services.jobs.backups.errors import BackupError, DamagedBackupError
from services.jobs.backups.retention import kept_backups
from services.jobs.backups.snapshot import Progress, copy_databases, describe_copy, integrity_faults
from services.jobs.backups.workspace import Sources, ensure_space, locked_folder, size_of
from services.jobs.config import JobsSettings
from shared.runtime.backups import list_backups, sync_folder, write_backup
from shared.runtime.clock import Clock
from shared.schema.backups import ENCRYPTED_SUFFIX, SUFFIX, Backup, Manifest, backup_id
from shared.version import VERSION

log = structlog.get_logger()

TRIAL_SPACE = 1.5
"""A copy of the databases beside their archive, as a multiple of their size."""


def create_backup(sources: Sources, settings: JobsSettings, now: Clock, progress: Progress) -> Backup:
    """Create a backup and return it, once a trial restore of it has succeeded.

    Killed at any time it leaves nothing that is listed. Raises BackupError.
    """
    databases = list(sources.databases.values())
    with locked_folder(sources) as work:
        ensure_space(work, int(TRIAL_SPACE * size_of(databases)), "a backup")
        started = _free_moment(sources, now())
        manifest = _collect(sources, settings, (started, now), work / "content", progress)
        archive = work / f"{manifest.id}{SUFFIX}"
        write_archive(archive, manifest, work / "content", progress)
        shutil.rmtree(work / "content")
        trial_restore(archive, work / "trial", [], progress)
        if settings.backup_public_key:
            clear, archive = archive, work / f"{manifest.id}{ENCRYPTED_SUFFIX}"
            encrypt_file(clear, archive, settings.backup_public_key)
        return _publish(sources, archive, manifest, now())


def _free_moment(sources: Sources, moment: datetime) -> datetime:
    """Return the first second from `moment` on that no backup has yet."""
    taken = {backup.id for backup in list_backups(sources.home)}
    while backup_id(moment) in taken:
        moment += timedelta(seconds=1)
    return moment


def _collect(
    sources: Sources, settings: JobsSettings, times: tuple[datetime, Clock], folder: Path, progress: Progress
) -> Manifest:
    """Copy everything into `folder`, and return what it is."""
    started, now = times
    for database in sources.databases.values():
        if not database.is_file():
            raise BackupError(f"{database} does not exist: start Botwatch once, which creates it")
    (folder / "databases").mkdir(parents=True)
    paths = {name: f"databases/{path.name}" for name, path in sources.databases.items()}
    try:
        copy_databases(sources.databases, {name: folder / path for name, path in paths.items()}, progress)
        finished = now()
        databases = {name: describe_copy(folder / path, path) for name, path in paths.items()}
    except sqlite3.Error as error:
        raise BackupError(f"the databases cannot be copied: {error}") from error
    if settings.backup_public_key or not settings.botwatch_key:  # else they are among the secrets
        for path, document in secret_files.config_documents(sources.config).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(document, folder / path)
    with_secrets = secret_files.write_secrets(
        sources, folder, settings.backup_public_key, settings.botwatch_key
    )
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return Manifest(
        id=backup_id(started),
        version=VERSION,
        started_at=started,
        finished_at=finished,
        databases=databases,
        files=[describe_file(folder, path) for path in files],
        secrets="encrypted" if with_secrets else "left out",
    )


def trial_restore(archive: Path, folder: Path, identities: list[Any], progress: Progress) -> Manifest:
    """Extract an archive into a new folder, check it and both databases, and delete the folder again.

    Raises BackupError.
    """
    folder.mkdir(mode=0o700)
    try:
        manifest = extract_archive(archive, folder, identities, progress)
        check_databases(archive.name, folder, manifest, progress)
    finally:
        shutil.rmtree(folder)
    return manifest


def check_databases(archive: str, folder: Path, manifest: Manifest, progress: Progress) -> None:
    """Raise DamagedBackupError unless the extracted databases are sound and as the manifest says."""
    for copy in manifest.databases.values():
        progress(f"checking {copy.path}")
        try:
            faults = integrity_faults(folder / copy.path)
            found = describe_copy(folder / copy.path, copy.path)
        except sqlite3.Error as error:
            faults, found = [str(error)], copy
        if faults:
            raise DamagedBackupError(f"{archive} is damaged: {copy.path}: {faults[0]}")
        if found != copy:
            raise DamagedBackupError(f"{archive} is damaged: {copy.path} is not what its manifest says")


def _publish(sources: Sources, archive: Path, manifest: Manifest, now: datetime) -> Backup:
    """Move a complete archive to its name, after what is known of it: without that it is not verified."""
    archive.chmod(0o600)
    with archive.open("rb") as file:
        os.fsync(file.fileno())
    backup = Backup(
        id=manifest.id,
        file=archive.name,
        bytes=archive.stat().st_size,
        sha256=hash_file(archive),
        manifest=manifest,
        verified_at=now,
        verified_by="trial restore",
    )
    write_backup(sources.home, backup)
    archive.replace(sources.folder / archive.name)
    sync_folder(sources.folder)
    return backup


def verify_backup(
    sources: Sources, backup: Backup, identities: list[Any], now: Clock, progress: Progress
) -> Backup:
    """Verify a backup, and return and store the result. Raises BackupError if it is damaged.

    One that is encrypted to a public key is compared by its SHA-256, unless its private key is given.
    """
    archive = sources.folder / backup.file
    with locked_folder(sources) as work:
        try:
            digest = check_digest(archive, backup.sha256)
            manifest, how = backup.manifest, backup.verified_by
            if not backup.is_encrypted or identities:
                manifest, how = trial_restore(archive, work / "trial", identities, progress), "trial restore"
            elif manifest:
                how = "checksum"
            else:
                raise BackupError(f"{backup.file} is encrypted: name the file of its key with --identity")
        except DamagedBackupError as error:
            write_backup(sources.home, msgspec.structs.replace(backup, verified_at=None, error=str(error)))
            raise
        verified = msgspec.structs.replace(
            backup, sha256=digest, manifest=manifest, verified_at=now(), verified_by=how, error=None
        )
        write_backup(sources.home, verified)
        return verified


def check_digest(archive: Path, expected: str) -> str:
    """Return the SHA-256 of an archive. Raises DamagedBackupError if another one, not blank, is expected."""
    digest = hash_file(archive)
    if expected and digest != expected:
        raise DamagedBackupError(f"{archive.name} is damaged: its SHA-256 is another one")
    return digest


def delete_expired(sources: Sources) -> list[str]:
    """Delete the backups that need not be kept; return their IDs. Raises BackupError."""
    with locked_folder(sources):
        backups = list_backups(sources.home)
        kept = kept_backups(backups)
        expired = [backup for backup in backups if backup.id not in kept]
        for backup in expired:
            (sources.folder / backup.file).unlink(missing_ok=True)
            (sources.folder / f"{backup.id}.json").unlink(missing_ok=True)
            log.info("backup deleted", backup=backup.id)
    return [backup.id for backup in expired]

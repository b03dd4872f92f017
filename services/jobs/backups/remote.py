"""Backups in S3-compatible storage: an archive is uploaded first, and last what is known of it."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from services.jobs.backups.errors import BackupError
from services.jobs.backups.retention import kept_backups
from services.jobs.backups.snapshot import Progress
from services.jobs.backups.workspace import Sources, locked_folder
from services.jobs.config import JobsSettings
from shared.runtime.backups import list_backups, write_backup
from shared.runtime.clock import Clock
from shared.schema.backups import Backup, id_of_file

log = structlog.get_logger()

REQUEST_TIMEOUT_S = 120
"""Of one request; archives are uploaded in parts of 5 MiB."""
RETRY_TIMEOUT = timedelta(seconds=30)
MAX_REASON = 400


class RemoteFolder:
    """The folder `s3://bucket/prefix`. Every method raises BackupError."""

    def __init__(self, url: str, settings: JobsSettings) -> None:
        self.url = url.rstrip("/")
        self._credentials = [
            one for one in (settings.backup_access_key_id, settings.backup_secret_access_key) if one
        ]
        options = {
            "endpoint": settings.backup_endpoint,
            "region": settings.backup_region or ("us-east-1" if settings.backup_endpoint else ""),
            "access_key_id": settings.backup_access_key_id,
            "secret_access_key": settings.backup_secret_access_key,
            "disable_bulk_delete": "true",  # not every S3-compatible service has it
        }
        try:
            self._store = S3Store.from_url(
                self.url,
                config=cast("Any", {name: value for name, value in options.items() if value}),
                client_options={
                    "allow_http": settings.backup_endpoint.startswith("http://"),
                    "connect_timeout": "10s",
                    "timeout": f"{REQUEST_TIMEOUT_S}s",
                },
                retry_config={"max_retries": 2, "retry_timeout": RETRY_TIMEOUT},
            )
        except (BaseError, ValueError) as error:
            raise self._error("is no address of a bucket, expected s3://BUCKET/PREFIX", error) from None

    def backups(self) -> list[Backup]:
        """Return every complete backup, newest first."""
        try:
            names = [item["path"] for batch in obstore.list(self._store) for item in batch]
            notes = [name for name in names if name.endswith(".json")]
            found = [
                msgspec.json.decode(bytes(obstore.get(self._store, name).bytes()), type=Backup)
                for name in notes
            ]
        except (BaseError, msgspec.DecodeError) as error:
            raise self._error("cannot be listed", error) from None
        return sorted(
            (backup for backup in found if backup.file in names), key=lambda backup: backup.id, reverse=True
        )

    def upload(self, folder: Path, backup: Backup) -> None:
        """Upload an archive, then what is known of it."""
        try:
            obstore.put(self._store, backup.file, folder / backup.file)
            obstore.put(self._store, f"{backup.id}.json", msgspec.json.encode(backup))
        except (BaseError, OSError) as error:
            raise self._error(f"{backup.id} cannot be uploaded", error) from None

    def download(self, name: str, folder: Path, progress: Progress) -> Path:
        """Download an archive into `folder` and return it."""
        target = folder / name
        done = 0
        try:
            found = obstore.get(self._store, name)
            with target.open("wb") as file:
                for chunk in found.stream():
                    file.write(chunk)
                    done += len(chunk)
                    progress(f"downloading {name}: {100 * done // max(1, found.meta['size'])}%")
        except (BaseError, OSError) as error:
            raise self._error(f"{name} cannot be downloaded", error) from None
        return target

    def delete_expired(self, local: Sequence[Backup]) -> list[str]:
        """Delete the backups that need not be kept, and archives of uploads that were given up."""
        backups = self.backups()
        kept = kept_backups(backups)
        expired = [backup for backup in backups if backup.id not in kept]
        # What completes an archive goes first: a deletion that is interrupted leaves no broken backup.
        names = [f"{backup.id}.json" for backup in expired] + [backup.file for backup in expired]
        complete = {backup.id for backup in (*backups, *local)}
        try:
            found = [item["path"] for batch in obstore.list(self._store) for item in batch]
            names += [name for name in found if (known := id_of_file(name)) and known not in complete]
            for name in names:
                obstore.delete(self._store, name)
        except BaseError as error:
            raise self._error("old backups cannot be deleted", error) from None
        return [backup.id for backup in expired]

    def _error(self, what: str, error: Exception) -> BackupError:
        """Return what is wrong. A server may repeat what it was sent: raised `from None`, for tracebacks."""
        text = str(error).partition("Debug source")[0]
        for credential in self._credentials:
            text = text.replace(credential, "***")
        reason = " ".join(text.split())[:MAX_REASON]
        return BackupError(f"{self.url}: {what}: {reason}")


def upload_missing(sources: Sources, settings: JobsSettings, now: Clock, progress: Progress) -> list[str]:
    """Upload the verified backups that BACKUP_URL lacks and should keep; return their IDs.

    Raises BackupError; the backups here stay.
    """
    remote = RemoteFolder(settings.backup_url, settings)
    there = {backup.id: backup for backup in remote.backups()}
    here = {backup.id: backup for backup in list_backups(sources.home) if backup.verified_at}
    kept = kept_backups(list({**here, **there}.values()))
    missing = sorted((here.keys() - there.keys()) & kept)
    for backup_id in missing:
        progress(f"uploading {backup_id}")
        uploaded = msgspec.structs.replace(here[backup_id], uploaded_at=now())
        remote.upload(sources.folder, uploaded)
        with locked_folder(sources):
            write_backup(sources.home, uploaded)
        log.info("backup uploaded", backup=backup_id, to=settings.backup_url)
    remote.delete_expired(list(here.values()))
    return missing

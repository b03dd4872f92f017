"""The background jobs `backup`, `backup-upload` and `backup-verify`."""

from collections.abc import Mapping
from pathlib import Path

import structlog
from sqlalchemy.engine import make_url

from services.jobs.backups.audit import creation_entry
from services.jobs.backups.create import create_backup, delete_expired, verify_backup
from services.jobs.backups.errors import BackupError
from services.jobs.backups.workspace import Sources
from services.jobs.context import JobContext
from shared.runtime.audit_key import audit_key
from shared.runtime.backups import list_backups
from shared.store.audit import SYSTEM, append_audit
from shared.store.database import Database

log = structlog.get_logger()


def back_up(context: JobContext) -> Mapping[str, int]:
    """Create a verified backup, delete those that need not be kept, and upload what is missing elsewhere."""
    sources = backup_sources(context)
    backup = create_backup(sources, context.settings, context.now, log.debug)
    with context.health.write() as connection:
        append_audit(connection, creation_entry(backup, SYSTEM), context.now(), audit_key(sources.home))
    deleted = delete_expired(sources)
    try:
        uploaded = upload(context)["uploaded"]
    except BackupError as error:
        log.warning("backup not uploaded; the job backup-upload tries again", error=str(error))
        uploaded = 0
    return {"bytes": backup.bytes, "deleted": len(deleted), "uploaded": uploaded}


def upload(context: JobContext) -> Mapping[str, int]:
    """Upload what BACKUP_URL lacks; nothing without one."""
    if not context.settings.backup_url:
        return {"uploaded": 0}
    from services.jobs.backups.remote import upload_missing  # noqa: PLC0415 - 8 MB of memory

    return {
        "uploaded": len(upload_missing(backup_sources(context), context.settings, context.now, log.debug))
    }


def verify(context: JobContext) -> Mapping[str, int]:
    """Verify every backup; BackupError names the damaged ones, once all have been verified."""
    sources, faults = backup_sources(context), []
    backups = list_backups(sources.home)
    for backup in backups:
        try:
            verify_backup(sources, backup, [], context.now, log.debug)
        except BackupError as error:
            faults.append(str(error))
    if faults:
        raise BackupError("; ".join(faults))
    return {"verified": len(backups)}


def backup_sources(context: JobContext) -> Sources:
    """Return what is backed up."""
    return Sources(
        context.home.absolute(),
        context.settings.botwatch_config,
        {"performance": database_path(context.performance), "health": database_path(context.health)},
        context.settings.secrets_folder,
    )


def database_path(database: Database) -> Path:
    """Return the file of a database."""
    return Path(make_url(database.url).database or "").absolute()

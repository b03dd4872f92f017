"""Audit entries of backups and restores."""

import getpass
import os
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from services.jobs.backups.workspace import Sources
from shared.runtime.audit_key import audit_key
from shared.schema.backups import Backup
from shared.schema.faults import InvalidError
from shared.store.audit import AuditEntry, append_audit
from shared.store.database import Database

log = structlog.get_logger()


def local_actor() -> str:
    """Return the actor of a command on this machine."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user has no name
        return f"os:{os.getuid()}"


def audit_backup(health: Database, sources: Sources, backup: Backup, actor: str, now: datetime) -> None:
    """Append that a backup was created."""
    append_backup_entry(
        health,
        sources,
        AuditEntry(
            action="backup.create",
            actor=actor,
            target=backup.id,
            after={"bytes": backup.bytes, "sha256": backup.sha256},
        ),
        now,
    )


def audit_failure(health: Database, sources: Sources, entry: tuple[str, str, str], now: datetime) -> None:
    """Append that something failed: its action, who tried it, and why; if that is impossible log it."""
    action, actor, reason = entry
    failed = AuditEntry(
        action=action, actor=actor, target="backups", after={"reason": reason}, outcome="failed"
    )
    try:
        append_backup_entry(health, sources, failed, now)
    except (SQLAlchemyError, InvalidError, OSError) as error:
        log.warning("failure missing in the audit log", action=action, error=str(error))


def append_backup_entry(health: Database, sources: Sources, entry: AuditEntry, now: datetime) -> None:
    """Append an entry to the audit log."""
    key = audit_key(sources.home)
    with health.write() as connection:
        append_audit(connection, entry, now, key)

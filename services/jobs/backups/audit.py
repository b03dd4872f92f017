"""What is appended to the audit log about backups."""

from shared.schema.backups import Backup
from shared.store.audit import AuditEntry


def creation_entry(backup: Backup, actor: str) -> AuditEntry:
    """Return the entry of a backup that was created."""
    facts = {"bytes": backup.bytes, "sha256": backup.sha256}
    return AuditEntry(action="backup.create", actor=actor, target=backup.id, after=facts)


def failure_entry(action: str, actor: str, reason: str) -> AuditEntry:
    """Return the entry of what failed."""
    return AuditEntry(
        action=action, actor=actor, target="backups", after={"reason": reason}, outcome="failed"
    )

"""Audit entries on the config documents: what a start or a reload changed, and what it refused."""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from shared.runtime.config.changes import describe_changes, redact
from shared.runtime.config.documents import read_documents
from shared.schema.faults import Fault
from shared.store.audit import (
    AuditEntry,
    AuditKeyFile,
    append_audit,
    read_audited_documents,
    write_audited_documents,
)


def append_config_audit(
    connection: Connection,
    entry: AuditEntry,
    folder: Path,
    key: AuditKeyFile,
    at: datetime,
    *,
    faults: Iterable[Fault] = (),
    only_changes: bool = False,
) -> None:
    """Append `entry` with a line per change of the documents since they were last loaded.

    With `only_changes` nothing is appended where there is none.
    With `faults` the change was refused: the entry names the faulty keys, not their values, which may be
    secrets, and the next change is compared with what was loaded before.
    """
    refused = sorted({fault.path for fault in faults})
    documents = redact_documents(folder, key)
    before = read_audited_documents(connection)
    changes = describe_changes(before, documents) if before else []
    after = {"changes": changes, "documents": sorted(documents)}
    if refused:
        append_audit(connection, replace(entry, after=after | {"faults": refused}, outcome="failed"), at, key)
        return
    if documents != before:
        write_audited_documents(connection, documents)
    elif only_changes:
        return
    append_audit(connection, replace(entry, after=after), at, key)


def redact_documents(folder: Path, key: AuditKeyFile) -> dict[str, Any]:
    """Return the documents of a folder without secrets, as they are compared with those loaded before."""
    secret = key.keys()[0]  # the oldest: a rotation is no change of the documents

    def fingerprint(text: str) -> str:
        return hmac.new(secret, b"document\0" + text.encode(errors="replace"), hashlib.sha256).hexdigest()[:8]

    return {name: redact(value, fingerprint) for name, value in read_documents(folder).items()}

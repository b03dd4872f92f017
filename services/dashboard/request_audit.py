"""Audit entries on requests: who asked and from where are those of the request that is being answered."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from flask import g, request
from msgspec.structs import replace
from sqlalchemy import Connection

from shared.access.identity import OPEN, Identity
from shared.runtime.config_audit import append_config_audit
from shared.runtime.web.request_access import ANONYMOUS
from shared.schema.faults import Fault
from shared.store.audit import AuditEntry, AuditKeyFile, Outcome, append_audit
from shared.store.database import Database


class RequestAudit:
    """Appends entries to the audit log, in the transaction of the change or in one of its own."""

    def __init__(self, database: Database, key: AuditKeyFile) -> None:
        self._database = database
        self._key = key

    def append(  # noqa: PLR0913 - what an entry has
        self,
        connection: Connection,
        at: datetime,
        action: str,
        target: str,
        *,
        by: str | None = None,
        before: Any = None,  # noqa: ANN401 - JSON
        after: Any = None,  # noqa: ANN401 - JSON
        outcome: Outcome = "ok",
    ) -> None:
        """Append an entry; `by` is the name that the request gives, which counts where access is open."""
        entry = request_entry(action, target, by, before=before, after=after)
        entry = replace(entry, outcome=outcome)
        append_audit(connection, entry, at, self._key)

    def append_reload(self, at: datetime, folder: Path, faults: Sequence[Fault] = ()) -> None:
        """Append what a reload of the documents in `folder` changed, or that it was refused."""
        entry = request_entry("config.reload", "config documents", None)
        with self._database.write() as connection:
            append_config_audit(connection, entry, folder, self._key, at, faults=faults)


def request_entry(
    action: str,
    target: str,
    by: str | None,
    *,
    before: Any = None,  # noqa: ANN401 - JSON
    after: Any = None,  # noqa: ANN401 - JSON
) -> AuditEntry:
    """Return the entry on the request that is being answered.

    The actor is who is signed in, also where that one acts for another. A name that nobody has checked counts
    where access is open; where it is not, that of a signed link is marked: `link:ann`.
    """
    identity: Identity = g.get("identity", OPEN)
    if identity is ANONYMOUS:
        actor = f"link:{by or identity.name}"
    else:
        actor = by or identity.name if identity.kind == "open" else identity.name
    if after is None and by and not actor.endswith(by):
        after = {"by": by}
    return AuditEntry(
        action=action,
        actor=actor,
        address=request.remote_addr,
        target=target,
        before=before,
        after=after,
    )

"""The audit entry of a stop."""

import sys

from sqlalchemy.exc import SQLAlchemyError

from services.native.prepared_stack import PreparedStack
from shared.runtime.local_audit import append_entry, local_actor
from shared.schema.faults import InvalidError
from shared.store.audit import AuditEntry
from shared.store.database import Database
from shared.version import VERSION


def audit_stop(stack: PreparedStack) -> None:
    """Append to the audit log that Botwatch was stopped; a warning on standard error if that fails."""
    entry = AuditEntry(
        action="botwatch.stop", actor=local_actor(), target="botwatch", after={"version": VERSION}
    )
    database = Database(stack.health_database, sync_commits=stack.environ["DURABILITY"] == "always")
    try:
        append_entry(database, stack.home, entry)
    except (InvalidError, SQLAlchemyError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"botwatch up: warning: the stop is not in the audit log: {reason}\n")

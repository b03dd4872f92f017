"""Audit entries of commands on this machine."""

import getpass
import os
from pathlib import Path

from sqlalchemy.engine import make_url

from shared.runtime import clock, databases
from shared.runtime.audit_key import audit_key
from shared.runtime.config.documents import Documents
from shared.runtime.settings import PartSettings
from shared.store.audit import AuditEntry, append_audit
from shared.store.database import Database


def local_actor() -> str:
    """Return the user of the operating system that runs this process: `os:alice`."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"os:{os.geteuid()}"


def append_local_audit(settings: PartSettings, documents: Documents, entry: AuditEntry) -> None:
    """Append the entry of a command; nothing where there is no database, as on a machine without Botwatch.

    Raises InvalidError for an unreadable key, and SQLAlchemyError.
    """
    append_entry(databases.health_database(settings, documents), settings.botwatch_home, entry)


def append_entry(database: Database, home: Path, entry: AuditEntry) -> None:
    """Append the entry to the audit log of `home` in `database`, and close that.

    Raises as `append_local_audit`.
    """
    if not Path(make_url(database.url).database or "").is_file():
        return  # connecting would create an empty file
    try:
        database.require_schema("audit_denials")
        with database.write() as connection:
            append_audit(connection, entry, clock.now(), audit_key(home))
    finally:
        database.close()

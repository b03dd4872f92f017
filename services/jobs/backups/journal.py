"""The journal of a restore: written before it replaces files, deleted when all are replaced."""

import msgspec

from services.jobs.backups.errors import BackupError
from services.jobs.backups.workspace import Sources
from shared.runtime.backups import JOURNAL
from shared.schema.backups import Manifest


class Journal(msgspec.Struct, kw_only=True, frozen=True):
    """A restore that has begun to replace files."""

    id: str
    manifest: Manifest
    aside: str
    """Where the old state goes."""
    files: list[str]
    """The files that are replaced; beside each is the new one until it is in place."""
    notes: list[str] = []
    """What the operator should know."""


def read_journal(sources: Sources) -> Journal | None:
    """Return the journal of a restore that was interrupted while it replaced files; None if there is none."""
    try:
        return msgspec.json.decode((sources.folder / JOURNAL).read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise BackupError(f"{sources.folder / JOURNAL} is unreadable: {error}") from error

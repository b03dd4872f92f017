"""Backups: what a backup contains, and what is known of it without opening it. Pure."""

import re
from datetime import UTC, datetime
from typing import Literal

import msgspec

from shared.schema.redis_keys import RECORDER_GROUP
from shared.schema.stream_ids import START, split_id
from shared.schema.timestamps import from_epoch_ms

FORMAT = 1
"""Version of the layout of an archive; a higher one is refused."""
SUFFIX = ".tar.zst"
ENCRYPTED_SUFFIX = f"{SUFFIX}.age"
READERS = (RECORDER_GROUP, "evaluator-tracks")
"""Who reads the log again from its offset in a database; other rows of `log_position` are something else."""
_NAME = re.compile(rf"(botwatch-\d{{8}}T\d{{6}}Z)({re.escape(SUFFIX)}(?:\.age)?)")


class ArchivedFile(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A file in an archive."""

    path: str
    """Relative, with `/`."""
    bytes: int
    sha256: str


class DatabaseCopy(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The copy of one database."""

    path: str
    """Its path in the archive."""
    revision: str
    """Its schema: the Alembic revision."""
    positions: dict[str, str]
    """Reader → the last entry of the log whose effects it contains."""
    rows: dict[str, int]
    """Table → number of rows."""


class Manifest(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The first file of an archive: what the others are."""

    format: int = FORMAT
    id: str
    version: str
    """The release of Botwatch that made it."""
    started_at: datetime
    finished_at: datetime
    """When both databases were copied. The archive is compressed and verified after that."""
    databases: dict[str, DatabaseCopy]
    """`performance` and `health`, both as they were at the same moment."""
    files: list[ArchivedFile]
    secrets: Literal["encrypted", "left out"]
    """Left out without a key to encrypt them with."""

    @property
    def position(self) -> str:
        """The entry of the log up to which everything is in the backup; later ones are read again."""
        positions = [
            position
            for database in self.databases.values()
            for reader, position in database.positions.items()
            if reader in READERS
        ]
        return min(positions, key=split_id, default=START)


class Backup(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What is known of a backup: stored beside its archive as `<id>.json`."""

    id: str
    file: str
    """Name of the archive."""
    bytes: int
    sha256: str
    manifest: Manifest | None = None
    """None for an archive that was copied here and not verified yet."""
    verified_at: datetime | None = None
    """When it was last verified; None if it never was, or is damaged."""
    verified_by: Literal["trial restore", "checksum"] | None = None
    """An archive that is encrypted to a public key gets its trial restore before it is encrypted."""
    error: str | None = None
    """Why the last verification failed."""
    uploaded_at: datetime | None = None

    @property
    def created_at(self) -> datetime:
        """The time in its ID."""
        return created_at(self.id)

    @property
    def is_encrypted(self) -> bool:
        """Whether the archive is encrypted to a public key."""
        return self.file.endswith(ENCRYPTED_SUFFIX)


def backup_id(moment: datetime) -> str:
    """Return the ID of a backup that starts at `moment`: `botwatch-20260131T120000Z`."""
    return f"botwatch-{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def created_at(backup: str) -> datetime:
    """Return the time in an ID; ValueError if it is none."""
    return datetime.strptime(backup, "botwatch-%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def id_of_file(name: str) -> str | None:
    """Return the ID of the backup whose archive has this name; None if it is no archive."""
    found = _NAME.fullmatch(name)
    if not found:
        return None
    try:
        created_at(found[1])
    except ValueError:
        return None
    return found[1]


def entry_moment(entry: str) -> datetime | None:
    """Return the time of a log entry; None for the start of the log."""
    return None if entry == START else from_epoch_ms(split_id(entry)[0])

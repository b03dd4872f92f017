"""Restore a backup such that a kill at any step loses nothing.

1. Extract, verify and migrate the databases in the work folder. A kill leaves the old state as it was.
2. Move them beside the files that they replace (`….restoring`), and write the journal. From now on the
   restore is completed by running it again, and parts do not start before that.
3. For each file: move the old one aside, rename the new one to its place. Both can be repeated.
4. Delete the journal.
"""

import errno
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from services.jobs.backups.archive import extract_archive
from services.jobs.backups.create import check_databases
from services.jobs.backups.errors import BackupError
from services.jobs.backups.journal import Journal, read_journal
from services.jobs.backups.secret_files import read_secrets
from services.jobs.backups.snapshot import Progress
from services.jobs.backups.workspace import STAGED, Sources, locked_folder
from shared.runtime.audit_key import HEAD, KEY_NAME, audit_key
from shared.runtime.backups import JOURNAL, sync_folder
from shared.runtime.file_modes import write_private
from shared.schema.backups import Manifest
from shared.schema.faults import InvalidError
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit, newest_entry
from shared.store.audit_chain import key_id, make_head
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from shared.store.revisions import known_revisions
from shared.version import VERSION

_OTHER_AUDIT_KEY = (
    "The audit log of the backup was made with another key: put its secrets/audit.key back, or begin a new "
    "log (docs/operations.md, Restore); until then Botwatch does not start."
)
_NEW_PASSWORDS = (
    "The passwords of the backup are in place: stop what still has the old ones, in compose with "
    "`docker compose down`."
)
_SIDE_FILES = ("-wal", "-shm", "")
"""What belongs to a database file; the file itself is moved last."""


class Request(NamedTuple):
    """What to restore, and who asks."""

    archive: Path
    identities: list[Any]
    botwatch_key: str
    actor: str
    now: datetime
    passwords: bool = False
    """Whether passwords that exist are replaced, too."""


def restore_backup(sources: Sources, request: Request, progress: Progress) -> Journal:
    """Replace the state by that of a backup, and return what was done. Raises BackupError.

    No part may run. Killed at any time it is completed by running it again.
    """
    with locked_folder(sources) as work:
        journal = read_journal(sources)
        if journal is None:
            journal = _prepare(sources, request, work, progress)
            _write_journal(sources, journal)
        progress("replacing the files")
        _replace_files(journal, sources.secrets)
        (sources.folder / JOURNAL).unlink()
        sync_folder(sources.folder)
    return journal


def restore_into(folder: Path, request: Request, progress: Progress) -> Manifest:
    """Extract a backup into a folder that does not exist or is empty, and change nothing else.

    Raises BackupError.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} exists: choose a folder that does not exist, or an empty one")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    manifest = extract_archive(request.archive, folder, request.identities, progress)
    check_databases(request.archive.name, folder, manifest, progress)
    write_private(folder / "manifest.json", msgspec.json.format(msgspec.json.encode(manifest)).decode())
    for name, data in (read_secrets(folder, request.botwatch_key) or {}).items():
        _write_file(folder / "with-secrets" / name, data)
    return manifest


def _prepare(sources: Sources, request: Request, work: Path, progress: Progress) -> Journal:
    """Put everything new beside the files that it replaces; return the journal, not yet written."""
    manifest = extract_archive(request.archive, work, request.identities, progress)
    check_databases(request.archive.name, work, manifest, progress)
    if manifest.databases.keys() != sources.databases.keys():
        raise BackupError(f"{request.archive.name} lacks a database: it has {', '.join(manifest.databases)}")
    _check_revisions(request.archive.name, manifest)
    aside = sources.folder / f"before-restore-{request.now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    notes: list[str] = []
    new: dict[Path, Path] = {}
    secrets = read_secrets(work, request.botwatch_key)
    if secrets is None:
        notes.append("The backup has no secrets that can be read here: passwords and keys stay as they are.")
    for name, data in (secrets or {}).items():
        if name.startswith("config/"):
            _write_file(work / name, data)
        elif (live := _secret_to_replace(sources, request, name, data)) is not None:
            new[live] = _write_file(work / "secrets" / name, data)
    if request.passwords and new:
        notes.append(_NEW_PASSWORDS)
    for line, copy in manifest.databases.items():
        progress(f"migrating {copy.path}")
        new[sources.databases[line]] = work / copy.path
        _migrate(work / copy.path, line)
    notes += _audit_restore(sources, request, manifest, (work, new))
    notes += _keep_documents(sources, manifest.id, work)
    for live, prepared in new.items():
        live.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        prepared.chmod(live.stat().st_mode & 0o777 if live.exists() else _mode(sources, live))
        _move(prepared, Path(f"{live}{STAGED}"))
    files = [str(live) for live in new]
    return Journal(id=manifest.id, manifest=manifest, aside=str(aside), files=files, notes=notes)


def _mode(sources: Sources, live: Path) -> int:
    """Return the mode of a file that does not exist yet."""
    return 0o640 if live in {*sources.databases.values(), sources.home / HEAD} else 0o600


def _check_revisions(archive: str, manifest: Manifest) -> None:
    for line, copy in manifest.databases.items():
        if copy.revision not in known_revisions(line):
            raise BackupError(
                f"{archive} is too new: this Botwatch ({VERSION}) does not know schema {copy.revision} of "
                f"{copy.path}; restore it with Botwatch {manifest.version} or newer"
            )


def _secret_to_replace(sources: Sources, request: Request, name: str, data: bytes) -> Path | None:
    """Return the file that a secret of the backup replaces; None if it stays as it is.

    A password that exists stays, unless it was asked for: it is in use, and may be newer. A key belongs to
    the data.
    """
    folder, _, rest = name.partition("/")
    live = sources.secrets / rest if folder == "secrets" else sources.home / name
    if not live.exists():
        return live
    wanted = request.passwords or name.endswith(".key")
    return live if wanted and live.read_bytes() != data else None


def _migrate(path: Path, line: str) -> None:
    """Migrate a database that nobody else uses; afterwards it is one file."""
    database = Database(sqlite_url(path))
    migrate(database, line)
    database.close()


def _audit_restore(
    sources: Sources, request: Request, manifest: Manifest, prepared: tuple[Path, dict[Path, Path]]
) -> list[str]:
    """Append the restore to the restored audit log, and seal its end again; return what to know of it."""
    work, new = prepared
    current = audit_key(sources.home)
    key = AuditKeyFile(new.get(sources.secrets / KEY_NAME, current.key), work / HEAD.name)
    database = Database(sqlite_url(new[sources.databases["health"]]))
    before = {"position": manifest.position, "at": manifest.finished_at}
    entry = AuditEntry(action="backup.restore", actor=request.actor, target=manifest.id, after=before)
    try:
        with database.read() as connection:
            newest = newest_entry(connection)
        known = key.keys()
        if newest and newest.mac:
            sealing = [one for one in known if key_id(one) == newest.key_id]
            if not sealing:
                return [_OTHER_AUDIT_KEY]
            key.write_head(make_head(sealing[0], newest.id, newest.mac))
        else:
            key.write_head(make_head(known[-1], 0, ""))
        with database.write() as connection:
            append_audit(connection, entry, request.now, key)
    except InvalidError as error:
        return [f"The restore is missing in the audit log: {error}."]
    finally:
        database.close()
    new[sources.home / HEAD] = key.head
    return []


def _keep_documents(sources: Sources, backup: str, work: Path) -> list[str]:
    """Keep the config files of the backup that differ from the current ones; they are not replaced."""
    folder = sources.folder / f"config-of-{backup}"
    different = []
    for path in sorted(file for file in (work / "config").rglob("*") if file.is_file()):
        name = path.relative_to(work / "config").as_posix()
        current = sources.config / name
        if not current.is_file() or current.read_bytes() != path.read_bytes():
            different.append(name)
            _write_file(folder / name, path.read_bytes())
    names = ", ".join(different)
    text = f"Config documents were not replaced; those of the backup that differ ({names}) are in {folder}."
    return [text] if different else []


def _write_journal(sources: Sources, journal: Journal) -> None:
    for path in journal.files:
        sync_folder(Path(path).parent)
    write_private(sources.folder / JOURNAL, msgspec.json.encode(journal).decode())
    sync_folder(sources.folder)


def _replace_files(journal: Journal, secrets: Path) -> None:
    """Put every new file in its place and the old one aside, but for those that an interrupted run did."""
    aside = Path(journal.aside)
    aside.mkdir(mode=0o700, exist_ok=True)
    for name in journal.files:
        staged = Path(f"{name}{STAGED}")
        if not staged.exists():
            continue  # in place already
        for suffix in _SIDE_FILES:
            old = Path(f"{name}{suffix}")
            if old.exists():
                kept = aside / (old.relative_to(secrets) if old.is_relative_to(secrets) else old.name)
                kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _move(old, _free_name(kept))
        staged.rename(name)
        sync_folder(staged.parent)
    sync_folder(aside)


def _free_name(path: Path) -> Path:
    """Return `path`, or with a number if it exists: nothing that was moved aside is overwritten."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in range(2, 1000))
    return path if not path.exists() else next(free for free in numbered if not free.exists())


def _move(source: Path, target: Path) -> None:
    """Move a file, also to another file system. After a kill `source` exists, or else all of `target`."""
    with source.open("rb") as file:
        os.fsync(file.fileno())
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # also between mounts of one device, such as two volumes
            raise
        partial = target.with_name(f"{target.name}.partial")
        shutil.copy2(source, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
        source.unlink()


def _write_file(path: Path, data: bytes) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path

"""The command `botwatch backup`, and what it shares with `botwatch restore`."""

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace as Options
from typing import Annotated, NamedTuple

import msgspec
import structlog
import typer
from sqlalchemy.exc import SQLAlchemyError

from services.jobs.backups.archive import read_identities
from services.jobs.backups.audit import creation_entry, failure_entry
from services.jobs.backups.create import create_backup, delete_expired, verify_backup
from services.jobs.backups.errors import BackupError
from services.jobs.backups.jobs import database_path
from services.jobs.backups.workspace import Sources
from services.jobs.config import JobsSettings
from shared.runtime import clock, databases
from shared.runtime.backups import describe_backup, list_backups
from shared.runtime.command_home import demo_hint
from shared.runtime.config.documents import Documents, load_documents
from shared.runtime.environment import load_settings
from shared.runtime.file_modes import restrict_umask
from shared.runtime.local_audit import append_local_audit, local_actor
from shared.runtime.logging_setup import redact_credentials
from shared.schema.backups import Backup, id_of_file
from shared.schema.faults import InvalidError
from shared.schema.terminal_escaping import escape_controls
from shared.store.audit import AuditEntry

LATEST = "latest"
FAILED = 1


class Surroundings(NamedTuple):
    """What the commands work with."""

    settings: JobsSettings
    documents: Documents
    sources: Sources


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Identity = Annotated[Path | None, typer.Option(metavar="FILE", help="Private key of an encrypted backup.")]

app = typer.Typer()


@app.command("now")
def now_command(*, as_json: Json = False) -> int:
    """Create a backup and verify it by a trial restore.

    It is uploaded if BACKUP_URL is set.
    """
    return run_command("backup now", _now, Options(json=as_json))


@app.command("list")
def list_command(
    *,
    remote: Annotated[bool, typer.Option("--remote", help="List those at BACKUP_URL.")] = False,
    as_json: Json = False,
) -> int:
    """List the backups."""
    return run_command("backup list", _list, Options(remote=remote, json=as_json))


@app.command("verify")
def verify_command(
    backup: Annotated[
        str, typer.Argument(metavar="ID", help=f"`botwatch backup list` shows them; or {LATEST}.")
    ],
    *,
    identity: Identity = None,
    as_json: Json = False,
) -> int:
    """Verify a backup by a trial restore."""
    return run_command("backup verify", _verify, Options(id=backup, identity=identity, json=as_json))


Action = Callable[[Surroundings, Options], object]
"""Does the work, prints text unless `--json`, and returns what is printed then."""


def run_command(name: str, action: Action, options: Options) -> int:
    """Run `action` and return the exit code; errors are one sentence each."""
    restrict_umask()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        result = action(_surroundings(os.environ), options)
    except (BackupError, InvalidError, OSError, SQLAlchemyError) as error:
        faults = error.faults if isinstance(error, InvalidError) else [error]
        for fault in faults:
            text = redact_credentials(str(fault).partition("\n")[0])
            sys.stderr.write(f"botwatch {name}: {escape_controls(text)}\n")
        return FAILED
    if options.json:
        sys.stdout.write(f"{msgspec.json.format(msgspec.json.encode(result)).decode()}\n")
    return 0


def _surroundings(environ: Mapping[str, str]) -> Surroundings:
    settings = load_settings(JobsSettings, environ).validated()
    documents = load_documents(settings.botwatch_config)
    files = {
        "performance": database_path(databases.performance_database(settings, documents)),
        "health": database_path(databases.health_database(settings, documents)),
    }
    home = settings.botwatch_home.absolute()
    if hint := demo_hint(home):
        sys.stderr.write(f"botwatch: note: nothing runs in {home}{hint}\n")
    sources = Sources(home, settings.botwatch_config, files, settings.secrets_folder)
    return Surroundings(settings, documents, sources)


def print_text(options: Options, text: str) -> None:
    """Print a line for people; nothing where JSON is wanted."""
    if not options.json:
        sys.stdout.write(f"{escape_controls(text)}\n")


def show_progress(text: str) -> None:
    """Show what is being done, on one line of a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{escape_controls(text)}")
        sys.stderr.flush()


def end_progress() -> None:
    """Clear the line of `show_progress`."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")


@contextmanager
def _audited(given: Surroundings, action: str) -> Iterator[None]:
    """Append an entry to the audit log if the block fails."""
    try:
        yield
    except BackupError as error:
        _append_audit(given, failure_entry(action, local_actor(), str(error)))
        raise
    finally:
        end_progress()


def _append_audit(given: Surroundings, entry: AuditEntry) -> None:
    """Append an entry to the audit log; a backup before an upgrade finds an older table, and goes on."""
    try:
        append_local_audit(given.settings, given.documents, entry)
    except (SQLAlchemyError, InvalidError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"botwatch: warning: {entry.action} is not in the audit log: {reason}\n")


def _now(given: Surroundings, options: Options) -> object:
    settings, sources = given.settings, given.sources
    with _audited(given, "backup.create"):
        backup = create_backup(sources, settings, clock.now, show_progress)
    _append_audit(given, creation_entry(backup, local_actor()))
    deleted = delete_expired(sources)
    assert backup.manifest  # noqa: S101 - it was just created
    print_text(options, f"Created {backup.id}: {size_text(backup.bytes)}, verified by a trial restore.")
    if backup.manifest.secrets == "left out":
        text = "Secrets are not in it: set BACKUP_PUBLIC_KEY or BOTWATCH_KEY to include them, encrypted."
        print_text(options, text)
    if deleted:
        print_text(options, f"Deleted {len(deleted)} that need not be kept.")
    if settings.backup_url:
        _upload(given, options)
    return describe_backup(find_backup(list_backups(sources.home), backup.id))


def _upload(given: Surroundings, options: Options) -> None:
    """Upload what is missing at BACKUP_URL; the backup here counts, and the job tries again."""
    from services.jobs.backups.remote import upload_missing  # noqa: PLC0415 - 8 MB of memory

    try:
        uploaded = upload_missing(given.sources, given.settings, clock.now, show_progress)
    except BackupError as error:
        end_progress()
        text = redact_credentials(escape_controls(str(error)))
        sys.stderr.write(f"botwatch backup now: warning: not uploaded, tried again hourly: {text}\n")
        return
    end_progress()
    print_text(options, f"Uploaded {len(uploaded)} to {given.settings.backup_url}.")


def _list(given: Surroundings, options: Options) -> object:
    found = _remote_backups(given.settings) if options.remote else list_backups(given.sources.home)
    if not found:
        print_text(options, "No backups yet: `botwatch backup now` creates one.")
    for backup in found:
        print_text(options, _line(backup))
    return [describe_backup(backup) for backup in found]


def _remote_backups(settings: JobsSettings) -> list[Backup]:
    if not settings.backup_url:
        raise BackupError("BACKUP_URL is not set: expected s3://BUCKET/PREFIX")
    from services.jobs.backups.remote import RemoteFolder  # noqa: PLC0415 - 8 MB of memory

    return RemoteFolder(settings.backup_url, settings).backups()


def _line(backup: Backup) -> str:
    words = [f"{backup.id}  {size_text(backup.bytes):>9}"]
    if backup.error:
        words.append(f"DAMAGED: {backup.error}")
    elif backup.verified_at:
        words.append(f"verified {backup.verified_at:%Y-%m-%d %H:%M} UTC")
    else:
        words.append("not verified")
    if backup.manifest:
        words.append("with secrets" if backup.manifest.secrets == "encrypted" else "without secrets")
    words += ["encrypted"] if backup.is_encrypted else []
    words += ["uploaded"] if backup.uploaded_at else []
    return ", ".join(words)


def size_text(amount: float) -> str:
    """Return a size for people."""
    return f"{amount / 2**20:,.1f} MiB" if amount >= 2**20 else f"{amount / 2**10:,.1f} KiB"


def find_backup(backups: list[Backup], wanted: str) -> Backup:
    """Return the backup that an ID, the name of an archive, or `latest` means. Raises BackupError."""
    name = id_of_file(wanted) or wanted
    found = next((backup for backup in backups if name in (backup.id, LATEST)), None)
    if not backups:
        raise BackupError(f"no backup {wanted!r}: there is none yet; `botwatch backup now` creates one")
    if found is None:
        raise BackupError(f"no backup {wanted!r}: `botwatch backup list` shows those that exist")
    return found


def _verify(given: Surroundings, options: Options) -> object:
    identities = read_identities(options.identity) if options.identity else []
    backup = find_backup(list_backups(given.sources.home), options.id)
    try:
        verified = verify_backup(given.sources, backup, identities, clock.now, show_progress)
    finally:
        end_progress()
    how = "a trial restore" if verified.verified_by == "trial restore" else "its SHA-256"
    manifest = verified.manifest
    rows = sum(sum(copy.rows.values()) for copy in manifest.databases.values()) if manifest else 0
    print_text(options, f"{verified.id} is sound: verified by {how}, {rows:,} rows in both databases.")
    return describe_backup(verified)

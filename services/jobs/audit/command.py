"""The command `botwatch audit`: list, export and verify the audit log of this machine, rotate its key."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace as Options
from typing import Annotated, Any, Literal

import msgspec
import typer
from sqlalchemy.exc import SQLAlchemyError

from services.jobs.config import JobsSettings
from shared.runtime import clock, databases
from shared.runtime.audit_key import KEY_NAME, audit_key, rotate_audit_key
from shared.runtime.command_home import require_database
from shared.runtime.config.documents import load_documents
from shared.runtime.credentials import share_audit_key
from shared.runtime.environment import load_settings
from shared.runtime.local_audit import local_actor
from shared.runtime.settings import PartSettings
from shared.schema.faults import Fault, InvalidError
from shared.schema.terminal_escaping import escape_controls
from shared.schema.timestamps import from_wire
from shared.store.audit import (
    AuditEntry,
    AuditFilter,
    AuditKeyFile,
    append_audit,
    list_audit,
    list_audit_after,
    verify_audit,
    wire_entry,
)
from shared.store.audit_chain import AuditRow, ChainReport
from shared.store.database import Database

FAILED = 1
BATCH = 500
DEFAULT_LIMIT = 50
Action = Callable[[Database, AuditKeyFile, Options], int]


def _moment(text: str) -> datetime:
    try:
        return from_wire(datetime.fromisoformat(text))
    except (ValueError, TypeError):  # TypeError: without a zone it cannot be compared
        expected = "expected ISO-8601 with a zone, such as 2026-11-28T12:00:00Z"
        raise typer.BadParameter(f"{expected}, got {text!r}") from None


def _time(text: str) -> Any:  # noqa: ANN401 - Typer's
    return typer.Option(parser=_moment, metavar="TIME", help=text)


ActionName = Annotated[
    str | None, typer.Option(help="Only actions that begin with this, such as user or alert.acknowledge.")
]
Actor = Annotated[str | None, typer.Option(help="Only of this name.")]
Target = Annotated[str | None, typer.Option(help="Only on this target.")]
Result = Annotated[Literal["ok", "denied", "failed"] | None, typer.Option(help="Only with this result.")]
Since = Annotated[datetime | None, _time("Only from this time on: ISO-8601 with a zone.")]
Until = Annotated[datetime | None, _time("Only before this time.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

app = typer.Typer()


@app.command("list")
def list_command(  # noqa: PLR0913 - filters
    *,
    action: ActionName = None,
    actor: Actor = None,
    target: Target = None,
    outcome: Result = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = DEFAULT_LIMIT,
    as_json: Json = False,
) -> int:
    """List entries, newest first."""
    wanted = AuditFilter(action=action, actor=actor, target=target, outcome=outcome, since=since, until=until)
    return run_audit(_list, Options(filter=wanted, limit=limit, json=as_json), os.environ)


@app.command("export")
def export_command(
    *,
    action: ActionName = None,
    actor: Actor = None,
    target: Target = None,
    outcome: Result = None,
    since: Since = None,
    until: Until = None,
) -> int:
    """Print entries as JSON lines, oldest first."""
    wanted = AuditFilter(action=action, actor=actor, target=target, outcome=outcome, since=since, until=until)
    return run_audit(_export, Options(filter=wanted), os.environ)


@app.command("verify")
def verify_command(*, as_json: Json = False) -> int:
    """Find changed, removed, moved or inserted entries."""
    return run_audit(_verify, Options(json=as_json), os.environ)


@app.command("rotate-key")
def rotate_command() -> int:
    """Chain the following entries with a new key."""
    return run_audit(_rotate_key, Options(), os.environ)


def run_audit(action: Action, options: Options, environ: Mapping[str, str]) -> int:
    """Run one action on the database of BOTWATCH_HOME; return 0, 1 where something is wrong."""
    try:
        with _open(environ) as (database, key):
            return action(database, key, options)
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch audit: {fault}\n" for fault in error.faults)
    except (SQLAlchemyError, OSError) as error:
        reason = str(error).partition("\n")[0]
        sys.stderr.write(f"botwatch audit: {reason}\n")
    return FAILED


@contextmanager
def _open(environ: Mapping[str, str]) -> Iterator[tuple[Database, AuditKeyFile]]:
    settings = load_settings(PartSettings, environ)
    url = databases.database_url(settings, load_documents(settings.botwatch_config, environ).health.database)
    database = Database(url, afresh=True)  # never creates the file
    try:
        require_database(database, "audit_denials", settings.botwatch_home)
        yield database, audit_key(settings.botwatch_home, environ)
    finally:
        database.close()


def _list(database: Database, _key: AuditKeyFile, options: Options) -> int:
    with database.read() as connection:
        rows = list_audit(connection, options.filter, options.limit)
    if options.json:
        print(msgspec.json.encode(list(map(wire_entry, rows))).decode())
    else:
        for row in rows:
            print(audit_line(row))
    return 0


def audit_line(row: AuditRow) -> str:
    """Return an entry on one line: number, time, who, from where, what, result, and what changed."""
    change = " → ".join(part for part in (row.before, row.after) if part)
    times = f" {row.count} times" if row.count > 1 else ""
    outcome = "" if row.outcome == "ok" else f" [{row.outcome}{times}]"
    address = f" from {row.address}" if row.address else ""
    who = f"{row.by or '-'}{address}"
    text = f"{row.id}  {row.timestamp} UTC  {who}  {row.action} {row.subject}{outcome}  {change}"
    return escape_controls(text.rstrip())


def _export(database: Database, _key: AuditKeyFile, options: Options) -> int:
    after, wanted = 0, options.filter
    while True:
        with database.read() as connection:
            rows = list_audit_after(connection, wanted, after, BATCH)
        if not rows:
            return 0
        for row in rows:
            print(msgspec.json.encode(wire_entry(row)).decode())
        after = rows[-1].id


def _verify(database: Database, key: AuditKeyFile, options: Options) -> int:
    with database.read() as connection:
        report = verify_audit(connection, key)
    if options.json:
        newest = report.newest
        print(
            msgspec.json.encode(
                {
                    "ok": report.fault is None,
                    "entries": report.entries,
                    "olderEntries": report.older,
                    "newest": newest and {"id": newest.id, "timestamp": newest.timestamp, "mac": newest.mac},
                    "fault": report.fault and report.fault._asdict(),
                }
            ).decode()
        )
    else:
        _print_report(report)
    return FAILED if report.fault else 0


def _print_report(report: ChainReport) -> None:
    if report.fault:
        print(f"Entry {report.fault.id} {report.fault.problem}.")
        print(f"{report.entries} entries before it are right. Keep the database file: it is evidence.")
        return
    older = f", {report.older} older than the chain" if report.older else ""
    print(f"The audit log is complete and unchanged: {report.entries} entries{older}.")
    if report.newest:
        print(f"Newest: entry {report.newest.id}, MAC {report.newest.mac}")


def _rotate_key(database: Database, key: AuditKeyFile, _options: Options) -> int:
    if not key.key.exists():
        raise InvalidError([Fault(str(key.key), "there is no audit key yet: start Botwatch first")])
    _add_key(key.key)
    entry = AuditEntry(action="audit.rotate-key", actor=local_actor(), target=str(key.key.name))
    with database.write() as connection:
        append_audit(connection, entry, clock.now(), key)
    print(f"A new audit key is in {key.key}; keep the older lines: they verify older entries.")
    return 0


def _add_key(path: Path) -> None:
    """Add a key to the file; in compose to that of the volume, from which each part has its own."""
    folder = load_settings(JobsSettings, os.environ).secrets_folder
    if folder is None:
        rotate_audit_key(path)
    else:
        rotate_audit_key(folder / KEY_NAME)
        share_audit_key(folder)

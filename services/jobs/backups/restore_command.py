"""The command `botwatch restore`."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace as Options
from typing import Annotated
from urllib.parse import urlsplit

import typer

from services.jobs.backups.archive import read_identities
from services.jobs.backups.commands import (
    LATEST,
    Identity,
    Json,
    Surroundings,
    end_progress,
    find_backup,
    print_text,
    run_command,
    show_progress,
)
from services.jobs.backups.errors import BackupError
from services.jobs.backups.journal import Journal, read_journal
from services.jobs.backups.log_range import Replay, plan_replay, read_log_range
from services.jobs.backups.running import ensure_stopped
from services.jobs.backups.workspace import DOWNLOADS
from shared.runtime import clock
from shared.runtime.backups import list_backups
from shared.runtime.credentials import operator_redis_url
from shared.runtime.local_audit import local_actor
from shared.schema.backups import id_of_file

app = typer.Typer()


@app.command()
def restore_command(
    backup: Annotated[
        str,
        typer.Argument(
            metavar="ID|FILE|URL", help=f"An ID from `botwatch backup list`, {LATEST}, a file, or s3://…"
        ),
    ],
    *,
    into: Annotated[Path | None, typer.Option(metavar="DIR", help="Extract into this folder only.")] = None,
    passwords: Annotated[
        bool,
        typer.Option(
            "--passwords",
            help="Replace the passwords that exist, too: those of a new installation on another machine.",
        ),
    ] = False,
    identity: Identity = None,
    as_json: Json = False,
) -> int:
    """Restore a backup."""
    options = Options(backup=backup, into=into, passwords=passwords, identity=identity, json=as_json)
    return run_command("restore", _restore, options)


def _restore(given: Surroundings, options: Options) -> object:
    from services.jobs.backups import restore  # noqa: PLC0415 - alembic takes seconds to load

    identities = read_identities(options.identity) if options.identity else []
    settings, sources, now = given.settings, given.sources, clock.now()
    journal = read_journal(sources)
    redis_url = operator_redis_url(settings, os.environ)
    if not options.into:
        ensure_stopped(sources, redis_url)
    with _located(given, options.backup, journal.id if journal else None) as archive:
        request = restore.Request(
            archive, identities, settings.botwatch_key, local_actor(), now, options.passwords
        )
        try:
            if options.into:
                manifest = restore.restore_into(options.into, request, show_progress)
                print_text(options, f"Extracted {manifest.id} into {options.into}.")
                return manifest
            done = restore.restore_backup(sources, request, show_progress)
        finally:
            end_progress()
    found = read_log_range(redis_url, sources.home / "data" / "redis")
    replay = plan_replay(done.manifest.position, found, now) if found else None
    for line in report_lines(done, replay):
        print_text(options, line)
    return restore_summary(done, replay)


def report_lines(done: Journal, replay: Replay | None) -> Iterator[str]:
    """Yield what was restored, what is read again from the log, and what is lost."""
    made = done.manifest.finished_at
    yield f"Restored {done.id}, made {_time(made)} by Botwatch {done.manifest.version}."
    yield f"The old state is in {done.aside}; delete it when it is no longer needed."
    yield from done.notes
    if replay is None:
        yield "Redis is not running: what its log has since then is read again at the next start."
    elif replay.replayed:
        begin, end = replay.replayed
        yield f"At the next start records from {_time(begin)} to {_time(end)} are read again from the log."
    else:
        yield "The log has no newer records: nothing is read again."
    if replay and replay.lost:
        begin, end = replay.lost
        yield (
            f"Lost: records from {_time(begin)} to {_time(end)}, which the log no longer has, "
            "but for what is in the old state."
        )
    yield (
        f"Acknowledgements, silences, users and tokens are as they were at {_time(made)}: revoke again "
        "what was revoked since. Notifications of alerts that open again may be sent again."
    )
    yield "Start Botwatch now."


def restore_summary(done: Journal, replay: Replay | None) -> Mapping[str, object]:
    """Return a restore as `--json` shows it."""
    return {
        "id": done.id,
        "version": done.manifest.version,
        "position": done.manifest.position,
        "movedAside": done.aside,
        "replayed": replay.replayed if replay else None,
        "lost": replay.lost if replay else None,
        "notes": done.notes,
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


@contextmanager
def _located(given: Surroundings, wanted: str, interrupted: str | None) -> Iterator[Path]:
    """Yield the archive that is meant, downloaded if it is elsewhere."""
    name = wanted.rstrip("/").rpartition("/")[2]
    backup = id_of_file(name) or name
    if interrupted:
        if backup not in (interrupted, LATEST):
            raise BackupError(
                f"a restore was interrupted: complete it first with `botwatch restore {interrupted}`"
            )
        yield given.sources.folder / name
    elif urlsplit(wanted).scheme == "s3":
        with _downloaded(given, wanted.rpartition("/")[0], name) as path:
            yield path
    elif Path(wanted).is_file():
        if not id_of_file(name):
            raise BackupError(
                f"{wanted} is no backup: expected a name such as botwatch-20260131T021700Z.tar.zst"
            )
        yield Path(wanted)
    else:
        yield given.sources.folder / find_backup(list_backups(given.sources.home), wanted).file


@contextmanager
def _downloaded(given: Surroundings, folder: str, name: str) -> Iterator[Path]:
    from services.jobs.backups.remote import RemoteFolder  # noqa: PLC0415 - 8 MB of memory

    work = given.sources.folder / f"{DOWNLOADS}{os.getpid()}"
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield RemoteFolder(folder, given.settings).download(name, work, show_progress)
    finally:
        shutil.rmtree(work)

"""Diagnostics of the databases: schema, integrity, jobs, self-alerts, backups."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from shlex import quote

from services.native.diagnostics.finding import Finding, critical, ok, warning
from services.native.diagnostics.machine import in_mb
from services.native.diagnostics.site import Site
from shared.runtime import clock
from shared.runtime.backups import FOLDER, interrupted_restore, list_backups
from shared.schema.timestamps import from_store
from shared.store.revisions import known_revisions, open_read_only, stored_revision

CHECK_LIMIT_S = 10.0
"""How long the integrity check of one database may take."""
STEPS = 100_000
"""SQLite's steps between two looks at the time."""
BACKUP_DUE = timedelta(hours=26)
DISK_LASTS_DAYS = 30
"""A disk that its databases fill sooner is reported."""
JOB_OVERDUE = timedelta(minutes=30)
RESTORE = "start_monitoring.sh --stop, then `botwatch restore latest`"


def check_versions(site: Site) -> Iterator[Finding]:
    """Check that no database is newer than the code; in containers the service `migrate` does."""
    if site.way == "compose":
        return
    for line, path in site.databases.items():
        if not path.exists() or not path.stat().st_size:
            yield ok(f"{path.name} will be created")
            continue
        known = known_revisions(line)
        try:
            found = stored_revision(path)
        except (sqlite3.Error, OSError) as error:
            yield _unreadable(path, error)
            continue
        if found in (None, known[-1]):
            yield ok(f"{path.name} has schema {known[-1]}", found)
        elif found in known:
            yield ok(f"{path.name} has schema {found} and is migrated to {known[-1]} by the start", found)
        else:
            yield critical(
                f"{path.name} has schema {found}, newer than this version knows (≤ {known[-1]})",
                "install the version that wrote it, or restore the backup from before the upgrade",
                found,
            )


def _unreadable(path: Path, error: Exception) -> Finding:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    is_denied = "unable to open" in str(reason) or "readonly" in str(reason)
    fix = f"sudo chown $USER {quote(str(path))}* && chmod 640 {quote(str(path))}*" if is_denied else RESTORE
    return critical(f"{path} cannot be read: {reason}", fix, str(path))


def check_integrity(site: Site) -> Iterator[Finding]:
    """Check each file with SQLite's quick_check, for a bounded time, and show its size."""
    for path in site.databases.values():
        if not path.exists():
            yield warning(f"{path} does not exist", "the start creates it", str(path))
            continue
        size = path.stat().st_size
        try:
            with closing(open_read_only(path)) as connection:
                deadline = time.monotonic() + CHECK_LIMIT_S
                connection.set_progress_handler(partial(_is_past, deadline), STEPS)
                (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            if "interrupted" in str(error):
                yield ok(f"{path.name} ({in_mb(size)}): no damage found within {CHECK_LIMIT_S:g} s", size)
            else:
                yield _unreadable(path, error)
            continue
        if result == "ok":
            yield ok(f"{path.name} ({in_mb(size)}) is intact", size)
        else:
            yield critical(f"{path.name} is damaged: {result.splitlines()[-1]}", RESTORE, size)


def _is_past(deadline: float) -> bool:
    return time.monotonic() > deadline


def check_sizes(site: Site) -> Iterator[Finding]:
    """Show how much each database grows, and report when its disk will be full."""
    for name, path in site.databases.items():
        days = _rows(
            site,
            "SELECT day, bytes FROM database_sizes WHERE tableName = '' AND database = ?"
            " AND day >= date('now', '-8 days') ORDER BY day",
            name,
        )
        ((first, before), (last, size)) = (days[0], days[-1]) if days else ((None, 0), (None, 0))
        if first == last:
            yield ok(f"{path.name}: growth is not known yet, it is measured once a day")
            continue
        per_day = (int(str(size)) - int(str(before))) / _days_between(str(first), str(last))
        what = f"{path.name} grows by {in_mb(max(0, per_day))} a day"
        left = shutil.disk_usage(path.parent).free / per_day if per_day > 0 else float("inf")
        if left < DISK_LASTS_DAYS:
            fix = f"botwatch maintain, lower retentionDays, or enlarge the disk (df -h {path.parent})"
            yield warning(
                f"{what}: its disk is full in {left:.0f} days (≥ {DISK_LASTS_DAYS})", fix, round(per_day)
            )
        else:
            yield ok(what, round(per_day))


def _days_between(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


def check_jobs(site: Site) -> Iterator[Finding]:
    """Check how each background job last ran."""
    now = clock.now()
    for name, failures, error, due, last in _rows(
        site, "SELECT name, failures, error, nextDueAt, lastSuccessAt FROM job_runs ORDER BY name"
    ):
        log = f"tail {quote(f'{site.home}/logs/jobs.log')} (docs/runbooks/botwatch-job-failing.md)"
        if failures:
            yield warning(f"job {name} has failed {failures} times: {error}", log, int(str(failures)))
        elif now > from_store(str(due)) + JOB_OVERDUE and site.supervisor:
            yield warning(f"job {name} is overdue since {due}", log, str(due))
        else:
            yield ok(f"job {name} last succeeded {last or 'never (not due yet)'}", str(last or ""))


def check_self_alerts(site: Site) -> Iterator[Finding]:
    """Report the open alerts about Botwatch itself."""
    rows = _rows(
        site,
        "SELECT severity, message, timestamp FROM alerts WHERE component = 'botwatch'"
        " AND status != 'RESOLVED' AND id != 'watchdog' ORDER BY timestamp LIMIT 20",
    )
    for severity, message, since in rows:
        what = f"open alert since {since}: {message}"
        fix = "follow its runbook on the page, or in docs/runbooks"
        yield critical(what, fix) if severity == "CRITICAL" else warning(what, fix)
    if not rows and site.databases and site.databases["health"].exists():
        yield ok("no open alert about Botwatch itself")


def check_restore(site: Site) -> Iterator[Finding]:
    """Check that no restore was interrupted: the databases are then of two moments."""
    if backup := interrupted_restore(site.home):
        yield critical(f"the restore of {backup} was interrupted", f"botwatch restore {backup}", backup)


def check_backups(site: Site) -> Iterator[Finding]:
    """Check that there is a recent, verified backup."""
    now = "botwatch backup now"
    verified = [backup for backup in list_backups(site.home) if backup.verified_at]
    if not verified:
        yield warning(f"no verified backup in {site.home / FOLDER}", now)
        return
    age = clock.now() - verified[0].created_at
    hours = age.total_seconds() / 3600
    what = f"the last backup, {verified[0].id}, is {hours:.1f} h old"
    if age > BACKUP_DUE:
        yield warning(f"{what} (≤ {BACKUP_DUE.total_seconds() / 3600:.0f} h)", now, round(hours, 1))
    else:
        yield ok(f"{what} and verified", round(hours, 1))


def _rows(site: Site, statement: str, *values: str) -> list[tuple[object, ...]]:
    """Return rows of the health database; none without that database or table."""
    path = site.databases.get("health")
    if path is None or not path.exists():
        return []
    try:
        with closing(open_read_only(path)) as connection:
            return connection.execute(statement, values).fetchall()
    except sqlite3.Error:
        return []  # the integrity check says why

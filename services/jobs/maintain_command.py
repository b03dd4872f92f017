"""The command `botwatch maintain`: runs the jobs that free space now, and shows sizes before and after."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace as Options
from typing import Annotated, NamedTuple

import msgspec
import typer

from services.jobs.backups.commands import (
    Json,
    Surroundings,
    end_progress,
    print_text,
    run_command,
    show_progress,
    size_text,
)
from services.jobs.clean_files import delete_old_files
from services.jobs.context import JobContext, JobFunction, open_context
from services.jobs.log_archive import archive_logs
from services.jobs.retention import remove_expired_rows
from services.jobs.sizes import store_sizes
from services.jobs.storage import WalBusyError, reclaim_free_pages, rewrite_databases, truncate_wals
from shared.runtime.command_home import require_database
from shared.runtime.local_audit import local_actor
from shared.schema.faults import Fault, InvalidError
from shared.store.database_sizes import DatabaseGrowth, Growth, read_growth

MOST_TABLES = 5
"""Number of tables that the text shows, the largest; `--json` has all."""


class Step(NamedTuple):
    """A job that the command runs."""

    job: str
    function: JobFunction
    label: str
    """Begins the line about what it did."""


STEPS = (
    Step("retention", remove_expired_rows, "Expired rows deleted"),
    Step("clean-files", delete_old_files, "Old files deleted"),
    Step("log-archive", archive_logs, "Log files"),
    Step("vacuum", reclaim_free_pages, "Free pages returned to the file system"),
    Step("wal-checkpoint", truncate_wals, "Write-ahead logs emptied, bytes"),
)
FULL_VACUUM = Step("vacuum", rewrite_databases, "VACUUM done, pages freed")


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """What the command did, as `--json` shows it: each by database or by job."""

    bytes_before: dict[str, int]
    bytes_after: dict[str, int]
    done: dict[str, Mapping[str, int]]
    sizes: dict[str, DatabaseGrowth | None]


app = typer.Typer()


@app.command()
def maintain(
    *,
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum",
            help="Rewrite both databases whole, in quiet hours: new records wait in the log meanwhile.",
        ),
    ] = False,
    resolved_alerts_days: Annotated[
        int | None,
        typer.Option(
            metavar="DAYS",
            help="Delete alerts resolved longer ago than this.",
            show_default="alerts.retentionDays",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Free space now, while Botwatch runs or not: expired rows, old files, free pages; show sizes."""
    options = Options(vacuum=vacuum, resolved_alerts_days=resolved_alerts_days, json=as_json)
    return run_command("maintain", _maintain, options)


def _maintain(_: Surroundings, options: Options) -> object:
    with open_context() as opened:
        context = _with_alert_days(opened._replace(actor=local_actor()), options.resolved_alerts_days)
        for database in context.databases.values():
            require_database(database, "log_position", context.home)
        before, done = _file_sizes(context), {}
        for step in STEPS:
            chosen = FULL_VACUUM if options.vacuum and step.job == FULL_VACUUM.job else step
            done[step.job] = _run(chosen, context, options)
        store_sizes(context)
        with context.health.read() as connection:
            sizes = {name: read_growth(connection, name) for name in before}
        report = Report(before, _file_sizes(context), done, sizes)
    for line in _size_lines(report):
        print_text(options, line)
    return report


def _with_alert_days(context: JobContext, days: int | None) -> JobContext:
    if days is None:
        return context
    if days < 1:
        raise InvalidError([Fault("--resolved-alerts-days", f"expected at least 1, got {days}")])
    replace, documents = msgspec.structs.replace, context.documents
    alerts = replace(documents.health.alerts, retention_days=days)
    return context._replace(documents=replace(documents, health=replace(documents.health, alerts=alerts)))


def _file_sizes(context: JobContext) -> dict[str, int]:
    return {name: database.file_bytes() for name, database in context.databases.items()}


def _run(step: Step, context: JobContext, options: Options) -> Mapping[str, int]:
    """Run one job, print what it did, and return it."""
    show_progress(f"{step.job} …")
    try:
        result = step.function(context)
    except WalBusyError as error:
        print_text(options, f"{error}; the job {step.job} tries again every hour.")
        return {}
    finally:
        end_progress()
    counts = ", ".join(f"{name} {count:,}" for name, count in result.items() if count)
    print_text(options, f"{step.label}: {counts or 'none'}.")
    return result


def _size_lines(report: Report) -> Iterator[str]:
    for name, size in report.bytes_after.items():
        yield f"Database {name}: {size_text(report.bytes_before[name])} before, {size_text(size)} now."
        growth = report.sizes[name]
        if growth is None:
            continue
        largest = sorted(growth.tables.items(), key=lambda pair: -(pair[1].bytes or 0))
        for table, found in [("whole database", growth.whole), *largest[:MOST_TABLES]]:
            yield f"  {table:<22}{_describe(found)}"


def _describe(size: Growth) -> str:
    rows = f"{size.rows:>12,} rows" if size.rows is not None else f"{'':>17}"
    amount = f"{size_text(size.bytes):>14}" if size.bytes is not None else ""
    growth = f"  grows by {size_text(size.bytes_per_day)} a day" if size.bytes_per_day is not None else ""
    return f"{rows}{amount}{growth}".rstrip()

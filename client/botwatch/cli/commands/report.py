"""`botwatch report`: list, create and download reports."""

import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from botwatch.cli.acting import By, act
from botwatch.cli.api_command import Api, ListGroup, api_command
from botwatch.cli.exit_codes import FAILED, OK
from botwatch.cli.formatting import clock, parse_time
from botwatch.cli.output import fail, print_fields, print_line, print_table
from botwatch.errors import RefusedError
from botwatch.typed_json import Document

PATH = "/api/monitoring/reports"
POLL_S = 0.5
PATTERN_SIGNS = frozenset("*?[")

app = typer.Typer(cls=ListGroup)


class Period(StrEnum):
    """A period of reports."""

    daily = "daily"
    weekly = "weekly"
    monthly = "monthly"


class Kind(StrEnum):
    """What is in a report: `performance` leaves out alerts, on call, checks and hosts."""

    monitoring = "monitoring"
    performance = "performance"


class Format(StrEnum):
    """A format of a report's file."""

    html = "html"
    pdf = "pdf"
    json = "json"


@app.command("list")
@api_command
def list_reports(
    api: Api, *, limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 20
) -> int:
    """List reports, the latest first."""
    reports = api.get(f"{PATH}?limit={limit}", list[Document])
    if api.as_json:
        api.print_json(reports)
        return OK
    now = datetime.now(UTC)
    print_table(
        ("ID", "STATE", "REQUESTED>", "BY", "STATUS", "TITLE"),
        [
            (
                one["reportId"],
                one["state"],
                clock(one["requestedAt"], now),
                one["schedule"] or one["requestedBy"],
                one["status"] or "",
                one["title"],
            )
            for one in reports
        ],
        empty="No report has been built; `botwatch report create` builds one.",
    )
    return OK


@app.command()
@api_command
def create(  # noqa: PLR0913 - options
    api: Api,
    *,
    period: Annotated[
        Period | None, typer.Option(help="The last complete one.", show_default="daily")
    ] = None,
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME|7d", help="Begin of the period.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME|1d", help="Its end; default: now.")] = None,
    bot: Annotated[
        list[str] | None, typer.Option(help="Of this bot, or of these: 'scalper-*'; repeatable.")
    ] = None,
    kind: Annotated[
        Kind, typer.Option(help="performance leaves out alerts, checks and hosts.")
    ] = Kind.monitoring,
    time_zone: Annotated[str | None, typer.Option(help="Where days begin; default: UTC.")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="Send it to this channel; repeatable.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is built.")] = False,
    by: By = "",
) -> int:
    """Build a report and wait for it.

    By default of yesterday, of all bots, with a page and a PDF.
    """
    for name in bot or ():
        if not set(name) & PATTERN_SIGNS:
            api.get(f"/api/monitoring/bots/{quote(name, safe='')}", Document)  # refused: there is no such bot
    body: Document = {"kind": kind, "formats": ["html", "pdf"], "bots": bot or [], "channels": channel or []}
    body |= {"period": period} if period else {}
    body |= {"timeZone": time_zone} if time_zone else {}
    body |= {name: _time(text, f"--{name}") for name, text in (("from", begin), ("to", end)) if text}
    entry = act(lambda name: api.post(PATH, body | ({"requestedBy": name} if name else {}), Document), by)
    if not no_wait:
        entry = _wait(api, entry)
    if api.as_json:
        api.print_json(entry)
    elif entry["state"] == "failed":
        fail(f"the report could not be built: {entry['error']}")
    else:
        _print_entry(api, entry)
    return FAILED if entry["state"] == "failed" else OK


def _wait(api: Api, entry: Document) -> Document:
    """Return a report's entry when it is built or has failed; Ctrl-C leaves it to be built."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    shown = Console(stderr=True)
    with Progress(*columns, console=shown, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(entry["state"])
        while entry["state"] in ("pending", "running"):
            progress.update(task, description=f"{entry['title']}: {entry['state']}")
            time.sleep(POLL_S)
            entry = api.get(f"{PATH}/{entry['reportId']}/entry", Document)
    return entry


def _print_entry(api: Api, entry: Document) -> None:
    print_line(str(entry["title"]))
    report_id = entry["reportId"]
    print_fields(
        {
            "ID": report_id,
            "state": entry["state"],
            "status": entry["status"],
            "recommendations": None if entry["recommendations"] is None else str(entry["recommendations"]),
            "page": f"{api.url.rstrip('/')}{PATH}/{report_id}/html",
            "download": f"botwatch report download {report_id} --format pdf",
        }
    )


@app.command()
@api_command
def download(
    api: Api,
    report_id: Annotated[
        str, typer.Argument(metavar="ID", help="The report: its ID, the beginning of it, or 'latest'.")
    ],
    *,
    kind: Annotated[Format, typer.Option("--format", help="Which of its files.")] = Format.html,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to; '-': standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> int:
    """Download a report as a web page, as a PDF or as JSON."""
    found = _find_id(api, report_id)
    content = api.get_bytes(f"{PATH}/{found}" + ("" if kind is Format.json else f"/{kind}"))
    if output == Path("-"):
        sys.stdout.buffer.write(content)
        return OK
    target = output or Path(f"{found}.{kind}")
    try:
        with target.open("wb" if force else "xb") as file:
            file.write(content)
    except FileExistsError:
        fail(f"{target} is there already; --force replaces it")
        return FAILED
    except OSError as error:
        fail(f"cannot write {target}: {error.strerror}")
        return FAILED
    if api.as_json:
        api.print_json({"file": str(target), "bytes": len(content)})
    else:
        print_line(f"{target} ({len(content):,} bytes)")
    return OK


def _find_id(api: Api, typed: str) -> str:
    """Return the ID of the report whose ID begins with `typed`; RefusedError unless it is exactly one."""
    reports = api.get(f"{PATH}?limit=1000", list[Document])
    if typed == "latest":
        found = [str(one["reportId"]) for one in reports if one["state"] == "done"][:1]
    else:
        found = [str(one["reportId"]) for one in reports if one["reportId"].startswith(typed)]
    if len(found) == 1 or typed in found:
        return quote(typed if typed in found else found[0], safe="")
    if found:
        raise RefusedError(f"{len(found)} reports have IDs that begin with {typed!r}: type more of it")
    raise RefusedError(f"no report has an ID that begins with {typed!r}; `botwatch report list` lists them")


def _time(text: str, option: str) -> str:
    try:
        return parse_time(text, datetime.now(UTC)).isoformat(timespec="seconds")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error

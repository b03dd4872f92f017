"""`botwatch checks`: list checks, and show one with its availability."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

import typer

from botwatch.cli.api_command import Api, ListGroup, api_command
from botwatch.cli.exit_codes import FAILED, OK
from botwatch.cli.formatting import clock, span, value
from botwatch.cli.output import age, print_fields, print_line, print_table
from botwatch.errors import RefusedError
from botwatch.typed_json import Document

PATH = "/api/monitoring/checks"
WINDOWS = ("24h", "7d", "90d")

app = typer.Typer(cls=ListGroup)


class Status(StrEnum):
    """A status of checks."""

    ok = "ok"
    warning = "warning"
    critical = "critical"
    unknown = "unknown"


Host = Annotated[str | None, typer.Option(help="Only of this host.")]


@app.command("list")
@api_command
def list_checks(
    api: Api,
    *,
    host: Host = None,
    status: Annotated[Status | None, typer.Option(help="Only with this status.")] = None,
) -> int:
    """List all checks; exit code 1 if one of them is critical."""
    given = {"host": host, "status": status}
    query = urlencode({name: text for name, text in given.items() if text})
    hosts = api.get(f"{PATH}?{query}", dict[str, dict[str, Document]])
    if api.as_json:
        api.print_json(hosts)
    else:
        print_table(
            ("HOST", "CHECK", "STATUS", "LATENCY>", "LAST RESULT>", "RESULT"),
            [check_row(name, check) for name, checks in hosts.items() for check in checks.values()],
            empty="No check matches." if query else "No check is configured: see docs/health.md.",
        )
    is_critical = any(one["status"] == "critical" for checks in hosts.values() for one in checks.values())
    return FAILED if is_critical else OK


def check_row(host: str, check: Document) -> tuple[str, ...]:
    """Return a check's host, name, status, latency, age and result."""
    return (
        host,
        check["check"],
        check["status"],
        value(check.get("checkLatencyMs"), "milliseconds"),
        age(check.get("ageSeconds")),
        check.get("text", ""),
    )


@app.command()
@api_command
def show(
    api: Api,
    name: Annotated[str, typer.Argument(metavar="CHECK", help="The check.")],
    *,
    host: Host = None,
) -> int:
    """Show a check on every host.

    Its availability over 24 hours, 7 and 90 days, and its outages.

    Exit code 1 if it is critical.
    """
    given = {"check": name} | ({"host": host} if host else {})
    found = api.get(f"{PATH}/availability?{urlencode(given | {'bars': '90d'})}", Document)
    if not found["checks"]:
        raise RefusedError(f"no check is named {name!r}; `botwatch checks list` lists them")
    if api.as_json:
        api.print_json(found)
    else:
        outages = api.get(f"{PATH}/outages?{urlencode(given)}", Document)["outages"]
        for check in found["checks"]:
            _print_check(check, [one for one in outages if one["host"] == check["host"]])
    return FAILED if any(one["status"] == "critical" for one in found["checks"]) else OK


def _print_check(check: Document, outages: list[Document]) -> None:
    now = datetime.now(UTC)
    status = check["status"].replace("_", " ")
    print_line(f"{status}  {check['check']} on {check['host']}", style_of=status)
    print_fields(
        {
            "type": check.get("type"),
            "since": clock(check["since"], now),
            "last result": clock(check["lastAt"], now),
        }
    )
    print()
    print_table(
        ("WINDOW", "AVAILABLE>", "CRITICAL>", "UNKNOWN>", "NO DATA>", "OUTAGES>"),
        [
            (
                window,
                value(found["availability"], "percent"),
                span(found["seconds"]["critical"]),
                span(found["seconds"]["unknown"]),
                span(found["seconds"]["noData"]),
                str(found["outages"]),
            )
            for window, found in ((one, check["windows"][one]) for one in WINDOWS)
        ],
        empty="",
    )
    print()
    print_table(
        ("OUTAGE BEGAN>", "LASTED>", "RESULT"),
        [
            (
                clock(one["begin"], now),
                span(one["durationSeconds"]) + ("" if one["end"] else " so far"),
                one["text"],
            )
            for one in outages[:10]
        ],
        empty="No outage in 90 days.",
    )

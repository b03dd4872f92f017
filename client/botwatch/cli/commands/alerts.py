"""`botwatch alerts`: list, show, acknowledge and silence alerts."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from botwatch.cli.acting import By, act
from botwatch.cli.api_command import Api, ListGroup, api_command
from botwatch.cli.exit_codes import OK, REFUSED
from botwatch.cli.formatting import clock, parse_duration, parse_time, span
from botwatch.cli.output import fail, print_fields, print_line, print_table
from botwatch.cli.rows import alert_status, print_alerts
from botwatch.cli.silencing import Comment, For, Matcher, create_silence, describe_silence
from botwatch.errors import RefusedError
from botwatch.typed_json import Document

PATH = "/api/monitoring/alerts"
OPEN = "ACTIVE,ACKNOWLEDGED"
ID_LENGTH = 32
SEARCHED = 1000
"""Alerts among which the beginning of an ID is looked for: the newest."""

app = typer.Typer(cls=ListGroup)


class Status(StrEnum):
    """A status of alerts."""

    active = "active"
    acknowledged = "acknowledged"
    resolved = "resolved"


class Severity(StrEnum):
    """A severity."""

    critical = "critical"
    high = "high"
    medium = "medium"
    low = "low"


Names = list[str]
Ids = Annotated[
    list[str], typer.Argument(metavar="ID…", help="Alerts: their IDs, or the beginnings of them.")
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The alert: its ID, or the beginning of it.")]


@app.command("list")
@api_command
def list_alerts(  # noqa: PLR0913 - options
    api: Api,
    *,
    status: Annotated[
        list[Status] | None, typer.Option(help="Repeatable.", show_default="active, acknowledged")
    ] = None,
    all_statuses: Annotated[bool, typer.Option("--all", help="Of every status.")] = False,
    severity: Annotated[list[Severity] | None, typer.Option(help="Repeatable.")] = None,
    bot: Annotated[Names | None, typer.Option(help="Of this bot; repeatable.")] = None,
    host: Annotated[Names | None, typer.Option(help="Of this host; repeatable.")] = None,
    rule: Annotated[Names | None, typer.Option(help="Of this rule; repeatable.")] = None,
    text: Annotated[
        str | None, typer.Option(help="Words in the message, the rule, the assignee or the comment.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME|2h", help="Opened at this time or later.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most this many.")] = 100,
) -> int:
    """List the open alerts, newest first.

    Others with --all or --status.
    """
    chosen = list(Status) if all_statuses else status or [Status.active, Status.acknowledged]
    given = {
        "status": [one.upper() for one in chosen],
        "severity": [one.upper() for one in severity or ()],
        "bot": bot,
        "host": host,
        "rule": rule,
        "text": [text] if text else None,
        "from": [_opened_from(since)] if since else None,
        "limit": [str(limit)],
    }
    query = urlencode({name: ",".join(values) for name, values in given.items() if values}, safe=",")
    alerts = api.get(f"{PATH}?{query}", list[Document])
    if api.as_json:
        api.print_json(alerts)
        return OK
    print_alerts(alerts, datetime.now(UTC))
    if len(alerts) == limit:
        print_line(f"The newest {limit} are listed; --limit lists more.")
    return OK


@app.command()
@api_command
def show(api: Api, alert_id: Id) -> int:
    """Show an alert with its timeline and its deliveries."""
    alert = api.get(f"{PATH}/{find_id(api, alert_id)}", Document)
    if api.as_json:
        api.print_json(alert)
    else:
        print_alert(alert, datetime.now(UTC))
    return OK


@app.command("ack")
@api_command
def acknowledge(
    api: Api,
    alert_ids: Ids,
    *,
    comment: Annotated[str | None, typer.Option("--comment", "-c", help="What is being done.")] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="2h", help="After this time the alert is active again.")
    ] = None,
    by: By = "",
) -> int:
    """Acknowledge alerts: they notify no more, unless they get worse."""
    body: Document = {"ids": [find_id(api, one) for one in alert_ids]}
    body |= {"comment": comment} if comment else {}
    if timeout:
        body["timeout"] = _checked_duration(timeout, "--timeout")
    results = act(
        lambda name: api.post(f"{PATH}/acknowledge", body | ({"by": name} if name else {}), list[Document]),
        by,
    )
    if api.as_json:
        api.print_json(results)
    return max([_print_result(api, one) for one in results], default=OK)


def _print_result(api: Api, result: Document) -> int:
    alert = result["alert"]
    if result["outcome"] == "acknowledged":
        if not api.as_json:
            print_line(f"{alert['severity']} {alert['component']}: {alert['message']}")
            print_line(f"  acknowledged by {alert['assignee']}")
        return OK
    if result["outcome"] == "resolved":
        fail(f"alert {result['id']} is resolved already: {alert['message']}")
    else:
        fail(f"no alert has the ID {result['id']}; `botwatch alerts list --all` lists them")
    return REFUSED


@app.command()
@api_command
def silence(
    api: Api,
    alert_id: Id,
    *,
    length: For = "2h",
    comment: Comment = "",
    by: By = "",
) -> int:
    """Mute an alert and others like it.

    Those of the same rule on the same bot or host.
    """
    alert = api.get(f"{PATH}/{find_id(api, alert_id)}", Document)
    details = alert["details"]
    labels = {"alertname": details["rule"]} | {
        name: details[name] for name in ("bot", "host") if details.get(name)
    }
    matchers = [Matcher(name, text) for name, text in labels.items()]
    made = create_silence(api, matchers, length, comment or f"silenced {alert['message']}", by)
    if api.as_json:
        api.print_json(made)
    else:
        describe_silence(made, datetime.now(UTC))
    return OK


def find_id(api: Api, typed: str) -> str:
    """Return the ID of the alert whose ID begins with `typed`; RefusedError unless there is exactly one."""
    if len(typed) >= ID_LENGTH:
        return quote(typed, safe="")
    for status in (OPEN, "RESOLVED"):
        alerts = api.get(f"{PATH}?status={status}&limit={SEARCHED}", list[Document])
        found = [one["id"] for one in alerts if one["id"].startswith(typed)]
        if len(found) == 1:
            return str(found[0])
        if found:
            raise RefusedError(f"{len(found)} alerts have IDs that begin with {typed!r}: type more of it")
    raise RefusedError(
        f"no alert has an ID that begins with {typed!r}; `botwatch alerts list --all` lists them"
    )


def print_alert(alert: Document, now: datetime) -> None:
    """Print an alert in full."""
    details = alert["details"]
    print_line(
        f"{alert['severity']}  {alert['component']}: {alert['message']}", style_of=str(alert["severity"])
    )
    handled = f" by {alert['assignee']}" if alert.get("assignee") else ""
    muted = details.get("mutedBy")
    annotations = details.get("external", {}).get("annotations", {})
    links = details.get("links", {})
    print_fields(
        {
            "ID": alert["id"],
            "status": alert_status(alert) + handled + (f": {muted}" if muted else ""),
            "comment": alert.get("comment"),
            "until": alert.get("acknowledgedUntil") and clock(alert["acknowledgedUntil"], now),
            "opened": clock(alert["timestamp"], now),
            "resolved": alert.get("resolvedAt") and clock(alert["resolvedAt"], now),
            "acknowledged after": _span(alert.get("timeToAcknowledgeSeconds")),
            "resolved after": _span(alert.get("timeToResolveSeconds")),
            "rule": details["rule"],
            "category": alert["category"],
            "labels": ", ".join(f"{name}={text}" for name, text in details.get("labels", {}).items()),
            "description": annotations.get("description"),
            "page": links.get("alert"),
            "runbook": links.get("runbook"),
            "source": links.get("source"),
        }
    )
    _print_history(alert, now)


def _print_history(alert: Document, now: datetime) -> None:
    print()
    print_table(
        ("TIME>", "CHANGE", "SEVERITY", "BY", "MESSAGE"),
        [
            (
                clock(one["timestamp"], now),
                one["change"],
                one.get("severity") or "",
                one.get("by") or "",
                one.get("comment") or one.get("message") or "",
            )
            for one in alert.get("timeline", ())
        ],
        empty="Its timeline is empty.",
    )
    if deliveries := alert.get("notifications"):
        print()
        print_table(
            ("CHANNEL", "CHANGE", "STATE", "CREATED>", "SENT>", "WHY"),
            [
                (
                    one["channel"],
                    one["change"],
                    one["state"],
                    clock(one["createdAt"], now),
                    clock(one.get("sentAt"), now),
                    one.get("lastError") or one.get("reason") or "",
                )
                for one in deliveries
            ],
            empty="",
        )


def _span(seconds: float | None) -> str | None:
    return None if seconds is None else span(seconds)


def _opened_from(text: str) -> str:
    try:
        return parse_time(text, datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--since") from error


def _checked_duration(text: str, option: str) -> float:
    try:
        return parse_duration(text).total_seconds()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error

"""`botwatch tail`: follow records and alerts as they happen."""

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Annotated

import typer

from botwatch import validation
from botwatch.cli.api_command import URL, Token, Url, connect
from botwatch.cli.exit_codes import OK
from botwatch.cli.formatting import clock
from botwatch.cli.live_stream import LiveStream, find_websocket
from botwatch.cli.output import print_line
from botwatch.typed_json import Document

ALERT = "alert"
KINDS = (*validation.KINDS, "health", "check")
SHOWN_METRICS = ("portfolioValue", "totalPnL", "currentDrawdown", "sharpeRatio", "winRate")
"""Of the many of a `performance` record."""
_COMMON = ("kind", "bot", "host", "timestamp", "id", "labels")

app = typer.Typer()


@app.command()
def tail(  # noqa: PLR0913 - options
    *,
    bot: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Of this bot or host, or 'scalper-*'; repeatable."),
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Records of this kind; repeatable.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Alerts of this severity; repeatable.")] = None,
    alerts: Annotated[bool, typer.Option("--alerts", help="Only alerts.")] = False,
    records: Annotated[bool, typer.Option("--records", help="Only records.")] = False,
    url: Url = URL,
    token: Token = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages as JSON lines.")] = False,
) -> int:
    """Follow records and alerts until Ctrl-C; goes on after an interruption where it was."""
    if alerts and records:
        raise typer.BadParameter("expected one of --alerts and --records, got both")
    kinds = [ALERT] if alerts else [*(kind or (KINDS if records else ()))]
    query = [("kind", one) for one in kinds]
    query += [("severity", one.upper()) for one in severity or ()]
    patterns = bot or []
    if not any(_is_pattern(one) for one in patterns):
        query += [("bot", one) for one in patterns]
    with closing(connect(url, token)) as api:
        stream = LiveStream(find_websocket(api), api.token, query)
    for message in stream.messages():
        if not _is_wanted(message, patterns):
            continue
        if as_json:
            print(json.dumps(message, ensure_ascii=False), flush=True)
        else:
            _print_message(message)
            sys.stdout.flush()
    return OK


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _is_wanted(message: Document, patterns: list[str]) -> bool:
    if message["type"] not in ("record", "alert"):
        return False
    if not patterns:
        return True
    about = message.get("record") or message["alert"]
    names = {str(about[name]) for name in ("bot", "host", "component") if about.get(name)}
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _print_message(message: Document) -> None:
    now = datetime.now(UTC)
    if message["type"] == "alert":
        alert = message["alert"]
        at = clock(alert["updatedAt"], now)
        change = f"{alert['severity']:<8}  {message['change']:<12}"
        print_line(f"{at}  {change}  {alert['component']}: {alert['message']}", style_of=alert["severity"])
        return
    record = message["record"]
    fields = "  ".join(f"{name}={_text(one)}" for name, one in _fields(record))
    about = record.get("bot") or record.get("host") or ""
    print_line(f"{_time(record, now)}  {record['kind']:<11}  {about}  {fields}")


def _fields(record: Document) -> Iterator[tuple[str, object]]:
    names = SHOWN_METRICS if record["kind"] == "performance" else record
    for name in names:
        if name not in _COMMON and record.get(name) is not None and not isinstance(record[name], list | dict):
            yield name, record[name]


def _text(field: object) -> str:
    return f"{field:,.6g}" if isinstance(field, float) else str(field)


def _time(record: Document, now: datetime) -> str:
    at = record.get("timestamp")
    if isinstance(at, int):
        at = datetime.fromtimestamp(at / 1000, UTC).isoformat()
    return clock(at, now)

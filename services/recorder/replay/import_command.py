"""The command `botwatch import`: sends a past from files to Botwatch, as if the bot had been watched then."""

import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from botwatch.cli.api_command import Json, Token, read_token
from botwatch.client import API_URL
from botwatch.errors import FullError
from botwatch.http_publisher import HttpPublisher
from botwatch.typed_json import encode
from services.recorder.replay.command import Format, zone_of
from services.recorder.replay.files import ReplayFile
from services.recorder.replay.fold import past_events
from services.recorder.replay.wire_records import wire_records
from shared.schema.faults import InvalidError
from shared.schema.terminal_escaping import escape_controls

FAILED = 1
BATCH = 500
FULL_WAIT_S, PATIENCE_S = 1.0, 120.0
"""How long to wait when the log is full, and how often in a row."""
TIMEOUT_S = 30.0

app = typer.Typer()


@app.command()
def import_command(  # noqa: PLR0913 - each is an option
    files: Annotated[list[Path], typer.Argument(help="Of one past: such as trades.csv and equity.csv.")],
    *,
    bot: Annotated[str, typer.Option(metavar="NAME", envvar="BOTWATCH_BOT", help="Whose records they are.")],
    file_format: Format = None,
    time_zone: Annotated[str, typer.Option(metavar="ZONE", help="Of times without one.")] = "UTC",
    strategy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a freqtrade result with several.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check only.")] = False,
    url: Annotated[
        str, typer.Option(envvar="BOTWATCH_INGESTION_URL", help="URL of the HTTP endpoint.")
    ] = API_URL,
    token: Token = "",
    as_json: Json = False,
) -> int:
    """Send the past of a bot from files: a backtest, an exchange's export, a journal of trades.

    The formats are those of `botwatch replay`. Importing the same file again changes nothing.
    """
    try:
        zone = zone_of(time_zone)
        read = [ReplayFile(path, file_format, zone, strategy) for path in files]
        summaries, events = past_events(read, bot, lambda _doing, _done: None)
        records = list(wire_records(events, bot))
    except InvalidError as error:
        sys.stderr.writelines(f"botwatch import: {escape_controls(str(fault))}\n" for fault in error.faults)
        return FAILED
    except OSError as error:
        sys.stderr.write(f"botwatch import: {error.filename}: {error.strerror}\n")
        return FAILED
    if not dry_run:
        _send(records, url, read_token(token, url))
    kinds = Counter(record["kind"] for record in records)
    span = [records[0]["timestamp"], records[-1]["timestamp"]]
    if as_json:
        sent = 0 if dry_run else len(records)
        print(json.dumps({"bot": bot, "sent": sent, "kinds": kinds, "from": span[0], "to": span[1]}))
        return 0
    for summary in summaries:
        print(escape_controls(f"{summary.file}: {summary.format}, {summary.rows:,} rows"))
        print("".join(f"  {escape_controls(note)}\n" for note in summary.notes), end="")
    verb = "would send" if dry_run else "sent"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
    print(f"{verb} {len(records):,} records of {bot} from {span[0]} to {span[1]}: {counts}")
    return 0


def _send(records: list[dict[str, Any]], url: str, token: str) -> None:
    publisher = HttpPublisher(url, token=token, timeout_s=TIMEOUT_S)
    try:
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("sending", total=len(records))
            for batch in _batches(records):
                _publish(publisher, batch)
                progress.advance(task, len(batch))
    finally:
        publisher.close()


def _batches(records: list[dict[str, Any]]) -> Iterator[list[bytes]]:
    for start in range(0, len(records), BATCH):
        yield [encode(record) for record in records[start : start + BATCH]]


def _publish(publisher: HttpPublisher, batch: list[bytes]) -> None:
    """Publish a batch; while the log is full, what it has is stored first."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            publisher.publish(batch)
        except FullError:
            if time.monotonic() > deadline:
                raise
            time.sleep(FULL_WAIT_S)
        else:
            return

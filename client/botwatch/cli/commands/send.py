"""`botwatch send`: send records, checked before they are sent."""

import json
import queue
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from botwatch import validation
from botwatch.cli.api_command import Api, Json, Token, read_token, read_word
from botwatch.cli.exit_codes import OK, USAGE_ERROR
from botwatch.cli.output import count, fail, print_line
from botwatch.errors import Fault, InvalidRecordError
from botwatch.http_publisher import HttpPublisher
from botwatch.publishers import Publisher
from botwatch.typed_json import Document, encode

URL = "http://localhost:9090"
TIMEOUT_S = 5.0
BATCH = 500
"""Records in one request."""
PAUSE_S = 0.1
"""A line of standard input waits at most this long for others."""

app = typer.Typer()


@app.command()
def send(  # noqa: PLR0913 - options
    what: Annotated[
        str | None,
        typer.Argument(metavar="KIND|-", help="The kind of the record; '-': JSON lines from standard input."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE…", help="Its fields; labels as labels.NAME=VALUE."),
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Send the records of a file: JSON lines, or an array.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check; print the records.")] = False,
    url: Annotated[
        str, typer.Option("--url", envvar="BOTWATCH_INGESTION_URL", help="URL of the endpoint for records.")
    ] = URL,
    token: Token = "",
    redis: Annotated[
        str,
        typer.Option(
            envvar="BOTWATCH_REDIS_URL",
            metavar="URL|@FILE",
            help="Send through Redis instead. Better @FILE: a word is seen in the list of processes.",
            show_envvar=True,
        ),
    ] = "",
    as_json: Json = False,
) -> int:
    """Send a record, such as `botwatch send equity bot=alpha equity=12500`.

    Or records from a file or standard input, one JSON object a line. They are checked by the server's own
    schema first. Of a file with a fault nothing is sent; a faulty line of standard input is skipped, and the
    exit code is 2 at the end. A record without `timestamp` has the time of its arrival.
    """
    if (what is None) is (file is None) or (fields and what in (None, "-")):
        raise typer.BadParameter(
            f"expected a KIND with fields, '-' or --file; kinds: {', '.join(validation.KINDS)}",
            param_hint="KIND",
        )
    with _publishing(url, token, redis, is_dry=dry_run) as publish:
        if what == "-":
            sent, faulty = _send_lines(publish)
        else:
            records = _read_file(file) if file else [_typed_record(str(what), fields or [])]
            validation.validate_records(records)
            for start in range(0, len(records), BATCH):
                publish(records[start : start + BATCH])
            sent, faulty = len(records), 0
    if as_json and not dry_run:
        Api.print_json({"accepted": sent})
    elif not dry_run:
        print_line(f"sent {count(sent, 'record')}")
    return USAGE_ERROR if faulty else OK


Publish = Callable[[list[Document]], None]


@contextmanager
def _publishing(url: str, token: str, redis: str, *, is_dry: bool) -> Iterator[Publish]:
    """Yield what publishes records: over HTTP, through Redis, or only prints them."""
    if is_dry:
        yield lambda records: print("\n".join(encode(one).decode() for one in records))
        return
    with closing(_publisher(url, token, redis)) as publisher:
        yield lambda records: publisher.publish([encode(one) for one in records])


def _publisher(url: str, token: str, redis: str) -> Publisher:
    try:
        if redis:
            # Only here: it takes 0.1 s.
            from botwatch.redis_publisher import RedisPublisher  # noqa: PLC0415

            return RedisPublisher(read_word(redis, "--redis"), timeout_s=TIMEOUT_S)
        return HttpPublisher(url, token=read_token(token, url), timeout_s=TIMEOUT_S)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--redis" if redis else "--url") from error


def _typed_record(kind: str, fields: list[str]) -> Document:
    """Return a record of fields that are typed as words: `equity=12500`, `labels.strategy=grid`."""
    record: Document = {"kind": kind}
    for word in fields:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"expected NAME=VALUE, got {word!r}", param_hint="KEY=VALUE")
        outer, dot, inner = name.partition(".")
        if dot:
            record.setdefault(outer, {})[inner] = text
        else:
            record[name] = _value(kind, name, text)
    return _with_id(record)


def _value(kind: str, name: str, text: str) -> object:
    """Return a number where the schema has one; text that is none stays, and is refused with its path."""
    schema = validation.SCHEMAS.get(kind, {}).get("properties", {}).get(name, {})
    types = {one.get("type") for one in schema.get("anyOf", [schema])}
    if types & {"number", "integer"} and not (name == "timestamp" and not text.isdecimal()):
        for number in (int, float):
            try:
                return number(text)
            except ValueError:
                continue
    return text


def _with_id(record: Document) -> Document:
    """Return a record with an ID: sent again after an error, it counts once."""
    return record | {"id": record.get("id") or uuid.uuid4().hex}


def _read_file(path: Path) -> list[Document]:
    """Return the records of a file of JSON lines, or of one array. InvalidRecordError with every fault."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}", param_hint="--file") from error
    if text.lstrip().startswith("["):
        records = [(f"$[{index}]", one) for index, one in enumerate(_decoded(text, "$"))]
    else:
        lines = enumerate(text.splitlines(), start=1)
        records = [
            (f"line {number}: $", _decoded(line, f"line {number}: $"))
            for number, line in lines
            if line.strip()
        ]
    faults = [fault for place, record in records for fault in validation.faults_of(record, place)]
    if faults:
        raise InvalidRecordError(faults)
    return [_with_id(one) for _, one in records]


def _decoded(text: str, place: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidRecordError([Fault(place, f"not JSON: {error}")]) from error


def _send_lines(publish: Publish) -> tuple[int, int]:
    """Send the lines of standard input as they come; return how many were sent, and how many are faulty."""
    sent = faulty = number = 0
    for lines in _batches_of_lines():
        records = []
        for line in lines:
            number += 1
            try:
                record = _decoded(line, "$") if line.strip() else None
                if record is not None:
                    validation.validate_records([record])
                    records.append(_with_id(record))
            except InvalidRecordError as error:
                faulty += 1
                fail(f"line {number} is skipped: {'; '.join(map(str, error.faults))}")
        if records:
            publish(records)
            sent += len(records)
    return sent, faulty


def _batches_of_lines() -> Iterator[list[str]]:
    """Yield the lines of standard input, those that come within a moment together."""
    lines: queue.Queue[str | None] = queue.Queue(maxsize=2 * BATCH)

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while (line := lines.get()) is not None:
        batch = [line]
        with suppress(queue.Empty):
            while len(batch) < BATCH and (line := lines.get(timeout=PAUSE_S)) is not None:
                batch.append(line)
        yield batch
        if line is None:
            return

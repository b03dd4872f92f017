"""The client validates as the server does: by a schema made from the server's, with the same verdicts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import pytest

from botwatch.validation import faults_of
from services.ingestion.ingest_tokens import UNRESTRICTED, denial
from shared.runtime.settings import REPOSITORY
from shared.schema.decoding import decode
from shared.schema.export import CLIENT_METRICS, CLIENT_SCHEMA, client_metrics, client_schema

pytestmark = pytest.mark.slow  # compares hundreds of structs

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EXAMPLES = [
    path
    for path in sorted((REPOSITORY / "shared" / "schema" / "examples").glob("record-*.json"))
    if "host" not in msgspec.json.decode(path.read_bytes())
]
WRONG: tuple[Any, ...] = (
    *(17, 1.5, -1, 0, 10**400, 2**60, True, None, [], [1], {}, {"a": "b"}, {"a": 1}, {"1": "b"}, {"": ""}),
    *("", "text", "x" * 129, "x" * 5000, "a\nb", "12", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00"),
    *({f"l{n}": "" for n in range(17)}, {"sharpeRatio": {"reason": "x", "n": 1}}, {"sharpeRatio": {}}),
)
MOMENTS: tuple[str | int, ...] = (
    *(
        "2026-01-31T12:00Z",
        "20260131T120000Z",
        "2026-01-31T12:00:00,5Z",
        "2026-W05-6T12:00:00Z",
        "2026-01-31",
    ),
    *("2026-01-31 12:00:00+00:00", "2026-01-31T12:00:00+00:00:30", "2026-01-31T24:00:00Z", "2026-01-31"),
    *("0001-01-01T00:00:00+01:00", "1999-12-31T23:30:00-01:00", "2099-12-31T23:30:00-01:00"),
    *(946_684_799_999, 946_684_800_000, 4_102_444_799_999, 4_102_444_800_000),
)


def changed(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a record with each of its fields, in turn, left out or replaced by what may be wrong."""
    yield record
    yield record | {"unheardOf": 1}
    for name in record:
        yield {field: value for field, value in record.items() if field != name}
        for value in (*WRONG, *(MOMENTS if name == "timestamp" else ())):
            yield record | {name: value}


def test_the_client_ships_the_servers_schema() -> None:
    """`make schema` writes it; a stale copy fails here."""
    assert (REPOSITORY / CLIENT_SCHEMA).read_bytes() == client_schema(), "run `make schema`"


def test_the_client_ships_the_servers_metrics() -> None:
    """Names, labels and units of the metrics, for the command line; `make schema` writes them, too."""
    assert (REPOSITORY / CLIENT_METRICS).read_bytes() == client_metrics(), "run `make schema`"


def agree(record: dict[str, Any]) -> bool:
    """Say whether the client's verdict is that of the server, which takes what any bot may send."""
    body = msgspec.json.encode(record) if 10**400 not in record.values() else None
    refused = body is None or bool(decode(body, arrival=NOON).without(partial(denial, UNRESTRICTED)).faults)
    return bool(list(faults_of(record))) is refused


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_client_and_server_agree_on_every_field(example: Any) -> None:
    """A rejection over Redis reaches no client: what the client accepts, the server must accept."""
    given = msgspec.json.decode(example.read_bytes())
    assert agree(given)
    # A computed record is Botwatch's own and refused whatever else is in it.
    for record in changed({name: value for name, value in given.items() if value != "computed"}):
        assert agree(record), record

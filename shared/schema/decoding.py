"""Decode bytes to records: one object, an array, or NDJSON, with the path of every fault.

The fast path decodes the whole body at once with msgspec. Only when that fails is each record decoded by
itself, to report every fault and to keep the valid records if requested.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Self

import msgspec

from shared.schema.faults import MAX_FAULTS, Fault, did_you_mean, json_type, struct_faults
from shared.schema.records import KINDS, AnyRecord, Record

MAX_AHEAD = timedelta(seconds=5)
"""Tolerated clock difference: a timestamp further in the future is replaced."""


class ClampedRecord(msgspec.Struct, frozen=True):
    """A record with a timestamp in the future, which was replaced by its arrival time."""

    path: str
    record: AnyRecord
    moment: datetime
    """The original timestamp."""


class DecodedBody(msgspec.Struct, frozen=True):
    """The valid records of a body in order, and the faults (at most `MAX_FAULTS`) of the others."""

    records: list[AnyRecord]
    faults: list[Fault]
    refused: int = 0
    """Number of records with faults."""
    clamped: list[ClampedRecord] = []
    paths: list[str] | None = None
    """JSON paths of the records; None means `$[0]`, `$[1]`, …"""

    def path(self, place: int) -> str:
        """Return the JSON path of the record at `place` in `records`."""
        return f"$[{place}]" if self.paths is None else self.paths[place]

    def without(self, fault_of: Callable[[AnyRecord], Fault | None]) -> Self:
        """Return a copy without the records that `fault_of` rejects (its path is relative to the record)."""
        found = [fault_of(record) for record in self.records]
        if not any(found):
            return self
        faults = [
            Fault(f"{self.path(place)}.{fault.path}", fault.message)
            for place, fault in enumerate(found)
            if fault
        ]
        kept = [place for place, fault in enumerate(found) if fault is None]
        records = [self.records[place] for place in kept]
        known = set(map(id, records))
        return type(self)(
            records,
            [*self.faults, *faults][:MAX_FAULTS],
            self.refused + len(faults),
            [one for one in self.clamped if id(one.record) in known],
            [self.path(place) for place in kept],
        )


MAX_RECORDS_FOR_FAULTS = 100_000
"""Limit of records that are decoded one by one; 2 MiB hold fewer valid ones."""
BOM = b"\xef\xbb\xbf"
"""The byte order mark that some editors and .NET write before UTF-8."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for invalid or too deeply nested JSON."""
_BYTE = re.compile(r"\(byte (\d+)\)$")
_any_decoder = msgspec.json.Decoder(AnyRecord | list[AnyRecord])
_kind_decoders = {kind: msgspec.json.Decoder(cls | list[cls]) for kind, cls in KINDS.items()}  # type: ignore[valid-type]


def decode(body: bytes, *, arrival: datetime, kind: str | None = None, lines: bool = False) -> DecodedBody:
    """Decode `body`; records without a timestamp, or with one in the future, get `arrival`.

    `kind` is the kind of the endpoint: records may then omit it, and must not contradict it. `lines`: the
    body is NDJSON.
    """
    body = body.removeprefix(BOM)
    decoder = _kind_decoders[kind] if kind else _any_decoder
    is_list = lines or body.lstrip()[:1] == b"["
    try:
        found = decoder.decode_lines(body) if lines else decoder.decode(body)
    except UNREADABLE:
        decoded = _decode_lines(body, kind) if lines else _decode_document(body, kind)
    else:
        records: list[AnyRecord] = found if isinstance(found, list) else [found]
        if lines and any(isinstance(record, list) for record in records):
            decoded = _decode_lines(body, kind)
        else:
            decoded = DecodedBody(records, [], paths=None if is_list else ["$"])
    latest = arrival + MAX_AHEAD
    for place, record in enumerate(decoded.records):
        if record.timestamp is None:
            record.timestamp = arrival
        elif record.at > latest:
            # Metrics, rules and charts proceed in time: they would not change until that time.
            decoded.clamped.append(ClampedRecord(decoded.path(place), record, record.at))
            record.timestamp = arrival
    return decoded


def _decode_document(body: bytes, kind: str | None) -> DecodedBody:
    try:
        document = msgspec.json.decode(body)
    except UNREADABLE as error:
        return DecodedBody([], [Fault("$", describe_json_error(body, error))], refused=1)
    if isinstance(document, list):
        if len(document) > MAX_RECORDS_FOR_FAULTS:
            return _too_many(len(document))
        return _collect([(f"$[{i}]", item) for i, item in enumerate(document)], kind)
    return _collect([("$", document)], kind)


def _decode_lines(body: bytes, kind: str | None) -> DecodedBody:
    count = body.count(b"\n")
    if count > MAX_RECORDS_FOR_FAULTS:
        return _too_many(count)
    items: list[tuple[str, object]] = []
    unreadable = 0
    faults: list[Fault] = []
    for number, line in enumerate(body.splitlines()):
        if not line.strip():
            continue
        path = f"$[{number}]"
        try:
            items.append((path, msgspec.json.decode(line)))
        except UNREADABLE as error:
            unreadable += 1
            if len(faults) < MAX_FAULTS:
                faults.append(Fault(path, f"line {number + 1}: {describe_json_error(line, error)}"))
    decoded = _collect(items, kind)
    return DecodedBody(
        decoded.records,
        (faults + decoded.faults)[:MAX_FAULTS],
        decoded.refused + unreadable,
        paths=decoded.paths,
    )


def _too_many(count: int) -> DecodedBody:
    limit = MAX_RECORDS_FOR_FAULTS
    message = f"some of the {count} records are invalid; send at most {limit} at once to see the faults"
    return DecodedBody([], [Fault("$", message)], refused=count)


def _collect(items: list[tuple[str, object]], kind: str | None) -> DecodedBody:
    records: list[AnyRecord] = []
    paths: list[str] = []
    faults: list[Fault] = []
    refused = 0
    for path, item in items:
        record = _to_record(item, kind)
        if record is not None:
            records.append(record)
            paths.append(path)
            continue
        refused += 1
        if len(faults) < MAX_FAULTS:
            faults += record_faults(item, path, kind)
    return DecodedBody(records, faults[:MAX_FAULTS], refused, paths=paths)


def _to_record(item: object, kind: str | None) -> AnyRecord | None:
    """Return `item` as a record, None when it has faults."""
    named = item.get("kind", kind) if isinstance(item, dict) else None
    record = KINDS.get(named) if isinstance(named, str) and kind in (None, named) else None
    try:
        return msgspec.convert(item, record) if record else None  # type: ignore[return-value]
    except msgspec.ValidationError:
        return None


def record_faults(item: object, path: str = "$", kind: str | None = None) -> list[Fault]:
    """Return every fault of a decoded JSON value as a record (of `kind`, if given)."""
    if not isinstance(item, dict):
        return [Fault(path, f"expected an object, got {json_type(item)}")]
    named = item.get("kind", kind)
    if named is None:
        return [Fault(f"{path}.kind", f"required, but missing; expected one of {', '.join(KINDS)}")]
    if kind and named != kind:
        return [Fault(f"{path}.kind", f"this endpoint accepts `{kind}` records, got {_quote(named)}")]
    record: type[Record] | None = KINDS.get(named) if isinstance(named, str) else None
    if record is None:
        hint = did_you_mean(named, KINDS) if isinstance(named, str) else ""
        return [Fault(f"{path}.kind", f"expected one of {', '.join(KINDS)}, got {_quote(named)}{hint}")]
    return struct_faults(item, record, path)


def _quote(value: object) -> str:
    return repr(value) if isinstance(value, str) else json_type(value)


def describe_json_error(body: bytes, error: Exception) -> str:
    """Return what is wrong with a body whose decoding raised one of `UNREADABLE`."""
    if not body.strip():
        return "expected JSON, got nothing"
    if isinstance(error, UnicodeDecodeError):
        return "expected JSON in UTF-8"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if (found := _BYTE.search(str(error))) and body[int(found[1]) :].startswith((b"NaN", b"Infinity")):
        return f"not JSON: NaN or Infinity (byte {found[1]}); leave an undefined value out, or send null"
    return f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"

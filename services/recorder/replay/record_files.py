"""Files of Botwatch records: JSON lines, or one JSON array. Pure."""

from collections.abc import Iterable, Iterator

import msgspec

from services.recorder.replay.rows import FoundEvent, ReadReport
from shared.analytics.events import event_from_record
from shared.schema.decoding import UNREADABLE, describe_json_error, record_faults
from shared.schema.records import AnyRecord, Fill, HostRecord

_decoder = msgspec.json.Decoder(AnyRecord)


def read_record_lines(lines: Iterable[bytes], report: ReadReport) -> Iterator[FoundEvent]:
    """Yield the events of records, one per line; wrong lines go to `report`."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield from _event_of(line, f"line {number}", report)


def read_record_array(items: Iterable[msgspec.Raw], report: ReadReport) -> Iterator[FoundEvent]:
    """Yield the events of the records of a JSON array; wrong ones go to `report`."""
    for place, item in enumerate(items):
        yield from _event_of(item, f"$[{place}]", report)


def _event_of(data: bytes | msgspec.Raw, place: str, report: ReadReport) -> Iterator[FoundEvent]:
    report.rows += 1
    try:
        record = _decoder.decode(data)
    except UNREADABLE:
        report.reject(place, _fault(bytes(data)))
        return
    if record.timestamp is None:
        report.reject(place, "timestamp: required in a file, but missing")
    elif not isinstance(record, HostRecord):
        event = event_from_record(record)
        if event is not None:
            yield FoundEvent(record.bot, event, _identity(record, event))


def _fault(data: bytes) -> str:
    try:
        item = msgspec.json.decode(data)
    except UNREADABLE as error:
        return describe_json_error(data, error)
    return "; ".join(f"{fault.path.removeprefix('$.')}: {fault.message}" for fault in record_faults(item))


def _identity(record: AnyRecord, event: object) -> int | None:
    """Return what identifies a record, as the store does: fills by their IDs, others by `id` and content."""
    if isinstance(record, Fill):
        return hash(
            (
                *(record.bot, record.symbol, record.fill_id, record.order_id),
                *(record.side, record.quantity, record.price),
            )
        )
    if record.id is None:
        return None
    content = event[1:] if isinstance(event, tuple) and record.kind != "performance" else ()
    return hash((record.subject, record.kind, record.id, content))

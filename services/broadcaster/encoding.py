"""From the streams' bytes to messages: JSON is spliced, not decoded and encoded again. Pure."""

import msgspec

from services.broadcaster.hub import ClientFilter, Entry, MessageHead, StreamMessage

ALERT = "alert"
"""The kind under which filters know alerts."""
UNREADABLE = MessageHead("", None)
"""The head of what no door would have let through: no filter wants it, and it stops nothing."""


class _RecordHead(msgspec.Struct):
    kind: str
    bot: str | None = None
    host: str | None = None


class _AlertDetails(msgspec.Struct):
    bot: str | None = None
    host: str | None = None


class _AlertHead(msgspec.Struct):
    severity: str
    component: str | None = None
    details: _AlertDetails = msgspec.field(default_factory=_AlertDetails)


class _Announced(msgspec.Struct):
    change: str
    alert: msgspec.Raw


_records = msgspec.json.Decoder(list[msgspec.Raw])
_record_head = msgspec.json.Decoder(_RecordHead)
_alert_head = msgspec.json.Decoder(_AlertHead)
_announced = msgspec.json.Decoder(_Announced)


def decode_record_entry(entry_id: str, data: bytes) -> Entry:
    """Return a message per record of a log entry; an error of decoding when it is no JSON array in UTF-8."""
    _require_text(data)
    before = b'{"type":"record","id":"' + entry_id.encode() + b'","record":'
    records = (bytes(raw) for raw in _records.decode(data))
    return [_record(before, record) for record in records if record.startswith(b"{")]


def _record(before: bytes, record: bytes) -> StreamMessage:
    return StreamMessage(before + record + b"}", lambda: head_of_record(record))


def decode_alert_entry(entry_id: str, data: bytes) -> Entry:
    """Return the message of an entry of the stream of alerts; an error of decoding when it is none."""
    announced = _announced.decode(data)
    alert = alert_json(bytes(announced.alert))
    change = msgspec.json.encode(announced.change)
    body = (
        b'{"type":"alert","id":"' + entry_id.encode() + b'","change":' + change + b',"alert":' + alert + b"}"
    )
    return [StreamMessage(body, lambda: head_of_alert(alert))]


def record_json(value: bytes) -> bytes:
    """Return `value`, which becomes a piece of a frame; an error of decoding when it is no record's JSON."""
    _require_text(value)
    _record_head.decode(value)
    return value


def alert_json(value: bytes) -> bytes:
    """Return `value`, which becomes a piece of a frame; an error of decoding when it is no alert's JSON."""
    _require_text(value)
    _alert_head.decode(value)
    return value


def _require_text(data: bytes) -> None:
    """Raise UnicodeDecodeError on what is no UTF-8: a text frame with it ends a client's connection."""
    if not data.isascii():
        data.decode()


def head_of_record(record: bytes) -> MessageHead:
    """Read what filters want to know of a record."""
    try:
        found = _record_head.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return UNREADABLE
    return MessageHead(found.kind, found.bot or found.host)


def head_of_alert(alert: bytes) -> MessageHead:
    """Read what filters want to know of an alert."""
    try:
        found = _alert_head.decode(alert)
    except (msgspec.DecodeError, RecursionError):
        return UNREADABLE
    return MessageHead(ALERT, found.details.bot or found.details.host or found.component, found.severity)


def encode_gap(since: str, oldest: str) -> bytes:
    """Return the frame that says that what came after `since` is complete only from `oldest` on."""
    return msgspec.json.encode([{"type": "gap", "since": since, "oldest": oldest}])


def encode_snapshot(position: str, records: list[bytes], alerts: list[bytes], wanted: ClientFilter) -> bytes:
    """Return the first frame: the latest records and the open alerts, each as its JSON."""
    if not wanted.matches_all:
        records = [record for record in records if wanted.matches(head_of_record(record))]
        alerts = [alert for alert in alerts if wanted.matches(head_of_alert(alert))]
    return b"".join(
        (
            b'{"type":"snapshot","id":"' + position.encode() + b'","records":[',
            b",".join(records),
            b'],"alerts":[',
            b",".join(alerts),
            b"]}",
        )
    )

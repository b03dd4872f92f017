"""Build messages from the streams' bytes: JSON is spliced, not decoded and encoded again. Pure."""

import msgspec

from services.broadcaster.hub import ClientFilter, Entry, MessageHead, StreamMessage

ALERT = "alert"
"""The kind of alerts in filters."""
UNREADABLE = MessageHead("", None)
"""The head of an invalid record: it matches no filter."""


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
    """Return a message per record of a log entry; raise a decoding error unless it is a UTF-8 JSON array."""
    _require_text(data)
    before = b'{"type":"record","id":"' + entry_id.encode() + b'","record":'
    records = (bytes(raw) for raw in _records.decode(data))
    return [_record(before, record) for record in records if record.startswith(b"{")]


def _record(before: bytes, record: bytes) -> StreamMessage:
    return StreamMessage(before + record + b"}", lambda: head_of_record(record))


def decode_alert_entry(entry_id: str, data: bytes) -> Entry:
    """Return the message of an entry of the alert stream; raise a decoding error if it is invalid."""
    announced = _announced.decode(data)
    alert = alert_json(bytes(announced.alert))
    change = msgspec.json.encode(announced.change)
    body = (
        b'{"type":"alert","id":"' + entry_id.encode() + b'","change":' + change + b',"alert":' + alert + b"}"
    )
    return [StreamMessage(body, lambda: head_of_alert(alert))]


def record_json(value: bytes) -> bytes:
    """Return `value`, a part of a frame; raise a decoding error unless it is the JSON of a record."""
    _require_text(value)
    _record_head.decode(value)
    return value


def alert_json(value: bytes) -> bytes:
    """Return `value`, a part of a frame; raise a decoding error unless it is the JSON of an alert."""
    _require_text(value)
    _alert_head.decode(value)
    return value


def _require_text(data: bytes) -> None:
    """Raise UnicodeDecodeError on invalid UTF-8: a text frame with it closes a client's connection."""
    if not data.isascii():
        data.decode()


def head_of_record(record: bytes) -> MessageHead:
    """Return what filters need of a record."""
    try:
        found = _record_head.decode(record)
    except (msgspec.DecodeError, RecursionError):
        return UNREADABLE
    return MessageHead(found.kind, found.bot or found.host)


def head_of_alert(alert: bytes) -> MessageHead:
    """Return what filters need of an alert."""
    try:
        found = _alert_head.decode(alert)
    except (msgspec.DecodeError, RecursionError):
        return UNREADABLE
    return MessageHead(ALERT, found.details.bot or found.details.host or found.component, found.severity)


def encode_gap(since: str, oldest: str) -> bytes:
    """Return the gap frame: messages after `since` are complete only from `oldest` on."""
    return msgspec.json.encode([{"type": "gap", "since": since, "oldest": oldest}])


def encode_snapshot(position: str, records: list[bytes], alerts: list[bytes], wanted: ClientFilter) -> bytes:
    """Return the snapshot frame: the latest records and the open alerts, as JSON."""
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

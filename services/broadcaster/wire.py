"""From the streams' bytes to messages: JSON is spliced, not decoded and encoded again. Pure."""

import msgspec

from services.broadcaster.hub import Entry, Filter, Head, Message

ALERT = "alert"
"""The kind under which filters know alerts."""
UNREADABLE = Head("", None)
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


def record_entry(entry_id: str, data: bytes) -> Entry:
    """Return a message per record of a log entry; msgspec.DecodeError when it is no JSON array."""
    before = b'{"type":"record","id":"' + entry_id.encode() + b'","record":'
    return [_record(before, bytes(raw)) for raw in _records.decode(data)]


def _record(before: bytes, record: bytes) -> Message:
    return Message(before + record + b"}", lambda: head_of_record(record))


def alert_entry(entry_id: str, data: bytes) -> Entry:
    """Return the message of an entry of the stream of alerts; msgspec.DecodeError when it is none."""
    announced = _announced.decode(data)
    alert = bytes(announced.alert)
    change = msgspec.json.encode(announced.change)
    body = (
        b'{"type":"alert","id":"' + entry_id.encode() + b'","change":' + change + b',"alert":' + alert + b"}"
    )
    return [Message(body, lambda: head_of_alert(alert))]


def head_of_record(record: bytes) -> Head:
    """Read what filters want to know of a record."""
    try:
        found = _record_head.decode(record)
    except msgspec.DecodeError:
        return UNREADABLE
    return Head(found.kind, found.bot or found.host)


def head_of_alert(alert: bytes) -> Head:
    """Read what filters want to know of an alert."""
    try:
        found = _alert_head.decode(alert)
    except msgspec.DecodeError:
        return UNREADABLE
    return Head(ALERT, found.details.bot or found.details.host or found.component, found.severity)


def gap_frame(since: str, oldest: str) -> bytes:
    """Return the frame that says that what came after `since` is complete only from `oldest` on."""
    return msgspec.json.encode([{"type": "gap", "since": since, "oldest": oldest}])


def snapshot(position: str, stamped: list[bytes], alerts: list[bytes], wanted: Filter) -> bytes:
    """Return the first frame: the latest records (each after 13 digits of its time) and the open alerts."""
    records = [value[13:] for value in stamped]
    if not wanted.everything:
        records = [record for record in records if wanted.wants(head_of_record(record))]
        alerts = [alert for alert in alerts if wanted.wants(head_of_alert(alert))]
    return b"".join(
        (
            b'{"type":"snapshot","id":"' + position.encode() + b'","records":[',
            b",".join(records),
            b'],"alerts":[',
            b",".join(alerts),
            b"]}",
        )
    )

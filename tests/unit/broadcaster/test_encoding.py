"""The pure parts of the broadcaster: positions, messages, queries."""

import json

import msgspec
import pytest

from services.broadcaster import stream_merge
from services.broadcaster.encoding import (
    UNREADABLE,
    decode_alert_entry,
    decode_record_entry,
    encode_snapshot,
    head_of_record,
)
from services.broadcaster.hub import ClientFilter, MessageHead
from services.broadcaster.query import Query, parse_query
from services.broadcaster.stream_merge import StreamEntryAt, merge
from shared.schema.faults import InvalidError


def found(stream: int, *milliseconds: int) -> list[StreamEntryAt]:
    return [StreamEntryAt((one, 0), stream, b"") for one in milliseconds]


def test_entries_of_two_streams_go_out_in_the_order_of_their_ids() -> None:
    batch = merge([found(0, 1, 4), found(1, 2, 3)], ((0, 0), (0, 0)), count=9)
    assert [entry.position[0] for entry in batch.entries] == [1, 2, 3, 4]
    assert batch.positions == ((4, 0), (3, 0))
    assert not batch.more


def test_other_streams_wait_for_a_stream_with_more_entries() -> None:
    batch = merge([found(0, 1, 3), found(1, 2, 4, 5)], ((0, 0), (0, 0)), count=2)
    assert [entry.position[0] for entry in batch.entries] == [1, 2, 3]
    assert batch.positions == ((3, 0), (2, 0))
    assert batch.more


def test_a_stream_without_new_entries_keeps_its_position() -> None:
    assert merge([[], found(1, 7)], ((5, 5), (6, 0)), count=9).positions == ((5, 5), (7, 0))


def test_positions_are_read_and_written_and_compared_as_numbers() -> None:
    assert stream_merge.parse_position(b"12-3") == (12, 3)
    assert stream_merge.parse_position("12") == (12, 0)
    assert stream_merge.format_position((12, 3)) == "12-3"
    assert stream_merge.parse_position("9-0") < stream_merge.parse_position("10-0")
    assert stream_merge.before_millisecond((12, 3)) < (12, 0)
    assert stream_merge.before_millisecond((0, 5)) == (0, 0)


def test_each_record_becomes_a_message_with_unchanged_bytes() -> None:
    first, second = b'{"kind":"equity","bot":"a","equity":1.50}', b'{"kind":"health","host":"box"}'
    entry = decode_record_entry("5-0", b"[" + first + b"," + second + b"]")
    assert entry[0].body == b'{"type":"record","id":"5-0","record":' + first + b"}"
    assert [message.head for message in entry] == [MessageHead("equity", "a"), MessageHead("health", "box")]


def test_an_alert_becomes_a_message_with_its_change() -> None:
    alert = b'{"id":"a1","severity":"HIGH","component":"demo","details":{"bot":"demo","rule":"r"}}'
    (message,) = decode_alert_entry("6-0", b'{"type":"alert","change":"opened","alert":' + alert + b"}")
    assert json.loads(message.body) == {
        "type": "alert",
        "id": "6-0",
        "change": "opened",
        "alert": json.loads(alert),
    }
    assert message.head == MessageHead("alert", "demo", "HIGH")


def test_an_invalid_entry_raises_and_an_invalid_record_matches_no_filter() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_record_entry("5-0", b"nonsense")
    assert head_of_record(b"[1]") is UNREADABLE
    assert not ClientFilter(kinds=frozenset({"equity"})).matches(UNREADABLE)


def test_the_snapshot_is_filtered_like_everything_else() -> None:
    records = [b'{"kind":"equity","bot":"a"}', b'{"kind":"equity","bot":"b"}']
    alerts = [b'{"severity":"LOW","details":{"bot":"a"}}', b'{"severity":"HIGH","details":{"bot":"a"}}']
    whole = json.loads(encode_snapshot("7-1", records, alerts, ClientFilter()))
    assert whole["type"] == "snapshot"
    assert whole["id"] == "7-1"
    assert (len(whole["records"]), len(whole["alerts"])) == (2, 2)
    wanted = ClientFilter(subjects=frozenset({"a"}), severities=frozenset({"HIGH"}))
    part = json.loads(encode_snapshot("7-1", records, alerts, wanted))
    assert part["records"] == [{"kind": "equity", "bot": "a"}]
    assert [alert["severity"] for alert in part["alerts"]] == ["HIGH"]


def test_a_query_has_filters_and_a_resume_id() -> None:
    text = "since=5-1&bot=a&bot=b%20c&kind=equity&kind=alert&severity=HIGH"
    wanted = ClientFilter(frozenset({"a", "b c"}), frozenset({"equity", "alert"}), frozenset({"HIGH"}))
    assert parse_query(text) == Query(wanted, "5-1")
    assert parse_query("") == Query(ClientFilter(), None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sinse=5", "did you mean `since`?"),
        ("kind=equitty", "did you mean `equity`?"),
        ("severity=high", "expected one of LOW, MEDIUM, HIGH, CRITICAL, got 'high'"),
        ("since=yesterday", "expected a message ID"),
        ("since=1&since=2", "expected once"),
        ("bot=", "expected a value"),
    ],
)
def test_an_invalid_query_is_rejected_with_a_reason(text: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_query(text)
    assert words in str(caught.value)

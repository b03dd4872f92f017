"""From bytes to records: the door's view of what a bot sends."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schema.decoding import decode
from shared.schema.faults import MAX_FAULTS, MAX_MESSAGE
from shared.schema.records import KINDS, AnyRecord, Equity, Performance, decode_frame, encode_frame
from shared.schema.timestamps import LATEST

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def faults(body: object, **options: Any) -> list[tuple[str, str]]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [(fault.path, fault.message) for fault in decode(data, arrival=NOON, **options).faults]


def test_a_record_without_a_timestamp_gets_the_arrival() -> None:
    (record,) = decode(b'{"kind":"equity","bot":"a","equity":1}', arrival=NOON).records
    assert record == Equity(bot="a", equity=1.0, timestamp=NOON)


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31T14:00:00.250+02:00", NOON + timedelta(milliseconds=250)),
        (1769860800250, NOON + timedelta(milliseconds=250)),
    ],
)
def test_timestamps_are_iso_with_a_zone_or_epoch_milliseconds(stamp: object, moment: datetime) -> None:
    body = json.dumps({"kind": "equity", "bot": "a", "equity": 1, "timestamp": stamp}).encode()
    assert decode(body, arrival=NOON).records[0].at == moment


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"timestamp": 1769860800}, "$.timestamp", "got 1769860800; these look like seconds"),
        ({"timestamp": 1769860800.5}, "$.timestamp", "or whole epoch milliseconds, got 1769860800.5"),
        ({"timestamp": "2026-01-31T12:00:00"}, "$.timestamp", "expected ISO 8601 with a time zone, such as"),
        ({"timestamp": "yesterday"}, "$.timestamp", "expected ISO 8601 with a time zone, such as"),
        ({"equity": True}, "$.equity", "expected a number, got true or false"),
        ({"bot": 7}, "$.bot", "expected text, got 7"),
        ({"timestamp": "1970-01-01T00:00:00Z"}, "$.timestamp", "2000 to 2099"),
        ({"equity": "12"}, "$.equity", "expected a number, got text"),
        ({"equity": None}, "$.equity", "expected a number, got null"),
        ({"bot": ""}, "$.bot", "length >= 1"),
        ({"bot": "a\nb"}, "$.bot", "regex"),
        ({"equty": 1}, "$.equty", "did you mean `equity`?"),
        ({"labels": {"a b": "x"}}, "$.labels", "regex"),
        ({"kind": "equitty"}, "$.kind", "did you mean `equity`?"),
        ({"kind": 7}, "$.kind", "expected one of performance, equity"),
        ({"kind": "Equity"}, "$.kind", "did you mean `equity`?"),
        ({"kind": "EQUITTY"}, "$.kind", "did you mean `equity`?"),
    ],
)
def test_a_fault_names_its_path_and_what_was_expected(fields: dict[str, Any], path: str, words: str) -> None:
    found = faults({"kind": "equity", "bot": "a", "equity": 1, **fields})
    assert [where for where, _ in found] == [path]
    assert words in found[0][1]


def test_every_fault_of_every_record_is_listed() -> None:
    found = faults([{"kind": "fill", "bot": ""}, {"kind": "equity", "bot": "a", "equity": 1}, 5])
    assert {path for path, _ in found} == {
        "$[0].bot", "$[0].orderId", "$[0].fillId", "$[0].symbol", "$[0].side", "$[0].quantity", "$[0].price",
        "$[2]",
    }  # fmt: skip


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_nan_and_infinity_are_refused(number: bytes) -> None:
    decoded = decode(b'{"kind":"equity","bot":"a","equity":' + number + b"}", arrival=NOON)
    assert decoded.records == []
    assert decoded.refused == 1
    if number != b"1e999":
        assert "NaN or Infinity" in decoded.faults[0].message
        assert "leave an undefined value out" in decoded.faults[0].message


def test_only_a_reported_performance_needs_a_portfolio_value() -> None:
    assert faults({"kind": "performance", "bot": "a"})[0][0] == "$.portfolioValue"
    assert faults({"kind": "performance", "bot": "a", "source": "computed"}) == []


def test_a_path_implies_the_kind_and_rejects_another() -> None:
    assert faults({"bot": "a", "equity": 1}, kind="equity") == []
    assert faults({"kind": "fill", "bot": "a", "equity": 1}, kind="equity")[0][0] == "$.kind"


def test_one_bad_line_of_ndjson_does_not_cost_the_others() -> None:
    body = b'{"kind":"equity","bot":"a","equity":1}\n\n{"kind":\n{"kind":"equity","bot":"b","equity":2}\n'
    decoded = decode(body, arrival=NOON, lines=True)
    assert [record.subject for record in decoded.records] == ["a", "b"]
    assert [fault.path for fault in decoded.faults] == ["$[2]"]
    assert "line 3" in decoded.faults[0].message


@pytest.mark.parametrize("body", [b"", b"  ", b"{", b"\xff\xfe", b'{"kind":"equity"} trailing', b"\x00"])
def test_what_is_not_json_is_one_fault_of_the_whole(body: bytes) -> None:
    assert [path for path, _ in faults(body)] == ["$"]


@given(st.binary(max_size=200))
def test_no_bytes_make_the_decoder_fail_otherwise_than_by_faults(body: bytes) -> None:
    decoded = decode(body, arrival=NOON, lines=len(body) % 2 == 0)
    assert decoded.records or decoded.faults or not body.strip() or body.strip() == b"[]"


numbers = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001


def performances() -> st.SearchStrategy[Performance]:
    fields = [
        field for field in msgspec.structs.fields(Performance) if field.name not in ("timestamp", "bot")
    ]
    by_type: dict[str, st.SearchStrategy[Any]] = {}
    for field in fields:
        if "float" in str(field.type):
            by_type[field.name] = st.none() | (st.floats(0, 1e12) if "ge=0" in str(field.type) else numbers)
    by_type["portfolio_value"] = numbers
    return st.builds(
        Performance, bot=names, timestamp=moments, id=st.none() | names,
        labels=st.dictionaries(st.text("abz_", min_size=1, max_size=9), st.text(max_size=9), max_size=4),
        **by_type,
    )  # fmt: skip


records = performances() | st.builds(Equity, bot=names, timestamp=moments, equity=numbers, net_flow=numbers)


@given(st.lists(records, max_size=5))
def test_records_survive_the_log_unchanged(given_records: list[AnyRecord]) -> None:
    assert decode_frame(encode_frame(given_records)) == given_records


@given(records)
def test_what_the_log_holds_is_valid_at_the_door(record: AnyRecord) -> None:
    assert decode(encode_frame([record]), arrival=LATEST).records == [record]


def test_every_kind_has_a_decoder() -> None:
    assert set(KINDS) == {
        "performance", "equity", "order", "fill", "position", "trade", "funding", "flow",
        "heartbeat", "health", "check", "metric", "event",
    }  # fmt: skip


@pytest.mark.parametrize("lines", [False, True])
def test_a_body_nested_without_end_is_a_fault_and_not_a_crash(lines: bool) -> None:
    ((_, words),) = faults(b"[" * 100_000, lines=lines)
    assert "nested too deeply" in words


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_moment_beyond_the_calendar_is_a_fault_and_not_a_crash(stamp: str) -> None:
    ((path, words),) = faults({"kind": "equity", "bot": "a", "equity": 1, "timestamp": stamp})
    assert (path, "2000 to 2099" in words) == ("$.timestamp", True)


def test_a_long_value_that_looks_like_a_path_is_parsed_fast() -> None:
    side = " - at `$" * 250_000
    found = faults({"kind": "order", "bot": "a", "orderId": "1", "symbol": "X", "side": side, "quantity": 1,
                    "status": "filled"})  # fmt: skip
    assert [path for path, _ in found] == ["$.side"]
    assert len(found[0][1]) <= MAX_MESSAGE


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"[" + b",".join([b"{}"] * 5000) + b"]", 5000),
        (b"[" + b",".join([b'{"kind":"order"}'] * 5000) + b"]", 5000),
        (json.dumps({"kind": "event", "bot": "a", "title": "x", **dict.fromkeys(map(str, range(5000)))}), 1),
    ],
)
def test_of_many_faults_some_are_listed_and_all_are_counted(body: bytes | str, refused: int) -> None:
    decoded = decode(body.encode() if isinstance(body, str) else body, arrival=NOON)
    assert (len(decoded.faults), decoded.refused) == (MAX_FAULTS, refused)


def test_many_bad_lines_are_listed_up_to_a_limit() -> None:
    body = b"nonsense\n" * 5000 + b'{"kind":"equity","bot":"a","equity":1}'
    decoded = decode(body, arrival=NOON, lines=True)
    assert (len(decoded.faults), decoded.refused, len(decoded.records)) == (MAX_FAULTS, 5000, 1)

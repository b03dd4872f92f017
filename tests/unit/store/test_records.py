"""Record rows: written once, read back unchanged."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import func, select, text

from shared.runtime.settings import REPOSITORY
from shared.schema.records import AnyRecord, Equity, Fill, HostRecord, Performance, Undefined
from shared.schema.stream_ids import clamp_to_newest, is_after
from shared.schema.timestamps import to_store
from shared.store.database import Database
from shared.store.latest_records import latest_record_of
from shared.store.log_offsets import read_offset, write_offset
from shared.store.records import insert_records, subjects
from shared.store.tables import (
    REMARKS,
    TABLES,
    equity,
    performance_metrics,
    performance_position,
    performance_remarks,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EXAMPLES = sorted((REPOSITORY / "shared" / "schema" / "examples").glob("record-*.json"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_field_of_every_kind_reaches_its_column(
    example: object, performance: Database, health: Database
) -> None:
    record: AnyRecord = msgspec.json.decode(example.read_bytes(), type=AnyRecord)  # type: ignore[attr-defined]
    table = TABLES[type(record)]
    database = health if isinstance(record, HostRecord) else performance
    with database.write() as connection:
        assert insert_records(connection, [record]).new == [record]
    with database.read() as connection:
        row = connection.execute(select(table)).mappings().one()
    for field in msgspec.structs.fields(type(record)):
        value = getattr(record, field.name)
        if field.encode_name == "timestamp":
            assert row["timestamp"] == to_store(value)
        elif field.encode_name == "id":
            assert row["recordId"] == value
        elif field.encode_name in REMARKS and row.get("source") == "computed":
            assert msgspec.json.decode(remark(database, row[REMARKS[field.encode_name]])) == (
                msgspec.to_builtins(value)
            )
        elif isinstance(value, datetime):
            assert row[field.encode_name] == to_store(value)
        elif isinstance(value, list | dict):
            assert msgspec.json.decode(row[field.encode_name] or "null") == (
                msgspec.to_builtins(value) or None
            )
        else:
            assert row[field.encode_name] == value


def remark(database: Database, number: int) -> str:
    with database.read() as connection:
        query = select(performance_remarks.c.text).where(performance_remarks.c.id == number)
        return str(connection.execute(query).scalar())


def computed(second: int, n: int = 0) -> Performance:
    why = {"sharpeRatio": Undefined(reason="too_few_returns", n=n)}
    at = NOON + timedelta(seconds=second)
    return Performance(bot="a", timestamp=at, source="computed", undefined=why, low_confidence={"var95": n})


def test_undefined_reasons_are_stored_once_and_read_with_each_row(performance: Database) -> None:
    records: list[AnyRecord] = [computed(0), computed(1), computed(2, n=1), computed(3)]
    with performance.write() as connection:
        insert_records(connection, records)
        texts = connection.execute(select(func.count()).select_from(performance_remarks)).scalar()
        rows = connection.execute(text("SELECT undefined, undefinedId FROM performance_metrics")).all()
        assert texts == 4
        assert [row.undefined for row in rows] == [None] * 4
        assert rows[0].undefinedId == rows[1].undefinedId == rows[3].undefinedId != rows[2].undefinedId
        assert latest_record_of(connection, Performance, "a") == [records[-1]]


def test_a_row_of_the_release_before_is_read_as_it_was(performance: Database) -> None:
    record = computed(0)
    with performance.write() as connection:
        insert_records(connection, [record])
        connection.execute(
            performance_metrics.update().values(
                undefinedId=None,
                lowConfidenceId=None,
                undefined='{"sharpeRatio":{"reason":"too_few_returns"}}',
                lowConfidence='{"var95":0}',
            )
        )
        assert latest_record_of(connection, Performance, "a") == [record]


def test_the_same_id_of_the_same_bot_is_written_once(performance: Database) -> None:
    batch: list[AnyRecord] = [Equity(bot=bot, equity=1.0, timestamp=NOON, id="1") for bot in ("a", "a", "b")]
    with performance.write() as connection:
        assert len(insert_records(connection, batch).new) == 2
        assert insert_records(connection, batch) == ([], [])


def test_the_same_id_with_other_content_is_another_record(performance: Database) -> None:
    first, other = (Equity(bot="a", equity=value, timestamp=NOON, id="1") for value in (1.0, 2.0))
    with performance.write() as connection:
        assert insert_records(connection, [first, other]) == ([first, other], [other])
        assert insert_records(connection, [other, first]) == ([], [])
        assert connection.execute(text("SELECT equity FROM equity")).scalars().all() == [1, 2]


def test_a_retry_without_a_timestamp_is_a_repetition(performance: Database) -> None:
    one, again = (Equity(bot="a", equity=1.0, timestamp=NOON + timedelta(seconds=s), id="1") for s in (0, 9))
    with performance.write() as connection:
        assert insert_records(connection, [one, again]) == ([one], [])


def fill(**more: Any) -> Fill:
    """Return a fill; each of them is the same execution unless `more` says otherwise."""
    one = {"order_id": "o1", "fill_id": "T1", "side": "buy", "quantity": 1.0, "price": 100.0, "fee": 0.1}
    return Fill(bot="a", symbol="X", timestamp=NOON, **(one | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "more", [{"order_id": "o2"}, {"side": "sell"}, {"price": 101.0}, {"quantity": 2.0}], ids=str
)
def test_a_fill_id_that_is_used_again_loses_no_fill(more: dict[str, Any], performance: Database) -> None:
    one, other = fill(), fill(**more)
    with performance.write() as connection:
        assert insert_records(connection, [one, other]).new == [one, other]
        assert insert_records(connection, [other, one]) == ([], [])


def test_fills_that_use_their_ids_again_are_counted(performance: Database) -> None:
    one, restarted, other_order = fill(), fill(price=120.0), fill(order_id="o2")
    with performance.write() as connection:
        assert insert_records(connection, [one]).conflicting == []
        assert insert_records(connection, [restarted, one, other_order]) == (
            [restarted, other_order],
            [restarted],
        )


def test_a_fill_with_another_fee_is_the_same_execution_and_is_counted(performance: Database) -> None:
    other = fill(fee=0.2)
    with performance.write() as connection:
        insert_records(connection, [fill()])
        assert insert_records(connection, [other]) == ([], [other])
        assert insert_records(connection, [fill(id="1", fee=0.3)]).new == []


def test_a_record_id_that_is_used_again_loses_no_fill(performance: Database) -> None:
    one, other = fill(id="r-1"), fill(id="r-1", order_id="o2", price=110.0)
    with performance.write() as connection:
        assert insert_records(connection, [one, other]) == ([one, other], [other])
        assert insert_records(connection, [one, other]) == ([], [])


def test_records_without_an_id_are_all_written(performance: Database) -> None:
    with performance.write() as connection:
        assert len(insert_records(connection, [Equity(bot="a", equity=1.0, timestamp=NOON)] * 3).new) == 3


def test_an_undefined_metric_is_null_and_not_zero(performance: Database) -> None:
    with performance.write() as connection:
        insert_records(connection, [Performance(bot="a", portfolio_value=1.0, timestamp=NOON)])
        row = connection.execute(select(performance_metrics)).mappings().one()
    assert row["var95"] is None


def test_the_bots_of_a_table_are_listed_once_each(performance: Database) -> None:
    with performance.write() as connection:
        insert_records(connection, [Equity(bot=bot, equity=1.0, timestamp=NOON) for bot in "babac"])
        assert subjects(connection, equity) == ["a", "b", "c"]


def test_an_offset_is_kept_per_reader(performance: Database) -> None:
    with performance.write() as connection:
        for entry in ("5-0", "7-1"):
            write_offset(connection, performance_position, "recorder", entry)
        assert read_offset(connection, performance_position, "recorder") == "7-1"
        assert read_offset(connection, performance_position, "evaluator") == "0-0"


def test_positions_compare_by_number_and_not_by_text() -> None:
    assert is_after("10-0", "9-5")
    assert is_after("9-10", "9-9")
    assert not is_after("9-9", "9-9")


def test_a_position_after_the_logs_end_is_from_another_log() -> None:
    assert clamp_to_newest("9-0", newest="10-0") == "9-0"
    assert clamp_to_newest("11-0", newest="10-0") == "0-0"


def test_bytes_that_are_not_text_never_reach_a_column(performance: Database) -> None:
    with performance.write() as connection:
        insert_records(connection, [Equity(bot="ünïcode ☃ '; DROP TABLE equity", equity=1.0, timestamp=NOON)])
        assert connection.execute(text("SELECT count(*) FROM equity")).scalar() == 1

"""Records as the client makes them, against the server's own schema."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from botwatch import InvalidRecordError, records
from shared.schema.decoding import decode
from shared.schema.records import Performance
from shared.schema.units import metric_fields

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_the_metrics_are_those_of_the_servers_schema() -> None:
    """The client knows the same names."""
    assert {figure.wire for figure in metric_fields(Performance)} == records.PERFORMANCE


def test_snake_case_names_of_every_metric() -> None:
    """Each becomes the name on the wire."""
    for figure in metric_fields(Performance):
        assert records.to_camel_case(figure.attribute) == figure.wire
        assert records.to_camel_case(figure.wire) == figure.wire


def test_a_performance_record_is_valid_on_the_server() -> None:
    """The server decodes it without faults."""
    made = records.performance(
        "b", {"portfolio_value": 12500, "totalPnL": 2.5, "var95": None}, labels={"a": "b"}
    )
    decoded = decode(msgspec.json.encode(made), arrival=NOON)
    assert decoded.faults == []
    (found,) = decoded.records
    assert isinstance(found, Performance)
    assert (found.portfolio_value, found.total_pnl, found.var95) == (12500, 2.5, None)
    assert found.labels == {"a": "b"}
    assert found.id == made["id"]


def test_numbers_of_other_types_are_converted() -> None:
    """Decimal and Fraction become float."""
    made = records.record("metric", "b", name="x", value=Decimal("1.5"), other=Fraction(1, 4), count=3)
    assert (made["value"], made["other"], made["count"]) == (1.5, 0.25, 3)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), Decimal("NaN"), Decimal("Infinity")]
)
def test_a_number_that_is_not_finite_is_rejected(value: float | Decimal) -> None:
    """The error has the field."""
    with pytest.raises(InvalidRecordError, match=r"\$.totalPnL: expected a finite number"):
        records.performance("b", {"portfolioValue": 1, "totalPnL": value})


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"portfolioValue": 1, "sharpRatio": 1}, "sharpRatio: unknown metric; did you mean sharpeRatio?"),
        ({"portfolioValue": 1, "portfolio_value": 2}, "portfolio_value: given twice"),
        ({"totalPnL": 1}, "portfolioValue: required"),
        ({"portfolioValue": [1]}, "portfolioValue: expected a number or text, got list"),
    ],
)
def test_invalid_metrics_are_rejected_before_they_are_sent(figures: dict[str, object], message: str) -> None:
    """The error has the name, and the nearest known one."""
    with pytest.raises(InvalidRecordError, match=message.replace("?", r"\?")):
        records.performance("b", figures)


def test_timestamps_are_utc_in_milliseconds() -> None:
    """One without a time zone is rejected."""
    assert records.record("heartbeat", "b", timestamp=NOON)["timestamp"] == "2026-01-31T12:00:00.000Z"
    with pytest.raises(InvalidRecordError, match=r"\$.timestamp: expected a time zone"):
        records.record("heartbeat", "b", timestamp=datetime(2026, 1, 31))  # noqa: DTZ001 - the point


@pytest.mark.parametrize("time", [1764411111.5, 1764411111, "2026-01-31T12:00:00Z", 0])
def test_a_time_that_is_no_datetime_is_rejected_with_its_field(time: Any) -> None:
    """`time.time()` is an easy mistake; a bot expects InvalidRecordError, and no other error."""
    with pytest.raises(InvalidRecordError, match=r"\$.timestamp: expected a datetime such as"):
        records.record("heartbeat", "b", timestamp=time)
    with pytest.raises(InvalidRecordError, match=r"\$.openedAt: expected a datetime such as"):
        records.format_wire_time(time, "openedAt")


def test_every_record_has_its_own_id() -> None:
    """Two equal calls make two records."""
    assert records.record("heartbeat", "b")["id"] != records.record("heartbeat", "b")["id"]

"""Validation before records are sent: each fault with the path of its field, on every way."""

from typing import Any, get_args

import pytest
from redis import Redis

from botwatch import BotwatchError, InvalidRecordError, MonitoringController
from botwatch.records import record
from botwatch.validation import validate_records
from shared.schema import redis_keys
from shared.schema.records import OrderStatus
from tests.unit.client.fake_server import FakeServer

WRONG: dict[str, Any] = {"order_id": 17, "symbol": "X", "side": "buy", "quantity": "5", "status": "sent"}


def test_an_invalid_record_is_not_sent_to_redis(valkey_url: str, redis: Redis) -> None:
    """All its faults are in one exception."""
    with MonitoringController("b", redis_url=valkey_url) as monitor:
        with pytest.raises(InvalidRecordError) as raised:
            monitor.log_order(**WRONG)
        assert [str(fault) for fault in raised.value.faults] == [
            "$.orderId: expected text, got 17",
            "$.quantity: expected a number, got '5'",
            f"$.status: expected one of {', '.join(sorted(get_args(OrderStatus)))}, got 'sent'",
        ]
        assert not redis.exists(redis_keys.BOT_STREAM)
        assert monitor.log_order("17", "X", "buy", 5, "submitted")
        assert monitor.flush()
        assert redis.xlen(redis_keys.BOT_STREAM) == 1


def test_an_invalid_record_is_not_sent_over_http(fake_server: FakeServer) -> None:
    """It raises before any request."""
    with (
        MonitoringController("b", api_url=fake_server.url) as monitor,
        pytest.raises(ValueError, match="orderId"),
    ):
        monitor.log_order(**WRONG)
    assert fake_server.asked == []


def test_the_path_of_a_fault_has_the_record() -> None:
    """Its index, if there are several."""
    good = record("equity", "b", equity=1)
    with pytest.raises(BotwatchError, match=r"\$\[1\]\.equity: required, but missing"):
        validate_records([good, record("equity", "b")])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"equity": float("nan")}, r"\$\.equity: expected a finite number, got nan"),
        ({"equity": True}, r"\$\.equity: expected a number, got True"),
        ({"bot": "x" * 129}, r"\$\.bot: expected 1 to 128 characters"),
        ({"labels": {"a": 1}}, r"\$\.labels\.a: expected text, got 1"),
        ({"labels": {"1": "a"}}, r"\$\.labels: expected text that matches .* as a name, got '1'"),
        ({"timestamp": "2026-01-31T12:00:00"}, r"\$\.timestamp: expected a time zone"),
        ({"timestamp": "20260131T120000Z"}, r"\$\.timestamp: expected ISO-8601 such as 2026-01-31T12:00:00Z"),
        ({"labels": {"a": "\ud800"}}, r"\$\.labels\.a: expected Unicode text"),
        ({"equty": 1}, r"\$\.equty: unknown field; did you mean equity\?"),
        ({"kind": "equty"}, r"\$\.kind: expected one of equity, .*, got 'equty'"),
    ],
)
def test_a_fault_says_what_was_expected(change: dict[str, Any], message: str) -> None:
    """And what was given."""
    with pytest.raises(InvalidRecordError, match=message):
        validate_records([record("equity", "b", equity=1.0) | change])

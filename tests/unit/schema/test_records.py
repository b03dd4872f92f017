"""What records say of themselves."""

import gc
from datetime import UTC, datetime

import pytest

from shared.schema.records import Check, CheckReason, Performance, decode_frame, encode_frame

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "days", "state"),
    [
        ("expired", -1.5, 0),
        ("expiring", 0.5, 0),
        ("expired", 60.0, 2),
        ("expired", None, 2),
        ("weak", -1.5, 2),
    ],
)
def test_an_expired_certificate_is_judged_once(reason: CheckReason, days: float | None, state: int) -> None:
    """Its days open one alert; its status opens none beside it, unless another certificate has expired."""
    check = Check(
        host="h", check="tls", type="certificate", status="critical", reason=reason, certificate_days=days,
        timestamp=NOON,
    )  # fmt: skip
    assert check.state == state


def test_decoded_records_are_left_out_of_garbage_collection() -> None:
    """Python need not look for cycles in a batch of records, again and again while it grows."""
    record = Performance(bot="b", portfolio_value=1.0, labels={"venue": "x"}, timestamp=NOON)
    assert not any(map(gc.is_tracked, decode_frame(encode_frame([record]))))

"""Making records: dictionaries with the field names of the wire. Pure."""

import math
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

from botwatch import validation
from botwatch.errors import Fault, InvalidRecordError

Record = dict[str, Any]
Number = float | Decimal

PERFORMANCE = frozenset(validation.SCHEMAS["performance"]["properties"]) - {
    *("kind", "bot", "timestamp", "id", "labels", "source"),
    *("undefined", "lowConfidence", "differences"),
    *("currency", "benchmark", "tradeMatching", "warnings"),
}
"""The metrics of a `performance` record."""


def record(
    kind: str,
    bot: str,
    *,
    timestamp: datetime | None = None,
    labels: Mapping[str, str] | None = None,
    **fields: object,
) -> Record:
    """Return a record of `kind` with a new id; fields that are None are left out.

    Numbers may be int, float, Decimal or NumPy's; InvalidRecordError for NaN and infinity, which the server
    rejects, and for a `timestamp` without a time zone. The default `timestamp` is now.
    """
    time = format_wire_time(datetime.now(UTC) if timestamp is None else timestamp)
    if timestamp and timestamp.tzinfo is None:
        raise _invalid("timestamp", f"expected a time zone, got {timestamp.isoformat()}")
    made: Record = {"kind": kind, "bot": bot, "timestamp": time, "id": uuid.uuid4().hex}
    if labels:
        made["labels"] = dict(labels)
    made |= {name: to_json_value(name, value) for name, value in fields.items() if value is not None}
    return made


def performance(
    bot: str,
    figures: Mapping[str, object],
    *,
    timestamp: datetime | None = None,
    labels: Mapping[str, str] | None = None,
) -> Record:
    """Return a `performance` record; metrics are named in camel case or in snake case."""
    named: dict[str, object] = {}
    for given, value in figures.items():
        name = to_camel_case(given)
        if name not in PERFORMANCE:
            raise _invalid(given, f"unknown metric{validation.did_you_mean(name, PERFORMANCE)}")
        if name in named:
            raise _invalid(given, "given twice")
        named[name] = value
    if named.get("portfolioValue") is None:
        raise _invalid("portfolioValue", "required in a performance record")
    return record("performance", bot, timestamp=timestamp, labels=labels, **named)


def field_names(kind: str) -> frozenset[str]:
    """Return the fields of a kind of record, as on the wire; ValueError if there is no such kind."""
    if kind not in validation.KINDS:
        raise ValueError(f"kind: expected one of {', '.join(validation.KINDS)}, got {kind!r}")
    return frozenset(validation.SCHEMAS[kind]["properties"])


def to_camel_case(name: str) -> str:
    """Return a field's name on the wire: `totalPnL` for `total_pnl` and for `totalPnL`."""
    first, *rest = name.split("_")
    return first + "".join("PnL" if part == "pnl" else part.capitalize() for part in rest)


def to_json_value(name: str, value: object) -> object:
    """Return `value` as a type of JSON; InvalidRecordError for a number that is not finite."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise _invalid(name, f"expected a finite number, got {number}")
        return number
    raise _invalid(name, f"expected a number or text, got {type(value).__name__}")


def format_wire_time(time: datetime, name: str = "timestamp") -> str:
    """Format as `2026-01-31T12:00:00.000Z`; InvalidRecordError for what is not a datetime, as time.time()."""
    if not isinstance(time, datetime):
        raise _invalid(name, f"expected a datetime such as datetime.now(UTC), got {time!r}")
    return time.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _invalid(name: str, message: str) -> InvalidRecordError:
    return InvalidRecordError([Fault(f"$.{name}", message)])

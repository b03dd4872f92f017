"""Units of metrics on the wire, and their conversion for Prometheus.

The wire follows trading desks (percent, milliseconds, basis points); Prometheus requires base units with a
suffix. A field's annotation is the only definition of its unit.
"""

import re
from functools import cache
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta


class Unit(NamedTuple):
    """A wire unit and its base unit: `base = wire * factor`."""

    name: str
    factor: float
    suffix: str
    wire_suffix: str = ""


PERCENT = Unit("percent", 0.01, "_ratio")
MONEY = Unit("account currency", 1.0, "")
MILLISECONDS = Unit("milliseconds", 0.001, "_seconds", "Ms")
SECONDS = Unit("seconds", 1.0, "_seconds", "Seconds")
DAYS = Unit("days", 86_400.0, "_seconds", "Days")
BASIS_POINTS = Unit("basis points", 0.0001, "_ratio", "Bps")
BYTES = Unit("bytes", 1.0, "_bytes", "Bytes")
BYTES_PER_SECOND = Unit("bytes per second", 1.0, "_bytes_per_second", "BytesPerSecond")
PLAIN = Unit("number", 1.0, "")
STATUS = Unit("status", 1.0, "")
"""Of a check: 0 ok, 1 warning, 2 critical."""
CONDITION = Unit("condition", 1.0, "")
"""1 where it is met, else 0."""
UNITS = {
    unit.name: unit
    for unit in (
        PERCENT, MONEY, MILLISECONDS, SECONDS, DAYS, BASIS_POINTS, BYTES, BYTES_PER_SECOND, PLAIN, STATUS,
        CONDITION,
    )
}  # fmt: skip

PROMETHEUS_NAMES = {"tradingDays": "daily_returns"}
"""Names that do not follow from the wire's: a count of days would look like a time that is not in seconds."""

MAX_INTEGER = 2**53
"""Whole numbers beyond it are not exact in JSON."""

Percent = Annotated[float, Meta(extra={"unit": PERCENT.name})]
Money = Annotated[float, Meta(extra={"unit": MONEY.name})]
Milliseconds = Annotated[float, Meta(extra={"unit": MILLISECONDS.name}, ge=0)]
SignedMilliseconds = Annotated[float, Meta(extra={"unit": MILLISECONDS.name})]
Days = Annotated[float, Meta(extra={"unit": DAYS.name})]
Flag = Annotated[int, Meta(extra={"unit": PLAIN.name}, ge=0, le=1)]
Seconds = Annotated[float, Meta(extra={"unit": SECONDS.name}, ge=0)]
BasisPoints = Annotated[float, Meta(extra={"unit": BASIS_POINTS.name})]
Bytes = Annotated[int, Meta(extra={"unit": BYTES.name}, ge=0, le=MAX_INTEGER)]
BytesPerSecond = Annotated[float, Meta(extra={"unit": BYTES_PER_SECOND.name}, ge=0)]
Number = Annotated[float, Meta(extra={"unit": PLAIN.name})]
Count = Annotated[int, Meta(extra={"unit": PLAIN.name}, ge=0, le=MAX_INTEGER)]


class MetricField(NamedTuple):
    """A numeric field of a record: its names in Python, on the wire and in Prometheus, and its unit."""

    attribute: str
    wire: str
    prometheus: str
    unit: Unit


@cache
def metric_fields(record: type[msgspec.Struct]) -> tuple[MetricField, ...]:
    """Return the fields of `record` that have a unit, in the order of the wire."""
    found = []
    for field in msgspec.structs.fields(record):
        unit = _unit_of(msgspec.inspect.type_info(field.type))
        if unit is not None:
            name = PROMETHEUS_NAMES.get(field.encode_name) or prometheus_name(field.encode_name, unit)
            found.append(MetricField(field.name, field.encode_name, name, unit))
    return tuple(found)


def prometheus_name(wire: str, unit: Unit) -> str:
    """Return the snake-case name with the base unit's suffix: `orderLatencyMs` → `order_latency_seconds`."""
    stem = wire.removesuffix(unit.wire_suffix).replace("PnL", "Pnl")
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[a-z])(?=[0-9])", "_", stem).lower()
    return snake + unit.suffix


def _unit_of(kind: Any) -> Unit | None:  # noqa: ANN401 - msgspec's own type nodes
    if isinstance(kind, msgspec.inspect.UnionType):
        return next((unit for part in kind.types if (unit := _unit_of(part))), None)
    if isinstance(kind, msgspec.inspect.Metadata) and kind.extra:
        return UNITS.get(kind.extra.get("unit", ""))
    return None

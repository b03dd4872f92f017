"""What requests ask for: filters of the alert list, the body of an acknowledgement. Every fault is named."""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

import msgspec

from shared.schema.alerts import Acknowledgement, AlertStatus, Severity
from shared.schema.faults import Fault, InvalidError, nearest, struct_faults

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_NAME = 256
MAX_COMMENT = 4096


class AlertFilter(NamedTuple):
    """Which alerts are wanted; None lets any pass."""

    status: str | None = None
    severity: str | None = None
    component: str | None = None
    limit: int = DEFAULT_LIMIT


def alert_filter(arguments: Mapping[str, str]) -> AlertFilter:
    """Read the filter from a query string; InvalidError names every wrong parameter and what is allowed."""
    faults = [
        Fault(name, f"unknown parameter{nearest(name, AlertFilter._fields)}")
        for name in arguments
        if name not in AlertFilter._fields
    ]
    chosen: dict[str, Any] = {}
    for name, allowed in (("status", get_args(AlertStatus)), ("severity", get_args(Severity))):
        if value := arguments.get(name):
            chosen[name] = value.upper()
            if value.upper() not in allowed:
                faults.append(Fault(name, f"expected one of {', '.join(allowed)}, got {value!r}"))
    if component := arguments.get("component"):
        chosen["component"] = component
    if limit := arguments.get("limit"):
        if limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MAX_LIMIT:
            chosen["limit"] = int(limit)
        else:
            faults.append(Fault("limit", f"expected a whole number from 1 to {MAX_LIMIT}, got {limit!r}"))
    if faults:
        raise InvalidError(faults)
    return AlertFilter(**chosen)


def acknowledgement(body: bytes) -> Acknowledgement:
    """Read an acknowledgement; InvalidError lists its faults. Blanks around the texts are dropped."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidError([Fault("$", f'expected JSON like {{"by": "name"}}: {error}')]) from error
    faults = struct_faults(value, Acknowledgement)
    if faults:
        raise InvalidError(faults)
    found = msgspec.convert(value, Acknowledgement)
    by, comment = found.by.strip(), (found.comment or "").strip()
    if not by:
        faults.append(Fault("$.by", "expected who acknowledges, got a blank"))
    for name, text, most in (("by", by, MAX_NAME), ("comment", comment, MAX_COMMENT)):
        if len(text) > most:
            faults.append(Fault(f"$.{name}", f"expected at most {most} characters, got {len(text)}"))
    if faults:
        raise InvalidError(faults)
    return Acknowledgement(by=by, comment=comment or None)

"""The query of a WebSocket URL: `?since=<id>&bot=a&bot=b&kind=equity&kind=alert&severity=HIGH`. Pure."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl

from services.broadcaster.encoding import ALERT
from services.broadcaster.hub import ClientFilter
from shared.schema.alerts import SEVERITIES
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.records import KINDS

_ID = re.compile(r"\d{1,15}(?:-\d{1,20})?")
_ALLOWED_VALUES: dict[str, tuple[str, ...]] = {
    "kind": (*KINDS, ALERT),
    "severity": SEVERITIES,
    "alive": ("true",),
}
_NAMES = ("since", "bot", "kind", "severity", "alive", "ticket")


class Query(NamedTuple):
    """The parsed query of a client."""

    wanted: ClientFilter
    since: str | None


def parse_query(text: str) -> Query:
    """Parse a query string; InvalidError lists every fault."""
    values: dict[str, list[str]] = {name: [] for name in _NAMES}
    faults: list[Fault] = []
    for name, value in parse_qsl(text, keep_blank_values=True):
        fault = _value_error(name, value)
        if fault:
            faults.append(Fault(name, fault))
        else:
            values[name].append(value)
    if len(values["since"]) > 1:
        faults.append(Fault("since", "expected once"))
    if faults:
        raise InvalidError(faults)
    wanted = ClientFilter(
        frozenset(values["bot"]),
        frozenset(values["kind"]),
        frozenset(values["severity"]),
        alive=bool(values["alive"]),
    )
    return Query(wanted, values["since"][0] if values["since"] else None)


def _value_error(name: str, value: str) -> str | None:
    if name not in _NAMES:
        return f"unknown parameter{did_you_mean(name, _NAMES)}"
    if not value:
        return "expected a value"
    if name == "since" and not _ID.fullmatch(value):
        return f"expected a message ID such as 1767225600000-0, got {value!r}"
    known = _ALLOWED_VALUES.get(name)
    if known and value not in known:
        return f"expected one of {', '.join(known)}, got {value!r}{did_you_mean(value, known)}"
    return None

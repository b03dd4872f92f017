"""What changed in the config documents, in lines that a person can read and without secrets. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

MAX_LINES = 200
MAX_VALUE = 120
"""Longest value in a line, characters."""
_SECRET_NAME = re.compile(r"pass|username|secret|token|credential|authorization|cookie|key$", re.IGNORECASE)
_REFERENCE = re.compile(r"(\$\{[A-Za-z_][A-Za-z0-9_]*\})?")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://")
_HOST_SHOWN = frozenset(("http", "https", "ws", "wss"))
"""Of other URLs the host may be a secret, too: apprise's `tgram://TOKEN/CHAT`."""
_SECRET_VALUES = frozenset(("headers",))
"""Sections whose values are all secrets."""
_SECRET_KEYS = frozenset(("heartbeats",))
"""Sections whose keys are secrets."""

Fingerprint = Callable[[str], str]
"""Names a secret without revealing it, so that a change of it is seen."""


def redact(value: object, fingerprint: Fingerprint, name: str = "") -> Any:  # noqa: ANN401 - JSON
    """Return a document without secrets; references such as `${NAME}` stay as they are."""
    match value:
        case dict():
            return {
                _redact_key(str(key), name): redact(
                    item, fingerprint, "secret" if _is_secret(name) else str(key)
                )
                for key, item in value.items()
            }
        case list():
            return [redact(item, fingerprint, name) for item in value]
        case str() if name != "$schema":
            return _redact_text(value, fingerprint, name)
        case int() | float() if not isinstance(value, bool) and _is_secret(name):
            return _redact_text(str(value), fingerprint, name)
        case date():  # of YAML; stored as JSON it is a text, too
            return value.isoformat()
        case _:
            return value


def _is_secret(section: str) -> bool:
    """Return whether all values of a section are secrets, as where a secret's value is of a wrong type."""
    return section in _SECRET_VALUES or bool(_SECRET_NAME.search(section))


def _redact_key(key: str, section: str) -> str:
    return f"{key[:4]}…" if section in _SECRET_KEYS else key


def _redact_text(text: str, fingerprint: Fingerprint, name: str) -> str:
    if _REFERENCE.fullmatch(text):
        return text
    if found := _URL.search(text):
        scheme = found["scheme"].lower()
        host = _host_of(text[found.start() :].rstrip("}")) if scheme in _HOST_SHOWN else ""
        return f"{scheme}://{host}… ({fingerprint(text)})"
    if _SECRET_NAME.search(name) or text.startswith("encrypted:"):
        return f"redacted ({fingerprint(text)})"
    return text


def _host_of(url: str) -> str:
    try:
        return f"{urlsplit(url).hostname or ''}/"
    except ValueError:
        return ""


def describe_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return a line per changed, added or removed value of redacted documents, by document name."""
    lines = [
        line
        for name in sorted(before.keys() | after.keys())
        for line in _changes(name, before.get(name, _ABSENT), after.get(name, _ABSENT), ": ")
    ]
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"… and {len(lines) - MAX_LINES} more"]
    return lines


_ABSENT = object()


def _changes(path: str, before: object, after: object, separator: str = ".") -> Iterator[str]:
    if before == after:
        return
    old, new = _by_name(before), _by_name(after)
    if old is not None and new is not None:
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _changes(f"{path}{separator}{name}", old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif before is _ABSENT:
        yield f"{path}: added {_format(after)}"
    elif after is _ABSENT:
        yield f"{path}: removed {_format(before)}"
    else:
        yield f"{path}: {_format(before)} → {_format(after)}"


def _by_name(value: object) -> dict[str, Any] | None:
    """Return the parts of an object, or of a list of objects by their names or positions."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        named = {str(item.get("name") or item.get("metricName") or at): item for at, item in enumerate(value)}
        return named if len(named) == len(value) else {str(at): item for at, item in enumerate(value)}
    return None


def _format(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"

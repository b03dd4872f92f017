"""JSON as dataclasses, with the standard library alone. Pure.

Keys are in camel case on the wire (`activeAlerts`) and in snake case in the dataclass. Unknown keys are
ignored; absent ones have the field's default.
"""

import json
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

T = TypeVar("T")
Document = dict[str, Any]
"""A JSON object whose keys the client passes on unchanged."""


def decode(data: bytes, kind: type[T]) -> T:
    """Return JSON as a `kind`; ValueError, with the path of the value, if it is not JSON or not of that type.

    A kind is a dataclass, a datetime, a type of JSON, or a list, dict, Literal or `… | None` of them.
    """
    return cast("T", _build(kind, json.loads(data), "$"))


def encode(value: object) -> bytes:
    """Return `value` as compact JSON, times as ISO 8601; ValueError or TypeError if JSON cannot hold it."""
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=datetime.isoformat
    ).encode()


def _build(kind: Any, value: Any, path: str) -> Any:  # noqa: ANN401 - any type of JSON
    origin, arguments = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, UnionType):
        [kind] = (one for one in arguments if one is not NoneType)
        return None if value is None else _build(kind, value, path)
    if kind is Any or (origin is Literal and value in arguments):
        return value
    if origin is list and isinstance(value, list):
        return [_build(arguments[0], one, f"{path}[{index}]") for index, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {name: _build(arguments[1], one, f"{path}.{name}") for name, one in value.items()}
    if is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return _build_dataclass(kind, value, path)
    return _build_scalar(kind, value, path)


def _build_dataclass(kind: type[Any], value: Document, path: str) -> object:
    built = {}
    for field in fields(kind):
        first, *rest = field.name.split("_")
        name = first + "".join(map(str.capitalize, rest))
        if name in value:
            built[field.name] = _build(field.type, value[name], f"{path}.{name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{path}.{name}: required, but missing")
    return kind(**built)


def _build_scalar(kind: Any, value: object, path: str) -> object:  # noqa: ANN401 - any type of JSON
    if kind is datetime and isinstance(value, str):
        return datetime.fromisoformat(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:
        return value
    choices = " or ".join(map(str, get_args(kind))) if get_origin(kind) is Literal else ""
    expected = choices or getattr(kind, "__name__", kind)
    raise ValueError(f"{path}: expected {expected}, got {str(value)[:80]!r}")

"""Faults: what is wrong with an input, where, and what was expected.

ValueError
└── InvalidError    the input cannot be taken; `faults` has every reason
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

_LOCATED = re.compile(r"^(?P<message>.*?)(?: - at `key` in `\$.*`| - at `\$(?P<path>.*)`)?$", re.DOTALL)
_OWN_CHECK = re.compile(r"^`(?P<field>\w+)`: (?P<message>.*)$", re.DOTALL)


class Fault(msgspec.Struct, frozen=True, rename="camel"):
    """One thing wrong with an input: its JSON path, and what was expected there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidError(ValueError):
    """An input that was refused; `faults` lists every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = list(faults)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for the closest known word, or nothing when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""


def struct_faults(value: object, kind: type[msgspec.Struct], path: str = "$") -> list[Fault]:
    """List every fault of `value` (built-in types) as a `kind`, descending into nested structs.

    msgspec stops at the first fault; a person who mends a config or a bot wants all of them.
    """
    if not isinstance(value, dict):
        return [Fault(path, f"expected an object, got {json_type(value)}")]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    tag_field = kind.__struct_config__.tag_field
    known = [*fields, *([tag_field] if tag_field else [])]
    faults = [
        Fault(f"{path}.{name}", f"unknown key{nearest(str(name), known)}")
        for name in value
        if name not in known
    ]
    for name, field in fields.items():
        if name in value:
            faults += _value_faults(value[name], field.type, f"{path}.{name}")
        elif field.required:
            faults.append(Fault(f"{path}.{name}", "required, but missing"))
    return faults or _whole_faults(value, kind, path)


def _value_faults(value: object, expected: Any, path: str) -> list[Fault]:  # noqa: ANN401 - any annotation
    inner = _struct_of(expected)
    if inner and isinstance(value, dict):
        return struct_faults(value, inner, path)
    item = _item_struct_of(expected)
    if item and isinstance(value, list):
        return [fault for i, one in enumerate(value) for fault in struct_faults(one, item, f"{path}[{i}]")]
    entry = _entry_struct_of(expected)
    if entry and isinstance(value, dict):
        return [fault for key, one in value.items() for fault in struct_faults(one, entry, f"{path}.{key}")]
    return _whole_faults(value, expected, path)


def _whole_faults(value: object, expected: Any, path: str) -> list[Fault]:  # noqa: ANN401
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        return [located(error, path)]
    return []


def located(error: msgspec.ValidationError, path: str = "$") -> Fault:
    """Split msgspec's message into its path, put below `path`, and what was expected.

    Checks of our own that concern one field begin their message with its name: "`timestamp`: expected …".
    """
    match = _LOCATED.match(str(error))
    message, inner = (match["message"], match["path"] or "") if match else (str(error), "")
    if own := _OWN_CHECK.match(message):
        message, inner = own["message"], f"{inner}.{own['field']}"
    return Fault(path + inner, message[:1].lower() + message[1:])


def json_type(value: object) -> str:
    """Name the JSON type of a decoded value."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def _struct_of(expected: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    info = msgspec.inspect.type_info(expected)
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    structs = [part.cls for part in parts if isinstance(part, msgspec.inspect.StructType)]
    return structs[0] if len(structs) == 1 else None


def _item_struct_of(expected: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    info = msgspec.inspect.type_info(expected)
    if isinstance(info, msgspec.inspect.ListType) and isinstance(info.item_type, msgspec.inspect.StructType):
        return info.item_type.cls
    return None


def _entry_struct_of(expected: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    info = msgspec.inspect.type_info(expected)
    if isinstance(info, msgspec.inspect.DictType) and isinstance(info.value_type, msgspec.inspect.StructType):
        return info.value_type.cls
    return None

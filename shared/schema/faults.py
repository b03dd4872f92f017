"""Faults: what is wrong with an input, where, and what was expected.

ValueError
└── InvalidError    the input is invalid; `faults` has every reason
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

MAX_FAULTS = 100
"""Limit of listed faults: invalid records must not cost seconds, nor a response many times their size."""
MAX_MESSAGE = 500
"""Limit of a path or a message in characters: both may quote the input."""
MAX_QUOTED = 64
"""Words longer than this get no suggestion."""

_NO_CHOICE = "invalid enum value "
_NO_MATCH = ("expected `str` matching regex ", "expected `str`, got ")
_TIME = "expected ISO 8601 with a time zone, such as 2026-01-31T12:00:00Z"
_NO_TIME = ("expected `", "invalid RFC3339 ")
_NAMES = {
    "str": "text", "int": "a whole number", "float": "a number", "bool": "true or false", "array": "an array",
    "object": "an object", "datetime": "a time", "date": "a date",
}  # fmt: skip
"""msgspec's names of types → what people call them."""
_TYPE = f"(?:{'|'.join(_NAMES)}|null)"
_TYPES = re.compile(rf"(?:(?<=expected )|(?<=got ))`({_TYPE}(?: \| {_TYPE})*)`")
_OWN_CHECK = re.compile(r"^`(?P<place>[^`]+)`: (?P<message>.*)$", re.DOTALL)


class Fault(msgspec.Struct, frozen=True, rename="camel"):
    """One fault of an input: its JSON path, and what was expected."""

    path: str
    message: str

    def __post_init__(self) -> None:
        for name in ("path", "message"):
            text = getattr(self, name)
            if len(text) > MAX_MESSAGE:
                msgspec.structs.force_setattr(self, name, f"{text[: MAX_MESSAGE - 1]}…")

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class _Field(NamedTuple):
    """A field of a struct: its kind of value, and which struct a value, or each item or entry of it, is."""

    kind: Any
    required: bool
    struct: type[msgspec.Struct] | None
    item: type[msgspec.Struct] | None
    entry: type[msgspec.Struct] | None


class InvalidError(ValueError):
    """An invalid input; `faults` lists every reason."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(map(str, faults)))
        self.faults = list(faults)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for the closest known word, or nothing when none is close."""
    if len(word) > MAX_QUOTED:
        return ""
    by_lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return f"; did you mean `{by_lower[close[0]]}`?" if close else ""


def struct_faults(value: object, kind: type[msgspec.Struct], path: str = "$") -> list[Fault]:
    """Return the faults of `value` (built-in types) as a `kind`, at most `MAX_FAULTS`, nested ones too.

    msgspec stops at the first fault; the author of a config or a bot needs all of them.
    """
    return list(islice(_struct_faults(value, kind, path), MAX_FAULTS))


def _struct_faults(value: object, kind: type[msgspec.Struct], path: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield Fault(path, f"expected an object, got {json_type(value)}")
        return
    fields = _fields(kind)
    tag_field = kind.__struct_config__.tag_field
    known = [*fields, *([tag_field] if tag_field else [])]
    sound = True
    for fault in _field_faults(value, fields, known, path):
        sound = False
        yield fault
    if sound:
        yield from _whole_faults(value, kind, path)


def _field_faults(
    value: dict[Any, Any], fields: Mapping[str, _Field], known: Sequence[str], path: str
) -> Iterator[Fault]:
    for name in value:
        if name not in known:
            hint = did_you_mean(str(name), known) or _nested_suggestion(
                str(name), fields, f"${path.partition('$')[2]}"
            )
            if "\t" in str(name):
                hint = "; YAML is indented by spaces, not by tabs"
            yield Fault(f"{path}.{name}", f"unknown key{hint}")
    for name, field in fields.items():
        if name in value:
            yield from _value_faults(value[name], field, f"{path}.{name}")
        elif field.required:
            yield Fault(f"{path}.{name}", "required, but missing")


def _nested_suggestion(name: str, fields: Mapping[str, _Field], path: str) -> str:
    """Return `; did you mean …?` when a section below has a key of just this name, or nothing."""
    for key, field in fields.items():
        if field.struct:
            below = _fields(field.struct)
            if name in below:
                return f"; did you mean `{path}.{key}.{name}`?"
            if found := _nested_suggestion(name, below, f"{path}.{key}"):
                return found
    return ""


def _value_faults(value: object, field: _Field, path: str) -> Iterator[Fault]:
    if field.struct and isinstance(value, dict):
        yield from _struct_faults(value, field.struct, path)
    elif field.item and isinstance(value, list):
        for i, element in enumerate(value):
            yield from _struct_faults(element, field.item, f"{path}[{i}]")
    elif field.entry and isinstance(value, dict):
        for key, element in value.items():
            yield from _struct_faults(element, field.entry, f"{path}.{key}")
    else:
        yield from _whole_faults(value, field.kind, path)


def _whole_faults(value: object, expected: Any, path: str) -> list[Fault]:  # noqa: ANN401
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError as error:
        fault = fault_from_error(error, path)
        number = None
        if isinstance(value, int | float) and not isinstance(value, bool) and fault.path == path:
            number = value
        return [msgspec.structs.replace(fault, message=in_words(fault.message, expected, number))]
    return []


def in_words(message: str, expected: Any, number: float | None = None) -> str:  # noqa: ANN401 - any annotation
    """Replace a message of msgspec by the description of the expected type, or its names by those of people.

    `number` is the value if it is one: only numbers and choices are quoted, never what may be a secret.
    """
    parts = list(_parts(msgspec.inspect.type_info(expected)))
    choices = [
        value for part in parts if isinstance(part, msgspec.inspect.LiteralType) for value in part.values
    ]
    if choices and message.startswith(_NO_CHOICE):
        word = message.removeprefix(_NO_CHOICE).strip("' ")
        return (
            f"expected one of {' '.join(map(str, choices))}, got "
            f"{word!r}{did_you_mean(word, map(str, choices))}"
        )
    descriptions = [
        (part.extra_json_schema or {}).get("description")
        for part in parts
        if isinstance(part, msgspec.inspect.Metadata)
    ]
    if any(descriptions) and message.startswith(_NO_MATCH):
        return f"expected {next(filter(None, descriptions))}"
    if any(isinstance(part, msgspec.inspect.DateTimeType) for part in parts) and message.startswith(_NO_TIME):
        is_epoch = any(isinstance(part, msgspec.inspect.IntType) for part in parts)
        message = f"{_TIME} or whole epoch milliseconds" if is_epoch else _TIME
    said = _TYPES.sub(_type_names, message)
    if number is None or (said == message and not message.startswith(_TIME)):
        return said
    return f"{said.partition(', got ')[0]}, got {number}"


def _type_names(found: re.Match[str]) -> str:
    return " or ".join(_NAMES.get(name, name) for name in found[1].split(" | "))


def _parts(info: Any) -> Iterator[Any]:  # noqa: ANN401 - msgspec's own type nodes
    """Yield the types within unions, lists and annotations."""
    yield info
    inner = getattr(info, "types", None) or [getattr(info, name, None) for name in ("type", "item_type")]
    for part in inner:
        if part is not None:
            yield from _parts(part)


def fault_from_error(error: msgspec.ValidationError, path: str = "$") -> Fault:
    """Split msgspec's message into its path, appended to `path`, and what was expected.

    Botwatch's own checks of a field start their message with its name, or with the path to it: "`timestamp`:
    expected …", "`routes[0].policy`: expected …".
    """
    # The message may quote the input: parse it from its end only.
    message, _, place = str(error).rpartition(" - at `")
    inner = ""
    if place.startswith("$") and place.endswith("`"):
        inner = place[1:-1]
    elif not place.startswith("key` in `$"):
        message = str(error)
    if own := _OWN_CHECK.match(message):
        message, inner = own["message"], f"{inner}.{own['place']}"
    return Fault(path + inner, message[:1].lower() + message[1:])


def json_type(value: object) -> str:
    """Return the JSON type of a decoded value."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


@cache  # msgspec inspects a type in milliseconds, and each config file has hundreds
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, _Field]:
    """Return the fields of a struct by their names in JSON."""
    return {field.encode_name: _inspect(field) for field in msgspec.structs.fields(kind)}


def _inspect(field: msgspec.structs.FieldInfo) -> _Field:
    info = msgspec.inspect.type_info(field.type)
    parts = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    structs = [struct for part in parts if (struct := _struct_of(part))]
    return _Field(
        field.type,
        field.required,
        struct=structs[0] if len(structs) == 1 else None,
        item=_struct_of(info.item_type) if isinstance(info, msgspec.inspect.ListType) else None,
        entry=_struct_of(info.value_type) if isinstance(info, msgspec.inspect.DictType) else None,
    )


def _struct_of(info: msgspec.inspect.Type) -> type[msgspec.Struct] | None:
    return info.cls if isinstance(info, msgspec.inspect.StructType) else None

"""Validation of records before they are sent, by the schema of the server. Pure.

`make schema` writes `schema.json` from the server's own definitions. It is JSON Schema, of which this module
knows the keywords that records need.
"""

import difflib
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botwatch.errors import Fault, InvalidRecordError

Schema = Mapping[str, Any]

SCHEMAS: dict[str, Schema] = json.loads(Path(__file__).with_name("schema.json").read_bytes())
"""By kind of record; `#/$defs/…` of them under their own name."""
KINDS = tuple(name for name, schema in SCHEMAS.items() if "kind" in schema["properties"])
FIRST, AFTER_LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
MAX_QUOTED = 80
"""Characters of a value in a message: a line."""
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "null": (type(None),),
}
_TIMESTAMP = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ](?!24)\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
"""What the server accepts; `datetime.fromisoformat` alone accepts more."""
_NAMES = {"string": "text", "integer": "a whole number", "number": "a number", "object": "an object"}


def validate_records(records: Sequence[object]) -> None:
    """Raise InvalidRecordError with every fault of `records` if the server would reject one."""
    faults = [
        fault
        for index, record in enumerate(records)
        for fault in faults_of(record, "$" if len(records) == 1 else f"$[{index}]")
    ]
    if faults:
        raise InvalidRecordError(faults)


def faults_of(record: object, path: str = "$") -> Iterator[Fault]:
    """Yield what is wrong with one record, each fault with the path of its field."""
    kind = record.get("kind") if isinstance(record, dict) else None
    if not isinstance(record, dict):
        yield Fault(path, f"expected an object, got {_quote(record)}")
    elif not isinstance(kind, str) or kind not in KINDS:
        hint = did_you_mean(kind, KINDS) if isinstance(kind, str) else ""
        yield Fault(f"{path}.kind", f"expected one of {', '.join(KINDS)}, got {_quote(kind)}{hint}")
    else:
        yield from _object(record, SCHEMAS[kind], path)
        for name in ("timestamp", "openedAt"):
            yield from _timestamp(record.get(name), f"{path}.{name}")
        if kind == "performance":
            if record.get("source") == "computed":
                yield Fault(f"{path}.source", "`computed` is reserved for Botwatch; omit `source`")
            elif record.get("portfolioValue") is None:
                yield Fault(f"{path}.portfolioValue", "required in a performance record")


def _value(value: object, schema: Schema, path: str) -> Iterator[Fault]:
    if "$ref" in schema:
        schema = SCHEMAS[schema["$ref"].rpartition("/")[2]]
    options: Sequence[Schema] = schema.get("anyOf", [schema])
    fitting = next((option for option in options if _has_type(value, option)), None)
    if fitting is None:
        expected = " or ".join(_NAMES[one["type"]] for one in options if one.get("type") in _NAMES)
        yield Fault(path, f"expected {expected or _choices(schema)}, got {_quote(value)}")
    elif isinstance(value, dict):
        yield from _object(value, fitting, path)
    elif message := _limit_error(value, fitting):
        yield Fault(path, f"{message}, got {_quote(value)}")


def _object(value: dict[Any, Any], schema: Schema, path: str) -> Iterator[Fault]:
    fields: Schema = schema.get("properties", {})
    others = schema.get("additionalProperties", False)
    for name, one in value.items():
        message = (
            _limit_error(name, schema.get("propertyNames", {})) if isinstance(name, str) else "expected text"
        )
        if message:
            yield Fault(path, f"{message} as a name, got {_quote(name)}")
        elif name in fields:
            yield from _value(one, fields[name], f"{path}.{name}")
        elif others:
            yield from _value(one, others, f"{path}.{name}")
        else:
            yield Fault(f"{path}.{name}", f"unknown field{did_you_mean(name, fields)}")
    for name in schema.get("required", ()):
        if name not in value:
            yield Fault(f"{path}.{name}", "required, but missing")
    if len(value) > schema.get("maxProperties", len(value)):
        yield Fault(path, f"expected at most {schema['maxProperties']} entries, got {len(value)}")


def _has_type(value: object, schema: Schema) -> bool:
    if "enum" in schema:
        return isinstance(value, str) and value in schema["enum"]
    kinds = _TYPES[schema.get("type", "object")]
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds)


def _limit_error(value: object, schema: Schema) -> str:
    """Return which limit a value of the right type exceeds, empty if none."""
    if isinstance(value, str):
        return _text_limits(value, schema)
    if not isinstance(value, int | float):
        return ""
    if not math.isfinite(value if isinstance(value, float) else 0) or abs(value) > sys.float_info.max:
        return "expected a finite number"
    for word, is_broken, text in (
        ("minimum", value < schema.get("minimum", value), "at least"),
        ("maximum", value > schema.get("maximum", value), "at most"),
        ("exclusiveMinimum", value <= schema.get("exclusiveMinimum", value - 1), "more than"),
    ):
        if word in schema and is_broken:
            return f"expected {text} {schema[word]}"
    return ""


def _text_limits(value: str, schema: Schema) -> str:
    least, most = schema.get("minLength", 0), schema.get("maxLength", len(value))
    if not least <= len(value) <= most:
        return f"expected {least} to {most} characters"
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        return "expected Unicode text without lone surrogates"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"expected text that matches {schema['pattern']}"
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` for the closest known word, or nothing when none is close."""
    close = difflib.get_close_matches(word[:MAX_QUOTED], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def parse_timestamp(text: str) -> datetime:
    """Parse RFC 3339 text; the time has no zone if the text has none. ValueError for other text."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(f"expected ISO-8601, got {text!r}")
    return datetime.fromisoformat(text.upper())


def _timestamp(value: object, path: str) -> Iterator[Fault]:
    """Check what JSON Schema cannot express about a time."""
    if isinstance(value, str):
        try:
            time = parse_timestamp(value)
        except ValueError:
            yield Fault(path, f"expected ISO-8601 such as 2026-01-31T12:00:00Z, got {_quote(value)}")
            return
        if time.tzinfo is None:
            yield Fault(path, f"expected a time zone, got {_quote(value)}")
        elif not FIRST <= time < AFTER_LAST:
            yield Fault(path, f"expected a time in the years 2000 to 2099, got {_quote(value)}")
    elif type(value) is int and not 1000 * FIRST.timestamp() <= value < 1000 * AFTER_LAST.timestamp():
        is_seconds = FIRST.timestamp() <= value < AFTER_LAST.timestamp()
        hint = "; these look like seconds" if is_seconds else ""
        yield Fault(path, f"expected epoch milliseconds in the years 2000 to 2099, got {_quote(value)}{hint}")


def _choices(schema: Schema) -> str:
    return f"one of {', '.join(schema['enum'])}" if "enum" in schema else "another type"


def _quote(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"

"""Environment: reads and validates the settings of a part."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from redis import ConnectionPool

from shared.runtime.redis.connection import DRIVER
from shared.runtime.settings import PartSettings, read_variable
from shared.schema.faults import Fault, InvalidError, in_words

S = TypeVar("S", bound=PartSettings)


def load_settings(kind: type[S], environ: Mapping[str, str]) -> S:
    """Load `kind` from the environment, empty means unset; InvalidError names every invalid variable."""
    values: dict[str, Any] = {}
    faults = []
    for field in msgspec.structs.fields(kind):
        name = field.name.upper()
        try:
            text = read_variable(name, environ)
        except OSError as error:
            faults.append(Fault(f"{name}_FILE", f"cannot be read: {error.strerror}"))
            continue
        if not text:
            continue
        try:
            if field.name == "redis_url":
                validate_redis_url(text)
            values[field.name] = _parse_value(text, field.type)
        except (msgspec.ValidationError, ValueError) as error:
            faults.append(Fault(name, _expected(field.type, error, text)))
    if faults:
        raise InvalidError(faults)
    return kind(**values)


def validate_redis_url(text: str) -> None:
    """Raise ValueError when `text` is not a Redis URL; the message shows only its scheme."""
    scheme, _, rest = text.partition("://")
    path = rest.partition("?")[0].rpartition("@")[2].partition("/")[2]
    try:
        ConnectionPool.from_url(text, driver_info=DRIVER).make_connection()  # does not connect
        is_wrong = scheme != "unix" and not re.fullmatch("[0-9]*", path)
    except (ValueError, TypeError):
        is_wrong = True
    if is_wrong:
        got = f"{scheme}://…" if re.fullmatch("[a-z+]{1,20}", scheme) and rest else "something else"
        raise ValueError(f"expected a URL like redis://127.0.0.1:6379/0, rediss://… or unix://…, got {got}")


def _expected(kind: Any, error: Exception, text: str) -> str:  # noqa: ANN401 - any annotation
    """Return what was expected of a variable; only numbers and choices are quoted, never a secret."""
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.UnionType):
        info = info.types[0]
    match info:
        case msgspec.inspect.LiteralType(values):
            wanted = " or ".join(map(str, values))
        case msgspec.inspect.IntType(ge=low, le=high) if low is not None and high is not None:
            wanted = f"a whole number from {low} to {high}"
        case msgspec.inspect.IntType():
            wanted = "a whole number"
        case _:
            message = str(error)
            return in_words(message[:1].lower() + message[1:], kind)
    return f"expected {wanted}, got {text[:40]!r}"


def _parse_value(text: str, kind: Any) -> object:  # noqa: ANN401 - any annotation
    if kind in (Path, Path | None):
        return Path(text)
    return msgspec.convert(text, kind, strict=False)

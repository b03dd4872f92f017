"""JSON of the server as dataclasses of the client."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

from botwatch.typed_json import decode, encode


@dataclass(kw_only=True)
class Inner:
    """One entry."""

    at: datetime
    status: Literal["ok", "down"] = "ok"
    size_bytes: int | None = None


@dataclass(kw_only=True)
class Outer:
    """A document."""

    share: float
    inner: dict[str, Inner] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    further: dict[str, Any] = field(default_factory=dict)


def test_nested_values_get_their_types() -> None:
    """Camel case becomes snake case, an integer a float, text a time; unknown keys are ignored."""
    data = (
        b'{"share":1,"names":["a"],"further":{"x":[1]},"new":0,'
        b'"inner":{"a":{"at":"2026-01-31T12:00:00Z","sizeBytes":7}}}'
    )
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert decode(data, Outer) == Outer(
        share=1.0, inner={"a": Inner(at=noon, size_bytes=7)}, names=["a"], further={"x": [1]}
    )
    assert isinstance(decode(data, Outer).share, float)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", r"\$\.share: required, but missing"),
        (b'{"share":"1"}', r"\$\.share: expected float, got '1'"),
        (b'{"share":true}', r"\$\.share: expected float, got 'True'"),
        (b'{"share":1,"names":[1]}', r"\$\.names\[0\]: expected str, got '1'"),
        (b'{"share":1,"inner":{"a":{"at":1}}}', r"\$\.inner\.a\.at: expected datetime, got '1'"),
        (
            b'{"share":1,"inner":{"a":{"at":"2026-01-31T12:00:00Z","status":"up"}}}',
            r"\$\.inner\.a\.status: expected ok or down, got 'up'",
        ),
        (b"[]", r"\$: expected Outer, got '\[\]'"),
        (b"<html>", "Expecting value"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_wrong_document_names_the_path(data: bytes, message: str) -> None:
    """The error has the place in the document, what was expected there and what was found."""
    with pytest.raises(ValueError, match=message):
        decode(data, Outer)


def test_encoding_is_compact_and_strict() -> None:
    """Text stays Unicode, times are ISO 8601, and NaN is refused."""
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert encode({"ä": noon}) == '{"ä":"2026-01-31T12:00:00+00:00"}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(float("nan"))

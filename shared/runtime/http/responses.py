"""Responses: bodies decompressed and decoded within bounds, statuses with their phrases, Retry-After."""

import codecs
import math
import re
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

from shared.runtime.http.dial import NetworkError, TimedConnection

MAX_BODY_BYTES = 1_048_576
"""How much of a body is read; the rest is not."""
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""`wbits` of zlib.decompressobj for each encoding that is decompressed."""
_GZIP_MAGIC = b"\x1f\x8b"
_META = re.compile(
    rb"""(?i)(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w.:-]+)"""
)
_META_BYTES = 1024
"""Where a page must name its charset. Source: the HTML standard."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}
"""Charsets, under Python's names, that browsers read as larger ones. Source: WHATWG Encoding."""
_PHRASES = {known.value: known.phrase for known in HTTPStatus}


class HttpResponse(NamedTuple):
    """A response, with its body decompressed where that is possible."""

    status: int
    headers: Message
    body: bytes
    is_complete: bool
    """False if the body is longer than what was read."""
    first_byte_ms: float
    """From sending the request to the status line."""
    encoding: str = ""
    """The Content-Encoding that could not be decompressed, such as `br`."""

    def require_whole(self, host: str) -> None:
        """Raise NetworkError `protocol` if the body is not complete."""
        if not self.is_complete:
            text = f"{host} sent a response larger than {MAX_BODY_BYTES // 2**20} MiB"
            raise NetworkError("protocol", text)

    @property
    def text(self) -> str:
        """The body as text."""
        return decode_text(self.body, self.headers.get_content_charset())


class FetchedResponse(NamedTuple):
    """A response, its connection, and when the request was sent by `time.monotonic()`."""

    answer: HttpResponse
    connected: TimedConnection
    asked_at: float

    @property
    def answered_at(self) -> float:
        """When its first byte arrived."""
        return self.asked_at + self.answer.first_byte_ms / 1000


def format_status(status: int) -> str:
    """Write a status with its phrase, if it has one: `503 Service Unavailable`."""
    return f"{status} {_PHRASES.get(status, '')}".rstrip()


def quote_body(body: bytes, secrets: Iterable[str], max_length: int) -> str:
    """Return the beginning of `body` as one printable line, with `secrets` masked."""
    text = "".join(one if one.isprintable() else " " for one in body.decode(errors="replace"))
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:max_length]


def parse_retry_after_s(said: str | None, now: datetime) -> float | None:
    """Return a Retry-After header (seconds or a date) in seconds; None if there is none or it is invalid.

    Source: RFC 9110, section 10.2.3.
    """
    if said is None:
        return None
    if said.strip().isdecimal():
        seconds = float(said)
        return seconds if math.isfinite(seconds) else None
    try:
        moment = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def decompress_body(body: bytes, encoding: str, most_bytes: int, *, whole: bool = True) -> tuple[bytes, str]:
    """Undo a Content-Encoding, up to `most_bytes`; return the body and the encodings that are left.

    Raises ValueError if the body is not in its encoding, or ends early although it is `whole`.
    """
    left = [name for name in encoding.lower().replace(" ", "").split(",") if name not in ("", "identity")]
    while left and left[-1] in _WINDOWS:
        try:
            body, ended = _inflate(body, _WINDOWS[left[-1]], most_bytes)
        except zlib.error as error:
            raise ValueError(f"not {left[-1]}: {error}") from error
        if whole and not ended and len(body) < most_bytes:
            raise ValueError(f"the {left[-1]} body is cut off")
        whole &= ended
        left.pop()
    return body, ", ".join(left)


def _inflate(packed: bytes, window: int, most_bytes: int) -> tuple[bytes, bool]:
    """Decompress every gzip member, up to `most_bytes`; return the result, and whether that is all."""
    stream = zlib.decompressobj(window)
    plain = stream.decompress(packed, most_bytes)
    while stream.eof and stream.unused_data.startswith(_GZIP_MAGIC) and len(plain) < most_bytes:
        packed, stream = stream.unused_data, zlib.decompressobj(window)
        plain += stream.decompress(packed, most_bytes - len(plain))
    return plain, stream.eof


def decode_text(body: bytes, charset: str | None) -> str:
    """Decode a page by its byte order mark, the header's `charset`, its own declaration, or as UTF-8."""
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(name, errors="replace")
    declared = _META.search(body[:_META_BYTES])
    name = charset or (declared[1].decode(errors="replace") if declared else "")
    try:
        known = codecs.lookup(name).name
        return body.decode(_SUPERSETS.get(known, known), errors="replace")
    except (LookupError, ValueError):  # unknown, or one of Python's encodings that are not charsets
        return body.decode(errors="replace")

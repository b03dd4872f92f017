"""Bodies of HTTP answers: unpacked where a server packs them unasked, and as text in their charset. Pure."""

import codecs
import re
import zlib

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""What zlib must expect for each encoding that it reads: `wbits` of zlib.decompressobj."""
_GZIP_MAGIC = b"\x1f\x8b"
_META = re.compile(
    rb"""(?i)(?:<meta[^>]{0,200}?charset|<\?xml[^>]{0,200}?encoding)\s*=\s*["']?\s*([\w.:-]+)"""
)
_META_BYTES = 1024
"""Where a page must have said its charset. Source: the HTML standard."""
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SUPERSETS = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "cp1252"}
"""Python's names of charsets that browsers read as larger ones. Source: the WHATWG's encodings."""


def decompress_body(body: bytes, encoding: str, most_bytes: int, *, whole: bool = True) -> tuple[bytes, str]:
    """Undo a Content-Encoding, to `most_bytes` at most; return the body and what is left of the encoding.

    Raises ValueError for what is not in the encoding that it is said to be in, and for what ends early
    although the packed body is `whole`.
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
    """Unpack every gzip member, to `most_bytes` at most; return what came out, and whether that is all."""
    stream = zlib.decompressobj(window)
    plain = stream.decompress(packed, most_bytes)
    while stream.eof and stream.unused_data.startswith(_GZIP_MAGIC) and len(plain) < most_bytes:
        packed, stream = stream.unused_data, zlib.decompressobj(window)
        plain += stream.decompress(packed, most_bytes - len(plain))
    return plain, stream.eof


def decode_text(body: bytes, charset: str | None) -> str:
    """Decode a page by its byte order mark, the header's `charset`, its own first lines, or as UTF-8."""
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body.decode(name, errors="replace")
    said = _META.search(body[:_META_BYTES])
    name = charset or (said[1].decode(errors="replace") if said else "")
    try:
        known = codecs.lookup(name).name
        return body.decode(_SUPERSETS.get(known, known), errors="replace")
    except (LookupError, ValueError):  # unknown, or an encoding of Python's that is none of texts
        return body.decode(errors="replace")

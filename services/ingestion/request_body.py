"""Read a request's body: content type, encoding, size. Pure: bytes and headers in, bytes out."""

import zlib
from http import HTTPStatus

JSON_TYPES = {"application/json"}
LINES_TYPES = {"application/x-ndjson", "application/ndjson", "application/jsonl"}
_GZIP_WINDOW = 31
MAX_RATIO = 100
"""Limit of the compression ratio of a gzip body; records reach about 20."""
RATIO_EXEMPT_BYTES = 64 * 2**10
"""Decompressed size up to which the ratio is not limited."""
CHUNK_BYTES = 1024
"""Bytes passed to zlib at once: it copies the rest after each member, and a body may have 100,000 members."""


class BodyError(Exception):
    """A body that cannot be read; `status` is the HTTP status of the response."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def is_lines(content_type: str) -> bool:
    """Say whether the media type is NDJSON; BodyError 415 when it is neither that nor JSON."""
    media = content_type.partition(";")[0].strip().lower()
    if media in LINES_TYPES:
        return True
    if media in JSON_TYPES:
        return False
    raise BodyError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"expected Content-Type application/json or application/x-ndjson, got {media or 'none'}",
    )


def decompress(data: bytes, encoding: str, limit: int) -> bytes:
    """Undo the content encoding, never producing more than `limit` bytes.

    BodyError 415 for an unknown encoding, 400 for data that is not gzip, 413 past the limit or `MAX_RATIO`.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return data
        case "gzip" | "x-gzip":
            return _decompress_gzip(data, limit)
        case other:
            raise BodyError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected Content-Encoding gzip or identity, got {other}"
            )


def _decompress_gzip(data: bytes, limit: int) -> bytes:
    """Decompress gzip with one or more members."""
    most = min(limit, max(RATIO_EXEMPT_BYTES, MAX_RATIO * len(data)))
    plain = bytearray()
    stream, place = None, 0
    while place < len(data):
        stream = stream or zlib.decompressobj(wbits=_GZIP_WINDOW)
        chunk = data[place : place + CHUNK_BYTES]
        try:
            plain += stream.decompress(chunk, most + 1 - len(plain))
        except zlib.error as error:
            message = "the body is not valid gzip (Content-Encoding: gzip)"
            raise BodyError(HTTPStatus.BAD_REQUEST, message) from error
        if len(plain) > most:
            times = "" if most == limit else f", {MAX_RATIO} times its size"
            message = f"expected at most {most} bytes after decompression{times}"
            raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)
        place += len(chunk) - len(stream.unused_data)
        if stream.eof:
            stream = None
    if stream:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the gzip body is incomplete")
    return bytes(plain)

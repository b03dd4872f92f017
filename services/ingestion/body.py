"""Reading a request's body: content type, encoding, size. Pure: bytes and headers in, bytes out."""

import zlib
from http import HTTPStatus

JSON_TYPES = {"application/json"}
LINES_TYPES = {"application/x-ndjson", "application/ndjson", "application/jsonl"}
_GZIP_WINDOW = 31


class BodyError(Exception):
    """A body that cannot be read; `status` is the answer's."""

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
    """Undo the content encoding, never making more than `limit` bytes.

    BodyError 415 for an unknown encoding, 400 for data that is not gzip, 413 past the limit.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return data
        case "gzip" | "x-gzip":
            return _gunzip(data, limit)
        case other:
            raise BodyError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"expected Content-Encoding gzip or identity, got {other}"
            )


def _gunzip(data: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(wbits=_GZIP_WINDOW)
    try:
        plain = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the body is not gzip, as Content-Encoding says") from error
    if len(plain) > limit:
        raise BodyError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected at most {limit} bytes after decompression"
        )
    if not stream.eof:
        raise BodyError(HTTPStatus.BAD_REQUEST, "the gzip body is cut off")
    return plain

"""Lists page by page: opaque cursors, and the link to the next page in the header `Link` (RFC 8288)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from flask import Response, request

from shared.schema.decoding import UNREADABLE

T = TypeVar("T")

MAX_CURSOR = 4096
"""Limit in characters."""


def encode_cursor(position: object) -> str:
    """Return a position in a list, such as the sort key of the last item, as an opaque text for a URL."""
    return urlsafe_b64encode(msgspec.json.encode(position)).decode().rstrip("=")


def decode_cursor(cursor: str, kind: type[T]) -> T:
    """Return the position that a cursor stands for. Raises ValueError for any other text."""
    if len(cursor) > MAX_CURSOR:
        raise ValueError("too long")
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return msgspec.json.decode(text, type=kind)
    except (ValueError, *UNREADABLE) as error:
        raise ValueError("expected the cursor of a `Link` header") from error


def link_next(response: Response, cursor: str | None) -> Response:
    """Add the link to the next page, with the parameters of this request; none after the last page."""
    if cursor is not None:
        arguments = {**request.args.to_dict(), "cursor": cursor}
        response.headers.add(
            "Link", f'<{request.root_path}{request.path}?{urlencode(arguments)}>; rel="next"'
        )
    return response

"""Answers over HTTP to those who ask: reading them within bounds, and how long they ask to wait."""

import math
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import urllib3
from urllib3.exceptions import HTTPError

MAX_BYTES = 65_536
"""How much of an answer is read, so that the connection can be used again."""


def read_response(response: urllib3.BaseHTTPResponse, patience_s: float) -> bytes:
    """Read an answer to its end, so that its connection is kept; an endless one loses its connection.

    Its status has been read. What goes wrong with the rest changes nothing: the receiver has decided.
    """
    deadline = time.monotonic() + patience_s
    taken = b""
    try:
        while part := response.read1(MAX_BYTES):
            taken += part
            if len(taken) > MAX_BYTES or time.monotonic() > deadline:
                response.close()
                break
        response.release_conn()
    except (HTTPError, OSError):
        response.close()
    return taken


def parse_retry_after_s(said: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (seconds or a date) as seconds; None when there is none or it makes no sense.

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

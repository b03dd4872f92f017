"""Decode values from Redis as defensively as external input.

Anyone with access to Redis can write anything, and earlier versions wrote other formats. An unreadable value
is skipped, counted, and logged once per key; it must never end a part.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import msgspec
import structlog
from prometheus_client import Counter

from shared.schema import redis_keys
from shared.schema.alerts import Alert

log = structlog.get_logger()

UNREADABLE = (msgspec.MsgspecError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError)
"""What decoding raises for invalid content."""

SKIPPED = Counter("botwatch_redis_unreadable", "Values in Redis that were skipped as unreadable.", ["key"])
QUOTED = 200
"""Limit of a logged error in characters: some errors quote the value."""

T = TypeVar("T")
_logged: set[str] = set()


def decode_or_none(key: str, decode: Callable[[], T]) -> T | None:
    """Return the result of `decode`, or None when the value is unreadable; `key` is its key in Redis."""
    try:
        return decode()
    except UNREADABLE as error:
        SKIPPED.labels(key).inc()
        if key not in _logged:
            _logged.add(key)
            reason = f"{type(error).__name__}: {error}"[:QUOTED]
            log.error(
                "skipped an unreadable value in redis; further ones are only counted",
                key=key,
                reason=reason,
            )
        return None


def decode_open_alerts(values: Iterable[bytes]) -> list[Alert]:
    """Return the open alerts among the values of the hash `botwatch:alerts:open`."""
    found = (decode_or_none(redis_keys.ALERTS_OPEN, partial(_alert, value)) for value in values)
    return [alert for alert in found if alert]


def _alert(value: bytes) -> Alert:
    alert = msgspec.json.decode(value, type=Alert)
    if alert.timestamp.tzinfo is None:
        raise ValueError("expected a timestamp with its zone")
    return alert

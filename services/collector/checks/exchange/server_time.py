"""Server time: what a time endpoint says, and how far its clock is from this host's. Pure."""

import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

_PER_SECOND = (1, 1_000, 1_000_000, 1_000_000_000)
"""Exchanges write seconds, milliseconds, microseconds or nanoseconds; the magnitude decides which."""
_EARLIEST, _LATEST = 1e8, 1e11
"""Seconds since 1970 that can be meant: 1973 to 5138, so that no two units overlap."""
_COARSE_MS = 1000.0


class ServerTime(NamedTuple):
    """A moment, milliseconds since 1970, of which the true one lies less than `coarse_ms` later."""

    ms: float
    coarse_ms: float


class Skew(NamedTuple):
    """How far the other clock is ahead, and by how much that may be wrong, milliseconds."""

    ms: float
    uncertainty_ms: float

    def exceeds(self, limit_ms: float) -> bool:
        """Say whether the clocks are certainly further apart than `limit_ms`."""
        return abs(self.ms) - self.uncertainty_ms > limit_ms


def parse_server_time(document: Any, path: str) -> ServerTime:  # noqa: ANN401 - any JSON
    """Return the time at `path` in an answer: a number of any unit, or ISO-8601, UTC where no zone is given.

    Raises ValueError when there is none.
    """
    value = _value_at(document, path)
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            moment = datetime.fromisoformat(value)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return _from_seconds(moment.timestamp())
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"no time at {path!r}")
    for factor in _PER_SECOND:
        if _EARLIEST <= value / factor < _LATEST:
            return _from_seconds(value / factor)
    raise ValueError(f"no time at {path!r}, but {value:.6g}")


def clock_skew(server: ServerTime, asked_ms: float, answered_ms: float) -> Skew:
    """Compare the server's time with the middle of the request, both milliseconds since 1970 by this host.

    The server read its clock at an unknown moment of the round trip: half of it is the uncertainty,
    and half of what a clock without fractions leaves out.
    """
    return Skew(
        server.ms + server.coarse_ms / 2 - (asked_ms + answered_ms) / 2,
        (answered_ms - asked_ms) / 2 + server.coarse_ms / 2,
    )


def _from_seconds(seconds: float) -> ServerTime:
    """Whole seconds come from clocks that leave fractions out, or once in a thousand times by chance."""
    return ServerTime(seconds * 1000, _COARSE_MS if seconds == int(seconds) else 1.0)


def _value_at(document: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    for key in filter(None, path.split(".")):
        try:
            document = document[int(key)] if isinstance(document, list) else document[key]
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ValueError(f"nothing at {path!r}") from error
    return document

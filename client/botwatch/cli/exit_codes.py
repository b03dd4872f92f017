"""The exit codes of `botwatch`, the same for every command."""

from types import MappingProxyType

from botwatch.errors import BotwatchError, FullError, InvalidRecordError, UnreachableError

OK = 0
FAILED = 1
"""The work failed, or something is not well: a status that is not HEALTHY, a check, a difference."""
USAGE_ERROR = 2
"""A wrong command line, or input that is not valid; nothing was sent."""
UNREACHABLE = 3
REFUSED = 4
"""Botwatch refused: token, scope, not found, conflict, not valid for the server."""
FULL = 5
"""Botwatch can take nothing now: try again later."""

MEANINGS = MappingProxyType(
    {
        OK: "done, healthy",
        FAILED: "failed, or not well",
        USAGE_ERROR: "wrong command line or input",
        UNREACHABLE: "Botwatch does not respond",
        REFUSED: "Botwatch refused",
        FULL: "Botwatch is full or overloaded: try again later",
    }
)


def exit_code(error: BotwatchError) -> int:
    """Return the exit code for an error of the client."""
    match error:
        case InvalidRecordError():
            return USAGE_ERROR
        case UnreachableError():
            return UNREACHABLE
        case FullError():
            return FULL
        case _:
            return REFUSED

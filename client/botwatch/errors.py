"""Errors of the client.

Exception
├── ValueError                  a record that is not valid; nothing was sent
│   └── InvalidRecordError      the same, with the path of each wrong field
└── BotwatchError
    ├── InvalidRecordError
    ├── RefusedError            the server rejected the request; `faults` has every reason
    └── UnavailableError        try again later
        ├── UnreachableError    there was no response
        └── FullError           the server can take nothing now
"""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_SHOWN = 10
"""Faults in the text of an error; `faults` has all."""


@dataclass(frozen=True)
class Fault:
    """A validation error: the JSON path, and what was expected there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class BotwatchError(Exception):
    """A request failed; `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, *, status: int | None = None, faults: Sequence[Fault] = ()) -> None:
        shown = [str(fault) for fault in faults[:MOST_SHOWN]]
        if len(faults) > MOST_SHOWN:
            shown.append(f"and {len(faults) - MOST_SHOWN} more")
        super().__init__(": ".join([message, *(["; ".join(shown)] if shown else [])]))
        self.status = status
        self.faults = list(faults)


class InvalidRecordError(BotwatchError, ValueError):
    """A record is not valid; nothing was sent."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("not valid; nothing was sent", faults=faults)


class RefusedError(BotwatchError):
    """The server rejected a request: it is wrong, or not allowed."""


class UnavailableError(BotwatchError):
    """There was no response, or the server cannot accept anything now; try again later."""


class UnreachableError(UnavailableError):
    """There was no response."""


class FullError(UnavailableError):
    """The server responded that it cannot accept anything now: it is full or overloaded."""

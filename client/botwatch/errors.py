"""Errors of the client.

Exception
├── ValueError                  a record that is not valid; nothing was sent
│   └── InvalidRecordError      the same, with the path of each wrong field
└── BotwatchError               the server rejected the request; `faults` has every reason
    ├── InvalidRecordError
    └── UnavailableError        no response, or temporarily not possible; try again later
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A validation error: the JSON path, and what was expected there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class BotwatchError(Exception):
    """The server rejected a request; `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, *, status: int | None = None, faults: Sequence[Fault] = ()) -> None:
        super().__init__(": ".join([message, *(["; ".join(map(str, faults))] if faults else [])]))
        self.status = status
        self.faults = list(faults)


class InvalidRecordError(BotwatchError, ValueError):
    """A record is not valid; nothing was sent."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("not valid; nothing was sent", faults=faults)


class UnavailableError(BotwatchError):
    """There was no response, or the server cannot accept anything now; try again later."""

"""What can go wrong on the way to Botwatch.

Exception
├── ValueError                  a record that no server would take, refused before it is sent
│   └── InvalidRecordError      the same, with the path of each field that is wrong
└── BotwatchError               the server refused; `faults` has every reason
    ├── InvalidRecordError
    └── UnavailableError        no answer after every retry: trying again later makes sense
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with what was sent: its JSON path, and what was expected there."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class BotwatchError(Exception):
    """The server refused a request: `status` is HTTP's, where there was one."""

    def __init__(self, message: str, *, status: int | None = None, faults: Sequence[Fault] = ()) -> None:
        super().__init__(": ".join([message, *(["; ".join(map(str, faults))] if faults else [])]))
        self.status = status
        self.faults = list(faults)


class InvalidRecordError(BotwatchError, ValueError):
    """A record is not valid; nothing was sent."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("not valid, nothing was sent", faults=faults)


class UnavailableError(BotwatchError):
    """Nobody answered, or only that it cannot take anything now."""

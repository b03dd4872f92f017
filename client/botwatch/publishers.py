"""Publishing records to Botwatch: what `http_publisher` and `redis_publisher` do."""

from collections.abc import Sequence
from typing import Protocol


class Publisher(Protocol):
    """A way to publish records, each as JSON."""

    address: str
    """Where they go, without a password."""

    def publish(self, records: Sequence[bytes]) -> None:
        """Publish `records`, all or none; raises BotwatchError if they were not accepted."""

    def check(self) -> None:
        """Raise BotwatchError if Botwatch cannot be reached."""

    def close(self) -> None:
        """Close the connection."""


def join_records(records: Sequence[bytes]) -> bytes:
    """Return a JSON array, or one record as an object: paths of faults are shorter then."""
    return records[0] if len(records) == 1 else b"[" + b",".join(records) + b"]"

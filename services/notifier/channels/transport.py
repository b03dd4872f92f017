"""What every transport is: something that takes a notice, or says why not."""

from typing import Protocol

from shared.schema.alerts import Notice


class TransportError(Exception):
    """A notice did not arrive. The message never holds a secret: it is logged and kept in the store.

    `permanent`: trying again would not help. `retry_after`: seconds that the receiver asked for.
    """

    def __init__(self, message: str, *, permanent: bool, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after


class Transport(Protocol):
    """A way to one receiver; used by one thread."""

    def send(self, notice: Notice, key: str) -> None:
        """Deliver `notice` or raise TransportError; `key` is the same each time this delivery is tried."""

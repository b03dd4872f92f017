"""Base of all channels: the transport protocol and its error."""

from typing import Literal, Protocol, runtime_checkable

from services.notifier.content.message import NotificationMessage
from services.notifier.content.report_message import ReportMessage

Reason = Literal["refused", "unreachable", "timeout", "busy", "failing", "unexpected", "expired"]
"""Why a message was not delivered.

`refused`: rejected by the receiver (permanent); `unreachable`: no connection; `timeout`: no response in time;
`busy`: the receiver asked to wait (429, Retry-After); `failing`: server error (5xx); `unexpected`: unexpected
exception of a library; `expired`: retried for 24 hours.
"""


class TransportError(Exception):
    """A message was not delivered. The text never contains a secret: it is logged and stored.

    `permanent`: retrying would not help. `retry_after`: seconds to wait that the receiver asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        reason: Reason | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.reason: Reason = reason or ("refused" if permanent else "failing")
        self.retry_after = retry_after


@runtime_checkable
class ReportTransport(Protocol):
    """A transport that sends reports, too."""

    def send_report(self, report: ReportMessage) -> None:
        """Send `report`: files if the receiver takes any, else a summary with a link.

        Raises TransportError.
        """


class Transport(Protocol):
    """Sends to one receiver; each delivery worker has its own."""

    takes_batches: bool
    """Whether one message may have several notifications; else each is sent alone."""

    def send(self, message: NotificationMessage) -> None:
        """Send `message`. Raises TransportError."""

    def last_response(self) -> str:
        """Return the receiver's last response, shown by channel tests; contains no secret."""

"""Base of all channels: the message, its content, the transport protocol and its error."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from shared.schema.alerts import Notice

if TYPE_CHECKING:  # views are built from messages: an import at run time would be circular
    from services.notifier.content.message_view import MessageView

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


class NotificationMessage(NamedTuple):
    """One message to a receiver, with one or more notifications."""

    notifications: tuple[Notice, ...]
    """At least one, oldest first; possibly several for one alert."""
    key: str
    """Idempotency key: the same for all attempts; letters, digits and `-`."""
    sent_at: datetime
    late: timedelta = timedelta(0)
    """Delay of the oldest notification."""
    group: str | None = None
    """Key of the group of alerts, None for a single alert."""
    is_test: bool = False
    """Whether it is a test message."""

    @property
    def latest_per_alert(self) -> tuple[Notice, ...]:
        """The newest notification of each alert, in the order of the alerts."""
        newest = {notice.id: notice for notice in self.notifications}
        return tuple(newest.values())


class MessageContent(Protocol):
    """Renders messages for transports that people read."""

    def subject(self, message: NotificationMessage) -> str:
        """Return the subject: one line that can be understood on its own."""

    def text(self, message: NotificationMessage) -> str:
        """Return the message as plain text."""

    def html(self, message: NotificationMessage, chart: str | None) -> str:
        """Return the message as HTML for mail clients; `chart` is the image's URL, such as `cid:chart`."""

    def chart(self, message: NotificationMessage) -> bytes | None:
        """Return a PNG of the metric over time, None without data or with several alerts."""

    def view(self, message: NotificationMessage) -> "MessageView":
        """Return the formatted parts, for transports with a layout of their own."""


class Transport(Protocol):
    """Sends to one receiver; each delivery worker has its own."""

    takes_batches: bool
    """Whether one message may have several notifications; else each is sent alone."""

    def send(self, message: NotificationMessage) -> None:
        """Send `message`. Raises TransportError."""

    def last_response(self) -> str:
        """Return the receiver's last response, shown by channel tests; contains no secret."""

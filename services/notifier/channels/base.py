"""What every transport is: something that takes a message, or says why not."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from shared.schema.alerts import Notice

if TYPE_CHECKING:  # views are made of messages: imported in earnest, each would wait for the other
    from services.notifier.content.message_view import MessageView

Reason = Literal["refused", "unreachable", "timeout", "busy", "failing", "unexpected", "expired"]
"""Why something did not arrive.

`refused`: the receiver does not want it (permanent); `unreachable`: no connection; `timeout`: no answer in
time; `busy`: it asked to wait (429, Retry-After); `failing`: its own error (5xx); `unexpected`: a library
raised what it should not; `expired`: it was tried for a day.
"""


class TransportError(Exception):
    """A message did not arrive. The words never hold a secret: they are logged and kept in the store.

    `permanent`: trying again would not help. `retry_after`: seconds that the receiver asked for.
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
    """What is sent at once: one notice, or several that belong together."""

    notifications: tuple[Notice, ...]
    """At least one, oldest first; of one alert there may be several."""
    key: str
    """The same each time that it is tried; only letters, digits and `-`."""
    sent_at: datetime
    late: timedelta = timedelta(0)
    """How much later than meant the first of them is sent."""
    group: str | None = None
    """The group of alerts that it is about, None when it is about one alert."""
    is_test: bool = False
    """Whether it only shows that the channel works; the notice is made up."""

    @property
    def latest_per_alert(self) -> tuple[Notice, ...]:
        """The newest notice of each alert, in the order in which the alerts came."""
        newest = {notice.id: notice for notice in self.notifications}
        return tuple(newest.values())


class MessageContent(Protocol):
    """A message in words and pictures; what transports that people read are given."""

    def subject(self, message: NotificationMessage) -> str:
        """Return one line that a person understands at three in the morning."""

    def text(self, message: NotificationMessage) -> str:
        """Return all of it as plain text."""

    def html(self, message: NotificationMessage, chart: str | None) -> str:
        """Return all of it as HTML for mail clients; `chart` is the image's address, such as `cid:chart`."""

    def chart(self, message: NotificationMessage) -> bytes | None:
        """Return a PNG of how the value developed, None where nothing is known of it or there are several."""

    def view(self, message: NotificationMessage) -> "MessageView":
        """Return each part of it in words, for transports that lay it out themselves."""


class Transport(Protocol):
    """A way to one receiver; each thread that delivers has its own."""

    takes_batches: bool
    """Whether several notices make one message; else each is sent by itself."""

    def send(self, message: NotificationMessage) -> None:
        """Deliver `message` or raise TransportError."""

    def last_response(self) -> str:
        """Return what the receiver answered last, for people who test a channel; it holds no secret."""

"""Receivers of the watchdog beat: a URL of the user's choice, and Botwatch itself."""

from services.notifier.channels.json_poster import JsonPoster
from services.notifier.content.message import NotificationMessage


class WatchdogUrlTransport:
    """Requests a URL at each beat, such as a check of healthchecks.io, which alerts if beats are missing."""

    takes_batches = True

    def __init__(self, url: str) -> None:
        self._poster = JsonPoster(url, method="GET")
        self._answer = ""

    def send(self, message: NotificationMessage) -> None:  # noqa: ARG002 - a beat has no content
        """Request the URL once, for one or several beats."""
        self._answer = str(self._poster.post(b"", {}))

    def last_response(self) -> str:
        """Return the receiver's last response."""
        return self._answer


class LoopbackTransport:
    """Accepts every beat: the outbox then has it as sent, and the watchdog reads that."""

    takes_batches = True

    def send(self, message: NotificationMessage) -> None:
        """Accept the beat."""

    def last_response(self) -> str:
        """Return a fixed text."""
        return "received"

"""Heartbeat: where the watchdog's beat goes, a URL of the user's choice and Botwatch itself."""

from services.notifier.channels.base import NotificationMessage
from services.notifier.channels.json_poster import JsonPoster
from shared.schema.watchdog import WATCHDOG

WATCHDOG_URL_CHANNEL = f"{WATCHDOG}:url"
"""The channel that asks the URL of the user's choice."""


class WatchdogUrlTransport:
    """Asks a URL at each beat, such as a check of healthchecks.io: whoever is behind it notices silence."""

    takes_batches = True

    def __init__(self, url: str) -> None:
        self._poster = JsonPoster(url, method="GET")
        self._answer = ""

    def send(self, message: NotificationMessage) -> None:  # noqa: ARG002 - that it comes is all that it says
        """Ask the URL; several beats that waited are one."""
        self._answer = str(self._poster.post(b"", {}))

    def last_response(self) -> str:
        """Return what the receiver answered last."""
        return self._answer


class LoopbackTransport:
    """Takes every beat: that it was delivered stands in the outbox, where the watchdog looks for it."""

    takes_batches = True

    def send(self, message: NotificationMessage) -> None:
        """Take the beat."""

    def last_response(self) -> str:
        """Return that it was taken."""
        return "received"

"""Heartbeat: where the watchdog's beat goes, a URL of the user's choice and Botwatch itself."""

from services.notifier.channels.transport import Message
from services.notifier.posting import Poster
from shared.schema.watchdog import WATCHDOG

HEARTBEAT = f"{WATCHDOG}:url"
"""The channel that asks the URL of the user's choice."""


class HeartbeatTransport:
    """Asks a URL at each beat, such as a check of healthchecks.io: whoever is behind it notices silence."""

    bundles = True

    def __init__(self, url: str) -> None:
        self._poster = Poster(url, method="GET")
        self._answer = ""

    def send(self, message: Message) -> None:  # noqa: ARG002 - that it comes is all that it says
        """Ask the URL; several beats that waited are one."""
        self._answer = str(self._poster.post(b"", {}))

    def answer(self) -> str:
        """Return what the receiver answered last."""
        return self._answer


class ItselfTransport:
    """Takes every beat: that it was delivered stands in the outbox, where the watchdog looks for it."""

    bundles = True

    def send(self, message: Message) -> None:
        """Take the beat."""

    def answer(self) -> str:
        """Return that it was taken."""
        return "heard"

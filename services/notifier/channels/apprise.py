"""Apprise: Slack, Telegram, ntfy and the other services that the library of that name speaks to."""

import logging

import structlog

from services.notifier.channels.transport import TransportError
from services.notifier.message import body, subject
from shared.schema.alerts import Notice

log = structlog.get_logger()

NOT_UNDERSTOOD = "apprise does not understand the URL of this channel"


class AppriseTransport:
    """Sends to one apprise URL. What the URL holds is secret, so apprise's own logs are switched off."""

    def __init__(self, url: str) -> None:
        # Imported for the channels that need it only: it brings 100 services and tens of megabytes.
        import apprise  # noqa: PLC0415

        logging.getLogger("apprise").disabled = True
        self._types = apprise.NotifyType
        service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        self._service = service
        if service is None:
            log.error(NOT_UNDERSTOOD)

    def send(self, notice: Notice, key: str) -> None:  # noqa: ARG002 - apprise has no place for a key
        """Send `notice` in words; apprise says no more than whether it worked."""
        if self._service is None:
            raise TransportError(NOT_UNDERSTOOD, permanent=True)
        if not self._service.notify(
            body=body(notice), title=subject(notice), notify_type=self._type_of(notice)
        ):
            raise TransportError("the service did not take it", permanent=False)

    def _type_of(self, notice: Notice) -> object:
        if notice.change == "resolved":
            return self._types.SUCCESS
        return self._types.FAILURE if notice.severity in ("CRITICAL", "HIGH") else self._types.WARNING

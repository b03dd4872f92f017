"""Out-of-band sender: sends notifications without Redis, outbox and dispatcher, when these fail."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from queue import SimpleQueue
from typing import NamedTuple

import structlog

from services.notifier.channels.base import TransportError
from services.notifier.channels.registry import build_transport
from services.notifier.content.message import NotificationMessage
from services.notifier.content.rendering import ContentFactory
from services.notifier.planning.routing_config import RoutingConfig
from shared.runtime.config.documents import Documents
from shared.runtime.config.recipients import Recipient
from shared.runtime.logging_setup import redact_credentials
from shared.schema.alerts import Alert, Notice
from shared.schema.faults import InvalidError
from shared.schema.muting import MuteConfig

log = structlog.get_logger()

ConfigReader = Callable[[], tuple[Documents, ContentFactory]]
"""Reads the current config documents."""


class SendResult(NamedTuple):
    """Result of notifying one recipient."""

    channel: str | None
    """The channel that accepted the message, None if all failed."""
    errors: dict[str, str]
    """Errors by channel."""


SendResults = SimpleQueue[SendResult]


class _Config(NamedTuple):
    documents: Documents
    contents: ContentFactory
    routing: RoutingConfig


class OutOfBandSender:
    """Sends through the currently configured channels, each message in its own thread, without blocking."""

    def __init__(self, read_config: ConfigReader) -> None:
        self._read_config = read_config
        self._latest = self._read()
        self._error = ""
        """Why the config on disk cannot be used, if it cannot."""

    def recipients(self, alert: Alert, now: datetime) -> list[Recipient]:
        """Return the recipients of the routes (with a policy, of its first step), each channel once."""
        plan = self._current_config().routing
        found: dict[str, Recipient] = {}
        for route in plan.routing.match(alert, now):
            policy = plan.policy_of(route)
            for recipient in plan.recipients.resolve(policy.steps[0].notify if policy else route.notify, now):
                found.setdefault(recipient.channel, recipient)
        return list(found.values())

    def send(self, notice: Notice, recipients: Iterable[Recipient], now: datetime) -> SendResults:
        """Start sending; return the queue that gets the result of each recipient."""
        documents, contents, _ = self._current_config()
        results: SendResults = SimpleQueue()
        sending = _SendTask(
            documents, contents, NotificationMessage((notice,), f"{notice.id}-{notice.change}", now)
        )
        for recipient in recipients:
            threading.Thread(
                target=sending.run, args=(recipient, results), name="direct", daemon=True
            ).start()
        return results

    def mute_config(self) -> MuteConfig:
        """Return the current maintenance windows and inhibitions."""
        return self._current_config().routing.mutes

    def _current_config(self) -> _Config:
        """Return the current config, or the last valid one."""
        try:
            self._latest, self._error = self._read(), ""
        except (InvalidError, OSError) as error:
            if str(error) != self._error:
                self._error = str(error)
                log.error("config reload failed; keeping the previous configuration", error=self._error)
        return self._latest

    def _read(self) -> _Config:
        documents, contents = self._read_config()
        return _Config(documents, contents, RoutingConfig.from_documents(documents))


class _SendTask(NamedTuple):
    documents: Documents
    contents: ContentFactory
    message: NotificationMessage

    def run(self, recipient: Recipient, results: SendResults) -> None:
        """Try a recipient's channels in turn."""
        errors: dict[str, str] = {}
        for channel in (recipient.channel, *recipient.fallback):
            error = self._send(channel)
            if error is None:
                results.put(SendResult(channel, errors))
                return
            errors[channel] = error
        results.put(SendResult(None, errors))

    def _send(self, channel: str) -> str | None:
        notice = self.message.notifications[0]
        try:
            transport = build_transport(channel, self.documents.channels[channel], self.contents(channel))
            transport.send(self.message)
        except (TransportError, InvalidError) as error:
            error_text = redact_credentials(str(error))
            log.error("delivery failed", channel=channel, error=error_text)
            return error_text
        except Exception as error:
            # After any error of a library the next channel is tried.
            log.exception("unexpected transport error", channel=channel)
            return f"unexpected error: {type(error).__name__}"
        log.info("sent out of band", channel=channel, alert=notice.id, change=notice.change)
        return None

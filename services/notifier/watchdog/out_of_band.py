"""The direct line: tells people without Redis, outbox and dispatcher, when these do not work."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from queue import SimpleQueue
from typing import NamedTuple

import structlog

from services.notifier.channels.base import NotificationMessage, TransportError
from services.notifier.channels.registry import build_transport
from services.notifier.content.factory import ContentFactory
from services.notifier.planning.recipients import Recipient
from services.notifier.planning.routing_config import RoutingConfig
from shared.runtime.config.documents import Documents
from shared.runtime.logging_setup import redact_credentials
from shared.schema.alerts import Alert, Notice
from shared.schema.faults import InvalidError

log = structlog.get_logger()

ConfigReader = Callable[[], tuple[Documents, ContentFactory]]
"""Reads the config documents as they are now."""


class SendResult(NamedTuple):
    """What came of telling somebody."""

    channel: str | None
    """The channel that took it, None when none did."""
    errors: dict[str, str]
    """The channels that did not, and why."""


SendResults = SimpleQueue[SendResult]


class OutOfBandSender:
    """Sends by channels as the documents say now, each message from a thread of its own: nobody waits."""

    def __init__(self, documented: ConfigReader) -> None:
        self._documented = documented
        self._latest = documented()

    def recipients(self, alert: Alert, now: datetime) -> list[Recipient]:
        """Return whom the routes tell, where there is a policy those of its first step; each channel once."""
        plan = RoutingConfig.from_documents(self._current_config()[0])
        found: dict[str, Recipient] = {}
        for route in plan.routing.match(alert, now):
            policy = plan.policy_of(route)
            for one in plan.recipients.resolve(policy.steps[0].notify if policy else route.notify, now):
                found.setdefault(one.channel, one)
        return list(found.values())

    def send(self, notice: Notice, recipients: Iterable[Recipient], now: datetime) -> SendResults:
        """Begin to tell; return where what comes of each will be."""
        documents, contents = self._current_config()
        outcomes: SendResults = SimpleQueue()
        sending = _SendTask(
            documents, contents, NotificationMessage((notice,), f"{notice.id}-{notice.change}", now)
        )
        for one in recipients:
            threading.Thread(target=sending.run, args=(one, outcomes), name="direct", daemon=True).start()
        return outcomes

    def _current_config(self) -> tuple[Documents, ContentFactory]:
        """Return the documents as they are now, or as they were when they were valid last."""
        try:
            self._latest = self._documented()
        except (InvalidError, OSError) as error:
            log.error("config reload failed; keeping the previous configuration", error=str(error))
        return self._latest


class _SendTask(NamedTuple):
    documents: Documents
    contents: ContentFactory
    message: NotificationMessage

    def run(self, recipient: Recipient, outcomes: SendResults) -> None:
        """Try a recipient's channels in turn."""
        errors: dict[str, str] = {}
        for channel in (recipient.channel, *recipient.fallback):
            error = self._send(channel)
            if error is None:
                outcomes.put(SendResult(channel, errors))
                return
            errors[channel] = error
        outcomes.put(SendResult(None, errors))

    def _send(self, channel: str) -> str | None:
        notice = self.message.notifications[0]
        try:
            transport = build_transport(channel, self.documents.channels[channel], self.contents(channel))
            transport.send(self.message)
        except (TransportError, InvalidError) as error:
            words = redact_credentials(str(error))
            log.error("delivery failed", channel=channel, error=words)
            return words
        except Exception as error:
            # Whatever a library raises, the next channel is tried.
            log.exception("unexpected transport error", channel=channel)
            return f"unexpected error: {type(error).__name__}"
        log.info("sent out of band", channel=channel, alert=notice.id, change=notice.change)
        return None

"""The direct line: tells people without Redis, outbox and dispatcher, when these do not work."""

import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from queue import SimpleQueue
from typing import NamedTuple

import structlog

from services.notifier.channels.registry import transport_of
from services.notifier.channels.transport import Message, TransportError
from services.notifier.contents import Contents
from services.notifier.directory import Recipient
from services.notifier.plan import Plan
from shared.runtime.documents import Documents
from shared.runtime.logs import hide_credentials
from shared.schema.alerts import Alert, Notice
from shared.schema.faults import InvalidError

log = structlog.get_logger()

Documented = Callable[[], tuple[Documents, Contents]]
"""Reads the config documents as they are now."""


class Outcome(NamedTuple):
    """What came of telling somebody."""

    told: str | None
    """The channel that took it, None when none did."""
    errors: dict[str, str]
    """The channels that did not, and why."""


Outcomes = SimpleQueue[Outcome]


class DirectLine:
    """Sends by channels as the documents say now, each message from a thread of its own: nobody waits."""

    def __init__(self, documented: Documented) -> None:
        self._documented = documented
        self._latest = documented()

    def recipients(self, alert: Alert, now: datetime) -> list[Recipient]:
        """Return whom the routes tell, where there is a policy those of its first step; each channel once."""
        plan = Plan.of(self._current()[0])
        found: dict[str, Recipient] = {}
        for route in plan.routing.routes(alert, now):
            policy = plan.policy(route)
            for one in plan.directory.recipients(policy.steps[0].notify if policy else route.notify, now):
                found.setdefault(one.channel, one)
        return list(found.values())

    def tell(self, notice: Notice, recipients: Iterable[Recipient], now: datetime) -> Outcomes:
        """Begin to tell; return where what comes of each will be."""
        documents, contents = self._current()
        outcomes: Outcomes = SimpleQueue()
        sending = _Sending(documents, contents, Message((notice,), f"{notice.id}-{notice.change}", now))
        for one in recipients:
            threading.Thread(target=sending.run, args=(one, outcomes), name="direct", daemon=True).start()
        return outcomes

    def _current(self) -> tuple[Documents, Contents]:
        """Return the documents as they are now, or as they were when they were valid last."""
        try:
            self._latest = self._documented()
        except (InvalidError, OSError) as error:
            log.error("the documents cannot be read; those from before hold", error=str(error))
        return self._latest


class _Sending(NamedTuple):
    documents: Documents
    contents: Contents
    message: Message

    def run(self, recipient: Recipient, outcomes: Outcomes) -> None:
        """Try a recipient's channels in turn."""
        errors: dict[str, str] = {}
        for channel in (recipient.channel, *recipient.fallback):
            error = self._send(channel)
            if error is None:
                outcomes.put(Outcome(channel, errors))
                return
            errors[channel] = error
        outcomes.put(Outcome(None, errors))

    def _send(self, channel: str) -> str | None:
        notice = self.message.notices[0]
        try:
            transport = transport_of(channel, self.documents.channels[channel], self.contents(channel))
            transport.send(self.message)
        except (TransportError, InvalidError) as error:
            words = hide_credentials(str(error))
            log.error("not delivered", channel=channel, error=words)
            return words
        except Exception as error:
            # Whatever a library raises, the next channel is tried.
            log.exception("a transport failed unexpectedly", channel=channel)
            return f"unexpected: {type(error).__name__}"
        log.info("told directly", channel=channel, alert=notice.id, change=notice.change)
        return None

"""The direct line: tells people without Redis, outbox and dispatcher, when these do not work."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from services.notifier.channels.registry import transport_of
from services.notifier.channels.transport import Message, TransportError
from services.notifier.contents import Contents
from services.notifier.directory import Recipient
from services.notifier.plan import Plan
from services.notifier.routing import Route
from shared.runtime.documents import Documents
from shared.runtime.logs import hide_credentials
from shared.schema.alerts import Alert, Change, Notice, notice_of
from shared.schema.faults import InvalidError

log = structlog.get_logger()

PATIENCE_S = 15.0
"""How long all that is sent at once may take; longer than any transport waits for an answer."""

Documented = Callable[[], tuple[Documents, Contents]]
"""Reads the config documents as they are now."""


class DirectLine:
    """Sends by the channels of the routes that an alert has."""

    def __init__(self, documented: Documented) -> None:
        self._documented = documented
        self._latest = documented()

    def tell(self, alert: Alert, change: Change, now: datetime) -> int:
        """Tell of an alert at once; return how many channels took it."""
        documents, contents = self._current()
        plan = Plan.of(documents)
        recipients = {
            one.channel: one
            for route in plan.routing.routes(alert, now)
            for one in plan.directory.recipients(_first(plan, route), now)
        }
        notice = notice_of(alert, change)
        took: list[str] = []
        threads = [
            threading.Thread(
                target=self._send, args=(one, documents, contents, notice, now, took), daemon=True
            )
            for one in recipients.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        return len(took)

    def _current(self) -> tuple[Documents, Contents]:
        """Return the documents as they are now, or as they were when they were valid last."""
        try:
            self._latest = self._documented()
        except (InvalidError, OSError) as error:
            log.error("the documents cannot be read; those from before hold", error=str(error))
        return self._latest

    def _send(
        self,
        recipient: Recipient,
        documents: Documents,
        contents: Contents,
        notice: Notice,
        now: datetime,
        took: list[str],
    ) -> None:
        for channel in (recipient.channel, *recipient.fallback):
            message = Message((notice,), f"{notice.id}-{notice.change}", now)
            try:
                transport_of(channel, documents.channels[channel], contents(channel)).send(message)
            except TransportError as error:
                log.error("not delivered", channel=channel, error=hide_credentials(str(error)))
            except Exception:
                # Whatever a library raises, the next channel is tried.
                log.exception("a transport failed unexpectedly", channel=channel)
            else:
                log.info("told directly", channel=channel, alert=notice.id, change=notice.change)
                took.append(channel)
                return


def _first(plan: Plan, route: Route) -> Sequence[str]:
    """Return whom a route tells first."""
    policy = plan.policy(route)
    return policy.steps[0].notify if policy else route.notify

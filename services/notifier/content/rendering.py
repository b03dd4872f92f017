"""Rendering: messages as text, HTML and charts, for transports that people read, by channel."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog

from services.notifier.content import phrasing
from services.notifier.content.chart import ChartLimits, draw_chart
from services.notifier.content.message import NotificationMessage
from services.notifier.content.message_view import AcknowledgeUrl, MessageContent, MessageView, message_view
from services.notifier.content.templates import HTML, SUBJECT, TEXT, Templates
from shared.runtime import clock
from shared.runtime.config.documents import Documents
from shared.runtime.config.notifications import PersonSection
from shared.runtime.settings import PartSettings
from shared.runtime.signed_links import SignedLinks, load_secret
from shared.schema.alerts import Notice
from shared.schema.conditions import Condition
from shared.store.database import Database
from shared.store.recent_values import recent_values

log = structlog.get_logger()

MAX_SUBJECT = 400

RecentValuesReader = Callable[[Notice, datetime], Sequence[tuple[datetime, float]]]
"""Returns the metric of a notification in the hour before a time, oldest first."""


class NotificationContent:
    """Implements `MessageContent`. `charts` reads recent values, `links` makes acknowledgement URLs.

    `conditions` are the configured rules: charts show the limits of those on plain metrics.
    """

    def __init__(
        self,
        templates: Templates,
        charts: RecentValuesReader,
        links: AcknowledgeUrl,
        conditions: Sequence[Condition] = (),
    ) -> None:
        self._templates = templates
        self._trails = charts
        self._links = links
        self._measures = ChartLimits(conditions)

    def subject(self, message: NotificationMessage) -> str:
        """Return the subject: severity, component and message in one line."""
        return phrasing.single_line(self._templates.render(SUBJECT, self.view(message)), MAX_SUBJECT)

    def text(self, message: NotificationMessage) -> str:
        """Return the message as plain text."""
        return self._templates.render(TEXT, self.view(message))

    def html(self, message: NotificationMessage, chart: str | None) -> str:
        """Return the message as HTML for mail clients; `chart` is the image's URL, such as `cid:chart`."""
        seen = msgspec.structs.replace(self.view(message), chart=chart or "")
        return self._templates.render(HTML, seen)

    def chart(self, message: NotificationMessage) -> bytes | None:
        """Return a PNG of the last hour; None for several alerts, for tests and without enough data."""
        notice, *others = message.latest_per_alert
        if others or message.is_test:
            return None
        try:
            points = self._trails(notice, message.sent_at)
            return draw_chart(notice, points, self._measures.measured_by(notice.details), message.sent_at)
        except Exception:
            # A failing chart must not stop a notification.
            log.exception("cannot draw a chart", alert=notice.id)
            return None

    def view(self, message: NotificationMessage) -> MessageView:
        """Return the formatted parts, for transports with a layout of their own."""
        return message_view(message, self._links)


ContentFactory = Callable[[str], MessageContent]
"""Returns the renderer for a channel."""


def load_contents(
    settings: PartSettings, documents: Documents, performance: Database, health: Database
) -> ContentFactory:
    """Load the templates and the secret for links. Raises InvalidError and OSError."""
    templates = Templates.load(settings.botwatch_config / "templates")
    links = SignedLinks(load_secret(settings.botwatch_home, os.environ), settings.dashboard_url)
    conditions = documents.performance.alerting.conditions

    def past(notice: Notice, now: datetime) -> list[tuple[datetime, float]]:
        return recent_values(performance, health, notice, now)

    def content(channel: str) -> MessageContent:
        reader = contact_owner(documents.notifications.people, channel)

        def acknowledge_url(notice: Notice) -> str | None:
            return links.acknowledge_url(notice, reader, clock.now())

        return NotificationContent(templates, past, acknowledge_url, conditions)

    return content


def contact_owner(people: Mapping[str, PersonSection], channel: str) -> str:
    """Return the person whose contact a channel is; "" if there is none or more than one."""
    owners = [name for name, person in people.items() if channel in person.contacts]
    return owners[0] if len(owners) == 1 else ""

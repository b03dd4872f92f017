"""Rendering: messages as text, HTML and charts, for transports that people read."""

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from services.notifier.channels.base import NotificationMessage
from services.notifier.content import phrasing
from services.notifier.content.chart import draw_chart
from services.notifier.content.chart_limits import ChartLimits
from services.notifier.content.message_view import AcknowledgeUrl, MessageView, message_view
from services.notifier.content.templates import HTML, SUBJECT, TEXT, Templates
from shared.schema.alerts import Notice
from shared.schema.conditions import Condition

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

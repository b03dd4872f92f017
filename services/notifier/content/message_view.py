"""Message view: the values of a message and its alerts for templates, formatted as text. Pure.

All texts are single lines without control characters, so that a record cannot add lines to a notification.
Missing values are empty.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from services.notifier.content import phrasing
from services.notifier.content.message import NotificationMessage
from shared.schema.alerts import SEVERITIES, Notice, Severity, most_severe
from shared.schema.formatting import metric_label

MAX_ALERTS = 20
MAX_LABELS = 20
MAX_NAMES = 5
MAX_LABEL = 300
MAX_HEADLINE = 200
MAX_NAME = 60
"""Characters: of messages and of names in headlines."""

_CHANGE_WORDS = {
    "reopened": "reopened", "flapping": "flapping", "raised": "raised", "lowered": "lowered",
    "unacknowledged": "acknowledgement expired", "unmuted": "unmuted", "escalated": "escalated",
}  # fmt: skip

AcknowledgeUrl = Callable[[Notice], str | None]
"""Returns the URL of the page that acknowledges an alert, None if there is none."""


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """One alert, as of its newest notification."""

    headline: str
    """One line: `[HIGH] demo: Maximum drawdown exceeded 20% (21.3% > 20%)`."""
    message: str
    id: str
    rule: str
    severity: Severity
    raised: bool
    """Whether the escalation raised the severity."""
    category: str
    """In lower case."""
    status: str
    """`ACTIVE`, `ACKNOWLEDGED` or `RESOLVED`."""
    change: str
    """Reason of the notification: `opened`, `repeated`, `resolved`, … as in docs/alerts.md."""
    subject: str
    """`Bot` or `Host`: the kind of `name`; `Component` of an external alert about neither."""
    name: str
    figure: str
    """The rule's metric: `Drawdown max`."""
    quantity: str
    """What value and limit measure: `Slippage avg, average over 5m`."""
    value: str
    """Empty if there is no limit, as for the status of a check."""
    operator: str
    limit: str
    since: str
    """When it opened: `2026-01-31 12:00:00 UTC`."""
    until: str
    """When it was resolved, in the same form."""
    lasted: str
    """How long it was or has been open: `12m`."""
    assignee: str
    """Who acknowledged it."""
    comment: str
    labels: tuple[tuple[str, str], ...]
    flaps: int
    """How often it reopened."""
    description: str
    """The annotation of an external alert, unless the message says the same."""
    page: str
    runbook: str
    acknowledge: str
    source: str
    """URLs: of the alert on the page, its runbook, its acknowledgement page, an external alert's source."""


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything in one message."""

    headline: str
    """Headline of the alert, or the number of alerts by severity."""
    alerts: tuple[AlertView, ...]
    """Most severe first, resolved ones last; at most 20."""
    total: int
    further: int
    """Number of alerts that are not in `alerts`."""
    late: str
    """Delay: `7 minutes`; empty if under one minute."""
    is_test: bool
    chart: str = ""
    """URL of the image; only for mail.html."""


class MessageContent(Protocol):
    """Renders messages for transports that people read."""

    def subject(self, message: NotificationMessage) -> str:
        """Return the subject: one line that can be understood on its own."""

    def text(self, message: NotificationMessage) -> str:
        """Return the message as plain text."""

    def html(self, message: NotificationMessage, chart: str | None) -> str:
        """Return the message as HTML for mail clients; `chart` is the image's URL, such as `cid:chart`."""

    def chart(self, message: NotificationMessage) -> bytes | None:
        """Return a PNG of the metric over time, None without data or with several alerts."""

    def view(self, message: NotificationMessage) -> MessageView:
        """Return the formatted parts, for transports with a layout of their own."""


def message_view(message: NotificationMessage, acknowledge_url: AcknowledgeUrl) -> MessageView:
    """Return the view of a message."""
    notices = sorted(message.latest_per_alert, key=_rank)

    def link(notice: Notice) -> str:
        can_be = notice.status != "RESOLVED" and not message.is_test
        return (can_be and acknowledge_url(notice)) or ""

    shown = notices[:MAX_ALERTS]
    alerts = tuple(_alert_view(notice, message.sent_at, link(notice)) for notice in shown)
    return MessageView(
        headline=alerts[0].headline if len(notices) == 1 else _group_headline(notices),
        alerts=alerts,
        total=len(notices),
        further=len(notices) - len(alerts),
        late=phrasing.format_lateness(message.late),
        is_test=message.is_test,
    )


def _rank(notice: Notice) -> tuple[bool, int]:
    return notice.status == "RESOLVED", -SEVERITIES.index(_severity(notice))


def _severity(notice: Notice) -> Severity:
    return most_severe(notice.severity, notice.details.raised_to)


def open_for(notice: Notice, now: datetime) -> timedelta:
    """Return how long an alert has been open, or was."""
    return (notice.resolved_at or now) - notice.timestamp


def _alert_view(notice: Notice, now: datetime, acknowledge: str) -> AlertView:
    details, severity = notice.details, _severity(notice)
    value, limit = details.value_text, details.limit_text
    if not limit:
        value = ""  # the message has it
    return AlertView(
        headline=_headline(notice, value, limit, now),
        message=phrasing.single_line(notice.message),
        id=notice.id,
        rule=phrasing.single_line(details.rule),
        severity=severity,
        raised=severity == details.raised_to,
        category=notice.category.lower(),
        status=notice.status,
        change=notice.change,
        subject=_subject(notice),
        name=phrasing.single_line(details.bot or details.host or notice.component),
        figure=phrasing.single_line(metric_label(details.metric)),
        quantity=phrasing.single_line(details.measure),
        value=value,
        operator=details.operator,
        limit=limit,
        since=phrasing.format_time(notice.timestamp),
        until=phrasing.format_time(notice.resolved_at) if notice.resolved_at else "",
        lasted=phrasing.format_duration(open_for(notice, now)),
        assignee=phrasing.single_line(notice.assignee or ""),
        comment=phrasing.single_line(notice.comment or ""),
        labels=_labels(details.labels),
        flaps=details.flaps,
        description=_description(notice),
        page=_safe_url(details.links.get("alert", "")),
        runbook=_safe_url(details.links.get("runbook", "")),
        acknowledge=_safe_url(acknowledge),
        source=_safe_url(details.links.get("source", "")),
    )


def _subject(notice: Notice) -> str:
    details = notice.details
    if details.external and not details.host and not details.bot:
        return "Component"
    return "Bot" if details.bot else "Host"


def _description(notice: Notice) -> str:
    annotations = notice.details.external.annotations if notice.details.external else {}
    text = phrasing.single_line(annotations.get("description", ""))
    return "" if text == phrasing.single_line(notice.message) else text


def _labels(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    shown = list(labels.items())[:MAX_LABELS]
    return tuple(
        (phrasing.single_line(name), phrasing.single_line(value, MAX_LABEL)) for name, value in shown
    )


def _safe_url(url: str) -> str:
    """Return `url` if it is http(s), else ""."""
    return url if url.startswith(("https://", "http://")) else ""


def _headline(notice: Notice, value: str, limit: str, now: datetime) -> str:
    text = phrasing.single_line(notice.message, MAX_HEADLINE)
    about = f"{phrasing.single_line(notice.component, MAX_NAME)}: {text}"
    severity = _severity(notice)
    length = phrasing.format_duration(open_for(notice, now))
    if notice.status == "RESOLVED":
        return f"[RESOLVED, {severity}] {about} (open for {length})"
    change = _CHANGE_WORDS.get(notice.change)
    line = f"[{severity}, {change}] {about}" if change else f"[{severity}] {about}"
    # Many descriptions have both already, some as `21.3 %`.
    said = text.replace(" ", "")
    if value and not (value.replace(" ", "") in said and limit.replace(" ", "") in said):
        line += f" ({value} {notice.details.operator} {limit})"
    return f"Still open ({length}): {line}" if notice.change == "repeated" else line


def _group_headline(notices: Sequence[Notice]) -> str:
    """Summarize several alerts: `3 alerts on slippage: 2 HIGH, 1 MEDIUM (bots a, b)`."""
    rules = {notice.details.rule for notice in notices}
    topic = f" on {phrasing.single_line(min(rules), MAX_NAME)}" if len(rules) == 1 else ""
    total = f"{len(notices)} alerts{topic}"
    names = [phrasing.single_line(notice.component, MAX_NAME) for notice in notices]
    components = f"({_common_topic(notices, len(set(names)))}{phrasing.join_names(names, MAX_NAMES)})"
    counted = Counter(_severity(notice) for notice in notices if notice.status != "RESOLVED")
    if not counted:
        return f"RESOLVED: {total} {components}"
    # The notifications are sorted: the most severe comes first here too.
    parts = [f"{count} {severity}" for severity, count in counted.items()]
    if ended := len(notices) - counted.total():
        parts.append(f"{ended} resolved")
    return f"{total}: {', '.join(parts)} {components}"


def _common_topic(notices: Sequence[Notice], count: int) -> str:
    """Return `bots ` or `hosts ` (or singular) if it applies to all alerts, else ""."""
    kinds = {"bot" if notice.details.bot else "host" for notice in notices}
    return (f"{kinds.pop()}s " if count > 1 else f"{kinds.pop()} ") if len(kinds) == 1 else ""

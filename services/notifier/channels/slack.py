"""Slack: blocks with fields and buttons through an incoming webhook."""

from typing import Any

from services.notifier.channels.json_poster import JsonPoster, PostResponse
from services.notifier.content.message import NotificationMessage
from services.notifier.content.message_view import AlertView, MessageContent
from services.notifier.content.phrasing import neutralize
from services.notifier.content.report_message import ReportMessage
from shared.schema.alerts import Severity, encode_json

# Slack's limits, from its Block Kit reference.
MAX_HEADER = 150
MAX_SECTION = 3000
MAX_FIELD = 2000
MAX_URL = 3000

MAX_LINK = 1000
"""Maximum length of a URL within a text: two of them leave enough room for the text."""
COLORS: dict[Severity, str] = {
    "CRITICAL": "#b3001b", "HIGH": "#e8590c", "MEDIUM": "#e0a800", "LOW": "#4c6ef5",
}  # fmt: skip
RESOLVED = "#2b8a3e"

Block = dict[str, Any]


class SlackTransport:
    """Posts to one incoming webhook."""

    takes_batches = True

    def __init__(self, url: str, content: MessageContent) -> None:
        self._poster = JsonPoster(url)
        self._content = content
        self._answer: PostResponse | str = ""

    def send(self, message: NotificationMessage) -> None:
        """Post `message`. Raises TransportError; `no_service`, `invalid_token` and the like are permanent."""
        self._answer = self._poster.post(encode_json(slack_payload(message, self._content)), {})

    def send_report(self, report: ReportMessage) -> None:
        """Post the summary of a report, with a button that opens it."""
        self._answer = self._poster.post(encode_json(report_payload(report)), {})

    def last_response(self) -> str:
        """Return Slack's last response."""
        return str(self._answer)


def slack_payload(message: NotificationMessage, content: MessageContent) -> Block:
    """Return the payload for Slack; `text` is shown where blocks are not, as on a locked phone."""
    subject, seen = content.subject(message), content.view(message)
    most_severe = seen.alerts[0]
    blocks = _blocks_of(most_severe) if seen.total == 1 else [_line(alert) for alert in seen.alerts]
    notes = [
        f"Alert {most_severe.id}" if seen.total == 1 else "",
        f"and {seen.further} more" if seen.further else "",
        f"{seen.late} late" if seen.late else "",
        "test: no action needed" if seen.is_test else "",
    ]
    if note := " · ".join(filter(None, notes)):
        blocks.append({"type": "context", "elements": [_text(note, MAX_SECTION)]})
    return {
        "text": _escape(_truncate(subject, MAX_SECTION)),
        "blocks": [{"type": "header", "text": _plain(_truncate(subject, MAX_HEADER))}],
        "attachments": [{"color": _color(most_severe), "blocks": blocks}],
    }


def report_payload(report: ReportMessage) -> dict[str, Any]:
    """Return the summary of a report as the body of an incoming webhook."""
    blocks: list[Block] = [
        {"type": "header", "text": _plain(_truncate(report.subject, MAX_HEADER))},
        {"type": "section", "text": _text(report.text, MAX_SECTION)},
    ]
    if len(report.link) <= MAX_URL:
        blocks.append({"type": "actions", "elements": [_button("Open the report", report.link)]})
    return {"text": _escape(_truncate(report.subject, MAX_SECTION)), "blocks": blocks}


def _blocks_of(alert: AlertView) -> list[Block]:
    blocks: list[Block] = [
        {
            "type": "section",
            "text": _text(" — ".join(filter(None, (alert.message, alert.description))), MAX_SECTION),
            "fields": [_text(f"*{name}*\n{value}", MAX_FIELD) for name, value in _fields(alert) if value],
        }
    ]
    links = {
        "Acknowledge": alert.acknowledge,
        "View alert": alert.page,
        "Runbook": alert.runbook,
        "Source": alert.source,
    }
    # Slack rejects the whole message if one link is too long.
    buttons = [_button(label, url) for label, url in links.items() if url and len(url) <= MAX_URL]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def _fields(alert: AlertView) -> list[tuple[str, str]]:
    """Return the fields of an alert beside its message: name and value, at most ten."""
    raised = ", escalated: not acknowledged in time" if alert.raised else ""
    so_far = f", for {alert.lasted}" if not alert.until and alert.lasted != "0s" else ""
    times = f"{alert.flaps} time{'s' if alert.flaps > 1 else ''}"
    quiet = (
        "; flapping: further notifications are paused until it is stable"
        if alert.change == "flapping"
        else ""
    )
    return [
        (alert.subject, alert.name),
        ("Severity", f"{alert.severity} ({alert.category}){raised}"),
        (alert.quantity, alert.value and f"{alert.value} (limit: {alert.operator} {alert.limit})"),
        ("Since", f"{alert.since}{so_far}"),
        ("Resolved", f"{alert.until}, after {alert.lasted}" if alert.until else ""),
        ("Acknowledged by", alert.assignee),
        ("Comment", alert.comment),
        ("Labels", ", ".join(f"{name}={value}" for name, value in alert.labels)),
        ("Reopened", f"{times}{quiet}" if alert.flaps else ""),
    ]


def _line(alert: AlertView) -> Block:
    """Return one alert of several: headline, time, assignee and links."""
    when = f"until {alert.until}" if alert.until else f"since {alert.since}"
    who = f", acknowledged by {alert.assignee}" if alert.assignee else ""
    links = _link("View alert", alert.page) + _link("Acknowledge", alert.acknowledge)
    return {"type": "section", "text": _text(f"{alert.headline}\n{when}{who}", MAX_SECTION, links)}


def _button(label: str, url: str) -> Block:
    return {"type": "button", "text": _plain(label), "url": url}


def _link(label: str, url: str) -> str:
    """Return a link to append to a text; empty without a URL, or if it is too long."""
    # A bar would end the URL and start the label.
    address = url.replace("|", "%7C").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f" · <{address}|{label}>" if 0 < len(address) <= MAX_LINK else ""


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": neutralize(text), "emoji": False}


def _text(text: str, longest: int, links: str = "") -> Block:
    # Verbatim: text from records must not become a mention or a link.
    said = _truncate(_escape(text), longest - len(links)) or "-"
    return {"type": "mrkdwn", "text": said + links, "verbatim": True}


def _escape(text: str) -> str:
    # Mattermost accepts Slack's format too, and interprets mentions and Markdown links.
    return neutralize(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _truncate(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _color(alert: AlertView) -> str:
    return RESOLVED if alert.status == "RESOLVED" else COLORS[alert.severity]

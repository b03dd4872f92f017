"""Slack: blocks with fields and buttons through an incoming webhook."""

from typing import Any

from services.notifier.channels.transport import Content, Message
from services.notifier.content import words
from services.notifier.posting import Answer, Poster
from shared.schema.alerts import SEVERITIES, Notice, Severity, encode_json, gravest

# What Slack takes at most, from its reference of blocks.
HEADER = 150
SECTION = 3000
FIELD = 2000
URL = 3000

MOST = 20
"""Alerts that are listed; further ones are counted."""
COLORS: dict[Severity, str] = {
    "CRITICAL": "#b3001b", "HIGH": "#e8590c", "MEDIUM": "#e0a800", "LOW": "#4c6ef5",
}  # fmt: skip
RESOLVED = "#2b8a3e"

Block = dict[str, Any]


class SlackTransport:
    """Posts to one incoming webhook."""

    bundles = True

    def __init__(self, url: str, content: Content) -> None:
        self._poster = Poster(url)
        self._content = content
        self._answer: Answer | str = ""

    def send(self, message: Message) -> None:
        """Post `message`; Slack's `no_service`, `invalid_token` and the like are permanent."""
        self._answer = self._poster.post(encode_json(payload(message, self._content)), {})

    def answer(self) -> str:
        """Return what Slack answered last."""
        return str(self._answer)


def payload(message: Message, content: Content) -> Block:
    """Return `message` as Slack wants it; `text` is what shows where blocks do not, as on a locked phone."""
    subject = content.subject(message)
    alerts = sorted(message.latest, key=_gravity, reverse=True)
    if len(alerts) == 1:
        blocks = _blocks_of(alerts[0], content.acknowledge_url(message))
        notes = [f"Alert {alerts[0].id}"]
    else:
        blocks = [_line(alert) for alert in alerts[:MOST]]
        notes = [f"and {len(alerts) - MOST} further"] if len(alerts) > MOST else []
    if late := words.lateness(message.late):
        notes.append(f"{late} late")
    if message.is_test:
        notes.append("a test: nothing is wrong")
    if notes:
        blocks.append({"type": "context", "elements": [_text(" · ".join(notes), SECTION)]})
    return {
        "text": _escape(_cut(subject, SECTION)),
        "blocks": [{"type": "header", "text": _plain(_cut(subject, HEADER))}],
        "attachments": [{"color": _color(alerts[0]), "blocks": blocks}],
    }


def _blocks_of(alert: Notice, acknowledge: str | None) -> list[Block]:
    details = alert.details
    fields = [
        ("Bot", details.bot) if details.bot else ("Host", details.host or alert.component),
        ("Severity", f"{_severity(alert)} ({alert.category.lower()})"),
        (details.metric, f"{details.value:.10g} (the rule: {details.operator} {details.threshold:.10g})"),
        ("Since", words.moment(alert.timestamp)),
        ("Acknowledged by" if alert.status == "ACKNOWLEDGED" else "Assigned to", alert.assignee),
        ("Comment", alert.comment),
    ]
    blocks: list[Block] = [
        {
            "type": "section",
            "text": _text(alert.message, SECTION),
            "fields": [_text(f"*{name}*\n{value}", FIELD) for name, value in fields if value],
        }
    ]
    links = {
        "Acknowledge": acknowledge,
        "Open": details.links.get("alert"),
        "What to do": details.links.get("runbook"),
    }
    buttons = [_button(label, url) for label, url in links.items() if url and _is_link(url)]
    if buttons:
        blocks.append({"type": "actions", "elements": buttons})
    return blocks


def _line(alert: Notice) -> Block:
    """Return one alert of several: in a line, with a link to its page."""
    page = alert.details.links.get("alert")
    state = "RESOLVED " if alert.status == "RESOLVED" else ""
    label = _cut(f"{state}[{_severity(alert)}] {alert.component}: {alert.message}", HEADER)
    block: Block = {"type": "section", "text": _text(label, SECTION)}
    if page and _is_link(page):
        block["accessory"] = _button("Open", page)
    return block


def _button(label: str, url: str) -> Block:
    return {"type": "button", "text": _plain(label), "url": url}


def _is_link(url: str) -> bool:
    """Say whether Slack takes `url`: one wrong link, and it refuses the whole message."""
    return url.startswith(("http://", "https://")) and len(url) <= URL


def _plain(text: str) -> Block:
    return {"type": "plain_text", "text": text, "emoji": False}


def _text(text: str, longest: int) -> Block:
    # Verbatim: what a record says must not mention anybody, nor become a link.
    return {"type": "mrkdwn", "text": _cut(_escape(text), longest) or "-", "verbatim": True}


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _severity(alert: Notice) -> Severity:
    return gravest(alert.severity, alert.details.raised_to)


def _gravity(alert: Notice) -> tuple[bool, int]:
    return alert.status != "RESOLVED", SEVERITIES.index(_severity(alert))


def _color(alert: Notice) -> str:
    return RESOLVED if alert.status == "RESOLVED" else COLORS[_severity(alert)]

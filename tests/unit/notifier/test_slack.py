"""Slack's blocks, as a receiver gets them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.channels.slack import SlackTransport, payload
from services.notifier.channels.transport import Message, TransportError
from shared.schema.alerts import SEVERITIES, Severity
from tests.unit.notifier.receivers import NOON, FakeContent, Receiver, message, notice

ACKNOWLEDGE = "http://localhost:3001/acknowledge/token"


def attached(told: Message, acknowledge: str | None = None) -> list[dict[str, Any]]:
    """Return the blocks below the header."""
    (attachment,) = payload(told, FakeContent(acknowledge=acknowledge))["attachments"]
    blocks: list[dict[str, Any]] = attachment["blocks"]
    return blocks


def texts(value: object) -> list[str]:
    """Return every text in the blocks."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def test_slack_gets_header_fields_and_buttons(receiver: Receiver) -> None:
    known = notice().details
    links = known.links | {"runbook": "http://localhost:3001/runbooks/drawdown"}
    told = message(notice(details=msgspec.structs.replace(known, links=links)))
    transport = SlackTransport(receiver.url, FakeContent(acknowledge=ACKNOWLEDGE))
    transport.send(told)
    (body,) = receiver.bodies
    subject = "[HIGH] demo: Maximum drawdown exceeded 20%"
    assert body["text"] == subject
    assert body["blocks"] == [
        {"type": "header", "text": {"type": "plain_text", "text": subject, "emoji": False}}
    ]
    (attachment,) = body["attachments"]
    section, actions, context = attachment["blocks"]
    assert attachment["color"] == "#e8590c"
    assert section["text"]["text"] == "Maximum drawdown exceeded 20%"
    assert [field["text"] for field in section["fields"]] == [
        "*Bot*\ndemo",
        "*Severity*\nHIGH (performance)",
        "*maxDrawdown*\n21.3 (the rule: &gt; 20)",
        "*Since*\n2026-01-31 12:00:00 UTC",
    ]
    assert [(button["text"]["text"], button["url"]) for button in actions["elements"]] == [
        ("Acknowledge", ACKNOWLEDGE),
        ("Open", "http://localhost:3001/alerts/a1"),
        ("What to do", "http://localhost:3001/runbooks/drawdown"),
    ]
    assert context["elements"][0]["text"] == "Alert a1"
    assert transport.answer() == "200 OK: ok"


def test_who_has_it_and_what_they_said_are_fields() -> None:
    held = notice("repeated", status="ACKNOWLEDGED", assignee="ann", comment="mine")
    fields = [field["text"] for field in attached(message(held))[0]["fields"]]
    assert fields[-2:] == ["*Acknowledged by*\nann", "*Comment*\nmine"]


def test_each_severity_has_its_colour_and_what_ended_another() -> None:
    def colour(told: Message) -> str:
        return str(payload(told, FakeContent())["attachments"][0]["color"])

    ended = notice("resolved", resolved_at=NOON)
    colours = {colour(message(notice(severity=severity))) for severity in SEVERITIES}
    assert len(colours | {colour(message(ended))}) == 5
    raised: Severity = "CRITICAL"
    details = msgspec.structs.replace(notice().details, raised_to=raised)
    assert colour(message(notice(details=details))) == colour(message(notice(severity=raised)))


def test_several_alerts_are_a_list_with_the_gravest_first_and_a_count_of_the_rest() -> None:
    many = [notice(alert=f"a{number}", severity="LOW", component=f"bot-{number}") for number in range(49)]
    grave = notice(alert="grave", severity="CRITICAL", component="worst")
    ended = notice("resolved", alert="ended", severity="CRITICAL", resolved_at=NOON)
    blocks = attached(message(*many, ended, grave))
    *lines, context = blocks
    assert len(lines) == 20
    assert lines[0]["text"]["text"] == "[CRITICAL] worst: Maximum drawdown exceeded 20%"
    assert lines[0]["accessory"]["url"] == "http://localhost:3001/alerts/a1"
    assert context["elements"][0]["text"] == "and 31 further"
    assert "RESOLVED" not in "".join(texts(lines))
    last = attached(message(ended, many[0]))[1]
    assert last["text"]["text"].startswith("RESOLVED [CRITICAL]")


def test_it_says_that_it_is_late_and_that_it_is_a_test() -> None:
    context = attached(message(late=timedelta(minutes=7, seconds=3), is_test=True))[-1]
    assert context["elements"][0]["text"] == "Alert a1 · 7 minutes late · a test: nothing is wrong"


def test_what_a_record_says_is_escaped_and_mentions_nobody() -> None:
    wicked = "<!channel> & <http://evil|click>"
    blocks = attached(message(notice(message=wicked, component=wicked, comment=wicked)))
    for text in texts(blocks):
        assert "<" not in text
    assert texts(blocks)[0] == "&lt;!channel&gt; &amp; &lt;http://evil|click&gt;"
    assert blocks[0]["text"]["verbatim"] is True


@pytest.mark.parametrize("count", [1, 60])
def test_whatever_records_hold_slacks_limits_are_kept(count: int) -> None:
    long = "&" * 10_000
    details = msgspec.structs.replace(
        notice().details, bot=long, metric=long, links={"alert": f"http://{long}", "runbook": "file:///x"}
    )
    told = [
        notice(alert=f"a{number}", details=details, message=long, component=long, comment=long, assignee="")
        for number in range(count)
    ]
    body = payload(message(*told, key="k"), FakeContent(acknowledge="http://" + "x" * 3000))
    assert len(body["blocks"][0]["text"]["text"]) == 150
    (attachment,) = body["attachments"]
    assert len(attachment["blocks"]) <= 49
    for block in attachment["blocks"]:
        assert block["type"] != "actions"
        assert "accessory" not in block
        assert all(1 <= len(text) <= 3000 for text in texts(block))
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))
        assert len(block.get("fields", [])) <= 10


def test_an_empty_message_is_still_taken() -> None:
    assert texts(attached(message(notice(message=""))))[0] == "-"


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived"), (400, "invalid_blocks")],
)
def test_slacks_refusals_are_permanent_and_said(receiver: Receiver, status: int, body: str) -> None:
    receiver.answers.append((status, {}))
    receiver.body = body.encode()
    with pytest.raises(TransportError, match=body) as caught:
        SlackTransport(receiver.url, FakeContent()).send(message())
    assert caught.value.permanent
    assert "hush" not in str(caught.value)


def test_slacks_rate_limit_is_honoured(receiver: Receiver) -> None:
    receiver.answers.append((429, {"Retry-After": "30"}))
    with pytest.raises(TransportError) as caught:
        SlackTransport(receiver.url, FakeContent()).send(message())
    assert (caught.value.permanent, caught.value.reason, caught.value.retry_after) == (False, "busy", 30)

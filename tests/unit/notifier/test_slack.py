"""Slack's blocks, as a receiver gets them."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from services.notifier.channels.base import TransportError
from services.notifier.channels.slack import SlackTransport, slack_payload
from services.notifier.content.message import NotificationMessage
from shared.schema.alerts import SEVERITIES, Severity
from tests.unit.notifier.fake_receivers import NOON, FakeContent, WebhookReceiver, make_message, make_notice

ACKNOWLEDGE = "http://localhost:3001/acknowledge/token"


def attached(told: NotificationMessage, acknowledge: str | None = None) -> list[dict[str, Any]]:
    """Return the blocks below the header."""
    (attachment,) = slack_payload(told, FakeContent(acknowledge=acknowledge))["attachments"]
    blocks: list[dict[str, Any]] = attachment["blocks"]
    return blocks


def texts(value: object) -> list[str]:
    """Return every text in the blocks."""
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def test_slack_gets_header_fields_and_buttons(receiver: WebhookReceiver) -> None:
    known = make_notice().details
    links = known.links | {"runbook": "http://localhost:3001/runbooks/drawdown"}
    told = make_message(make_notice(details=msgspec.structs.replace(known, links=links)))
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
        "*Drawdown max*\n21.3% (limit: &gt; 20%)",
        "*Since*\n2026-01-31 12:00:00 UTC",
    ]
    assert [(button["text"]["text"], button["url"]) for button in actions["elements"]] == [
        ("Acknowledge", ACKNOWLEDGE),
        ("View alert", "http://localhost:3001/alerts/a1"),
        ("Runbook", "http://localhost:3001/runbooks/drawdown"),
    ]
    assert context["elements"][0]["text"] == "Alert a1"
    assert transport.last_response() == "200 OK: ok"


def fields(told: NotificationMessage) -> dict[str, str]:
    """Return the fields of a message of one alert by their names."""
    pairs = [field["text"].split("\n", 1) for field in attached(told)[0]["fields"]]
    return {name.strip("*"): value for name, value in pairs}


def test_the_fields_have_everything_that_a_person_asks_first() -> None:
    labels = {"venue": "binance", "source": "computed"}
    details = msgspec.structs.replace(make_notice().details, labels=labels, flaps=4, raised_to="CRITICAL")
    held = make_notice("flapping", status="ACKNOWLEDGED", assignee="ann", comment="mine", details=details)
    assert fields(make_message(held, sent_at=NOON + timedelta(minutes=125))) == {
        "Bot": "demo",
        "Severity": "CRITICAL (performance), escalated: not acknowledged in time",
        "Drawdown max": "21.3% (limit: &gt; 20%)",
        "Since": "2026-01-31 12:00:00 UTC, for 2h 5m",
        "Acknowledged by": "ann",
        "Comment": "mine",
        "Labels": "venue=binance, source=computed",
        "Reopened": "4 times; flapping: further notifications are paused until it is stable",
    }


def test_what_opened_again_once_did_so_one_time() -> None:
    details = msgspec.structs.replace(make_notice().details, flaps=1)
    assert fields(make_message(make_notice("reopened", details=details)))["Reopened"] == "1 time"


def test_the_end_says_when_and_after_how_long_and_asks_nothing() -> None:
    ended = make_message(make_notice("resolved", resolved_at=NOON + timedelta(minutes=5)))
    said = fields(ended)
    assert said["Since"] == "2026-01-31 12:00:00 UTC"
    assert said["Resolved"] == "2026-01-31 12:05:00 UTC, after 5m"
    (_, actions, _) = attached(ended, ACKNOWLEDGE)
    assert [button["text"]["text"] for button in actions["elements"]] == ["View alert"]


def test_a_figure_that_is_named_like_a_field_takes_the_place_of_none() -> None:
    details = msgspec.structs.replace(make_notice().details, metric="Severity", measure="", unit="")
    texts_of_fields = [
        field["text"] for field in attached(make_message(make_notice(details=details)))[0]["fields"]
    ]
    assert texts_of_fields[1:3] == ["*Severity*\nHIGH (performance)", "*Severity*\n21.3 (limit: &gt; 20)"]


def test_each_severity_has_its_colour_and_what_ended_another() -> None:
    def colour(told: NotificationMessage) -> str:
        return str(slack_payload(told, FakeContent())["attachments"][0]["color"])

    ended = make_notice("resolved", resolved_at=NOON)
    colours = {colour(make_message(make_notice(severity=severity))) for severity in SEVERITIES}
    assert len(colours | {colour(make_message(ended))}) == 5
    raised: Severity = "CRITICAL"
    details = msgspec.structs.replace(make_notice().details, raised_to=raised)
    assert colour(make_message(make_notice(details=details))) == colour(
        make_message(make_notice(severity=raised))
    )


def test_several_alerts_are_listed_most_severe_first_with_a_count() -> None:
    many = [
        make_notice(alert=f"a{number}", severity="LOW", component=f"bot-{number}") for number in range(49)
    ]
    grave = make_notice(alert="grave", severity="CRITICAL", component="worst")
    ended = make_notice("resolved", alert="ended", severity="CRITICAL", resolved_at=NOON)
    blocks = attached(make_message(*many, ended, grave))
    *lines, context = blocks
    assert len(lines) == 20
    assert lines[0]["text"]["text"].startswith("[CRITICAL] worst: ")
    assert context["elements"][0]["text"] == "and 31 more"
    assert "RESOLVED" not in "".join(texts(lines))


def test_each_of_several_alerts_has_its_headline_and_its_own_links() -> None:
    ended = make_notice("resolved", alert="ended", resolved_at=NOON + timedelta(minutes=5))
    held = make_notice(alert="held", status="ACKNOWLEDGED", assignee="ann")
    told = attached(make_message(ended, held), "http://localhost:3001/acknowledge?a=1&b=|")
    first, second = ([line.split(" · ") for line in text.split("\n")] for text in texts(told))
    page = "<http://localhost:3001/alerts/a1|View alert>"
    link = "<http://localhost:3001/acknowledge?a=1&amp;b=%7C|Acknowledge>"
    assert first == [
        ["[HIGH] demo: Maximum drawdown exceeded 20% (21.3% &gt; 20%)"],
        ["since 2026-01-31 12:00:00 UTC, acknowledged by ann", page, link],
    ]
    assert second == [
        ["[RESOLVED, HIGH] demo: Maximum drawdown exceeded 20% (open for 5m)"],
        ["until 2026-01-31 12:05:00 UTC", page],
    ]


def test_it_says_that_it_is_late_and_that_it_is_a_test() -> None:
    context = attached(make_message(late=timedelta(minutes=7, seconds=3), is_test=True))[-1]
    assert context["elements"][0]["text"] == "Alert a1 · 7 minutes late · test: no action needed"


def test_what_a_record_says_is_escaped_and_mentions_nobody() -> None:
    wicked = "<!channel> & <http://evil|click>"
    details = msgspec.structs.replace(
        make_notice().details, bot=wicked, metric=wicked, links={}, labels={"a": wicked}
    )
    told = make_notice(message=wicked, component=wicked, comment=wicked, assignee=wicked, details=details)
    blocks = attached(make_message(told))
    assert texts(blocks)[0] == "&lt;\u200b!channel&gt; &amp; &lt;\u200bhttp://evil|click&gt;"
    assert blocks[0]["text"]["verbatim"] is True
    for text in texts(blocks) + texts(attached(make_message(told, make_notice(alert="b", details=details)))):
        assert "<" not in text


@pytest.mark.parametrize("count", [1, 60])
@pytest.mark.parametrize("link", ["", "http://" + "&" * 193, "http://" + "x" * 993, "http://" + "x" * 3000])
def test_whatever_records_hold_slacks_limits_are_kept(count: int, link: str) -> None:
    long = "&" * 4_000
    details = msgspec.structs.replace(
        make_notice().details,
        bot=long,
        metric=long,
        flaps=9,
        raised_to="CRITICAL",
        labels={f"{long}{number}": long for number in range(40)},
        links={"alert": link, "runbook": "file:///x"},
    )
    told = [
        make_notice(
            "flapping", alert=f"a{number}", details=details, message=long, component=long, comment=long,
            assignee=long, resolved_at=NOON,
        )
        for number in range(count)
    ]  # fmt: skip
    body = slack_payload(make_message(*told, key="k"), FakeContent(acknowledge=link))
    assert len(body["blocks"][0]["text"]["text"]) == 150
    (attachment,) = body["attachments"]
    assert len(attachment["blocks"]) <= 49
    for block in attachment["blocks"]:
        assert all(1 <= len(text) <= 3000 for text in texts(block))
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))
        assert len(block.get("fields", [])) <= 10
        assert all(len(button["url"]) <= 3000 for button in block.get("elements", []) if "url" in button)


@pytest.mark.parametrize("link", ["http://" + "x" * 3000, "file:///x"])
def test_a_link_that_slack_would_refuse_is_left_out(link: str) -> None:
    details = msgspec.structs.replace(make_notice().details, links={"alert": link, "runbook": link})
    told = make_notice(details=details)
    assert [block["type"] for block in attached(make_message(told), link)] == ["section", "context"]
    assert all(
        "<" not in text
        for text in texts(attached(make_message(told, make_notice(alert="b", details=details)), link))
    )


@pytest.mark.parametrize("length", [1000, 1001])
def test_two_long_links_in_a_line_leave_room_for_what_is_said(length: int) -> None:
    link = "http://".ljust(length, "x")
    details = msgspec.structs.replace(make_notice().details, links={"alert": link})
    told = [make_notice(alert=alert, message="&" * 900, details=details) for alert in "ab"]
    (text, _) = texts(attached(make_message(*told), link))
    assert text.startswith("[HIGH] demo: &amp;")
    assert text.endswith(f" · <{link}|View alert> · <{link}|Acknowledge>") == (length == 1000)


def test_an_empty_message_is_still_taken() -> None:
    assert texts(attached(make_message(make_notice(message=""))))[0] == "-"


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, "invalid_token"), (404, "no_service"), (410, "channel_is_archived"), (400, "invalid_blocks")],
)
def test_slacks_refusals_are_permanent_and_said(receiver: WebhookReceiver, status: int, body: str) -> None:
    receiver.answers.append((status, {}))
    receiver.body = body.encode()
    with pytest.raises(TransportError, match=body) as caught:
        SlackTransport(receiver.url, FakeContent()).send(make_message())
    assert caught.value.permanent
    assert "hush" not in str(caught.value)


def test_slacks_rate_limit_is_honoured(receiver: WebhookReceiver) -> None:
    receiver.answers.append((429, {"Retry-After": "30"}))
    with pytest.raises(TransportError) as caught:
        SlackTransport(receiver.url, FakeContent()).send(make_message())
    assert (caught.value.permanent, caught.value.reason, caught.value.retry_after) == (False, "busy", 30)


def test_names_mention_nobody_and_hide_no_address() -> None:
    """Also where Mattermost takes Slack's messages: it reads mentions and Markdown's links."""
    wicked = make_notice(
        component="@channel [click](http://evil.example)", message="<!channel> @here a@b.example"
    )
    sent = "\n".join(texts(slack_payload(make_message(wicked), FakeContent())))
    assert "@channel" not in sent
    assert "@here" not in sent
    assert "](" not in sent
    assert "<!" not in sent
    assert "a@b.example" in sent

"""Badges: what they say, how wide they are, and that no name breaks the SVG."""

from xml.etree import ElementTree as ET

import pytest
from flask import Flask, render_template

from services.dashboard.status_page.badges import (
    Badge,
    badge_parts,
    bot_badge,
    overall_badge,
    text_width,
    unknown_badge,
)
from services.dashboard.status_page.public_status import BotState, Incident, PublicBot, PublicStatus
from shared.schema.alerts import Severity
from shared.schema.records import Status
from tests.unit.dashboard.sample_data import HOSTILE, NOON

SVG = "{http://www.w3.org/2000/svg}"


def bot(state: BotState, alerts: int = 0, severity: Severity | None = None) -> PublicBot:
    return PublicBot(name="alpha", state=state, alerts=alerts, severity=severity, since=None)


def status(overall: Status, *severities: Severity, impaired: bool = False) -> PublicStatus:
    incidents = [
        Incident(
            kind="bot", name="alpha", title="drawdown", severity=severity, since=NOON, until=None,
            acknowledged=False,
        )
        for severity in severities
    ]  # fmt: skip
    return PublicStatus(
        timestamp=NOON, title="", status=overall, text="", impaired=impaired, bots=[], checks=[],
        history_from=NOON.date(), incidents=incidents, recent=[], maintenance=[],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("known", "text", "colour"),
    [
        (bot("ok"), "ok", "brightgreen"),
        (bot("alert", 1, "LOW"), "1 alert", "yellow"),
        (bot("alert", 2, "HIGH"), "2 alerts", "orange"),
        (bot("critical", 3, "CRITICAL"), "critical", "red"),
        (bot("silent", 1, "HIGH"), "silent", "red"),
        (bot("silent", 1, "MEDIUM"), "silent", "orange"),
    ],
)
def test_of_a_bot(known: PublicBot, text: str, colour: str) -> None:
    assert bot_badge(known) == ("alpha", text, colour)


@pytest.mark.parametrize(
    ("known", "text", "colour"),
    [
        (status("HEALTHY"), "ok", "brightgreen"),
        (status("WARNING", "MEDIUM", "LOW"), "2 alerts", "yellow"),
        (status("WARNING", "HIGH"), "1 alert", "orange"),
        (status("CRITICAL", "CRITICAL"), "critical", "red"),
        (status("WARNING", impaired=True), "impaired", "yellow"),
        (status("WARNING"), "warning", "yellow"),
        (status("UNKNOWN"), "no data", "lightgrey"),
    ],
)
def test_of_everything(known: PublicStatus, text: str, colour: str) -> None:
    assert overall_badge(known) == ("botwatch", text, colour)


def render(app: Flask, badge: Badge) -> ET.Element:
    parts = badge_parts(badge)
    with app.test_request_context():
        svg = render_template(
            "badge.svg", title=badge.title, parts=parts, width=parts[-1].left + parts[-1].width
        )
    return ET.fromstring(svg)  # noqa: S314 - our own


@pytest.mark.parametrize("name", ["alpha", HOSTILE, "\"&<>'", "a\x00\x1bb\ud800", "交易-bot", "x" * 300])
def test_any_name_makes_an_image_with_a_title(name: str) -> None:
    """The name is text: nothing of it becomes markup, and what XML may not hold becomes a blank."""
    root = render(Flask("services.dashboard"), unknown_badge(name))
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == root.get("aria-label")
    assert (title.text or "").endswith(": not found")
    kinds = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert kinds == {"svg", "title", "linearGradient", "stop", "clipPath", "rect", "g", "text"}


def test_the_halves_are_as_wide_as_their_texts() -> None:
    """`hello` is 27 px wide in DejaVu Sans at 11 px; a wide character counts 11."""
    assert text_width("hello") == 27
    assert text_width("交易") == 22
    assert text_width("e\N{COMBINING ACUTE ACCENT}") == text_width("e")
    label, text = badge_parts(Badge("hello", "ok", "brightgreen"))
    assert (label.left, label.width, label.text_width, label.middle) == (0, 37, 27, 18.5)
    assert (text.left, text.width) == (37, text_width("ok") + 10)
    assert (label.colour, text.colour) == ("#555", "#4c1")

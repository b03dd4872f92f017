"""Badges: small SVG images of a label and a text, in the flat style of shields.io. Pure.

Widths are those of DejaVu Sans at 11 px, nearly Verdana's, which shields uses; `textLength` makes other fonts
fit. Every badge is the same for the same words, so that its ETag stays. Source: shields.io, badge-maker.
"""

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from services.dashboard.status_page.public_status import PublicBot, PublicStatus

COLOURS: Mapping[str, str] = {
    "brightgreen": "#4c1", "yellow": "#dfb317", "orange": "#fe7d37", "red": "#e05d44", "lightgrey": "#9f9f9f",
}  # fmt: skip
"""By the names of shields.io."""
LABEL_COLOUR = "#555"
PADDING = 5
MAX_LABEL = 64
"""Limit of a label in characters; the rest becomes an ellipsis."""
_WIDTHS = {
    character: width
    for characters, width in (
        ("'", 3.0), ("ijl", 3.1), ("IJ", 3.2), (" ,.", 3.5), ("/:;\\|", 3.7), ("f", 3.9), ("-", 4.0),
        ("()[]t", 4.3), ("!", 4.4), ("r", 4.5), ('"', 5.1), ("*_`", 5.5), ("s", 5.7), ("?z", 5.8), ("c", 6.0),
        ("L", 6.1), ("F", 6.3), ("k", 6.4), ("vxy", 6.5), ("P", 6.6), ("TYao", 6.7), ("e", 6.8),
        ("$0123456789ESbdghnpqu{}", 7.0), ("K", 7.2), ("ABVXZ", 7.5), ("R", 7.6), ("C", 7.7), ("U", 8.1),
        ("N", 8.2), ("H", 8.3), ("DG", 8.5), ("&", 8.6), ("OQ", 8.7), ("w", 9.0), ("#+<=>^~", 9.2),
        ("M", 9.5), ("%", 10.5), ("m", 10.7), ("W", 10.9), ("@\N{HORIZONTAL ELLIPSIS}", 11.0),
    )
    for character in characters
}  # fmt: skip
"""In pixels."""
_WIDE, _OTHER = 11.0, 7.5


class Badge(NamedTuple):
    """What a badge says."""

    label: str
    text: str
    colour: str

    @property
    def title(self) -> str:
        """What a screen reader says."""
        return f"{_clean(self.label)}: {self.text}"


class BadgePart(NamedTuple):
    """A half of a badge, in pixels."""

    text: str
    left: int
    width: int
    text_width: int
    colour: str

    @property
    def middle(self) -> float:
        """Where the middle of the text is."""
        return self.left + self.width / 2


def bot_badge(bot: PublicBot) -> Badge:
    """Return the badge of a bot."""
    if bot.state == "silent":
        return Badge(bot.name, "silent", "red" if bot.severity in ("CRITICAL", "HIGH") else "orange")
    if bot.state == "critical":
        return Badge(bot.name, "critical", "red")
    return Badge(bot.name, *_alerts(bot.alerts, is_high=bot.severity == "HIGH"))


def overall_badge(status: PublicStatus) -> Badge:
    """Return the badge of everything that is shown."""
    label = "botwatch"
    if status.status == "CRITICAL":
        return Badge(label, "critical", "red")
    if status.status == "UNKNOWN":
        return Badge(label, "no data", "lightgrey")
    if status.incidents:
        return Badge(label, *_alerts(len(status.incidents), is_high=status.incidents[0].severity == "HIGH"))
    if status.impaired:
        return Badge(label, "impaired", "yellow")
    is_well = status.status == "HEALTHY"
    return Badge(label, "ok", "brightgreen") if is_well else Badge(label, "warning", "yellow")


def unknown_badge(bot: str) -> Badge:
    """Return the badge of a bot that does not exist or is not shown; nobody can tell which."""
    return Badge(bot, "not found", "lightgrey")


def badge_parts(badge: Badge) -> tuple[BadgePart, BadgePart]:
    """Return both halves of a badge."""
    label = _part(_cut(badge.label), 0, LABEL_COLOUR)
    return label, _part(badge.text, label.width, COLOURS[badge.colour])


def text_width(text: str) -> int:
    """Return how wide a text is, in pixels."""
    return round(sum(map(_character_width, text)))


def _part(text: str, left: int, colour: str) -> BadgePart:
    width = text_width(text)
    return BadgePart(text, left, width + 2 * PADDING, width, colour)


def _alerts(count: int, *, is_high: bool) -> tuple[str, str]:
    if not count:
        return "ok", "brightgreen"
    return f"{count} alert{'s' if count > 1 else ''}", "orange" if is_high else "yellow"


def _clean(text: str) -> str:
    """Return a text without what XML may not hold."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cut(text: str) -> str:
    clean = _clean(text)
    return clean if len(clean) <= MAX_LABEL else f"{clean[: MAX_LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"


def _character_width(character: str) -> float:
    if character in _WIDTHS:
        return _WIDTHS[character]
    if unicodedata.combining(character):
        return 0.0
    return _WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER

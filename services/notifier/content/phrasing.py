"""Phrasing: lines, names, times and durations for people; text from records made safe for chats. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, lone surrogates, and what changes the text direction: a label could make its line read
differently."""


def single_line(text: str, most: int = 1000) -> str:
    """Return `text` as one line of at most `most` characters, without control characters."""
    plain = _CONTROLS.sub("", " ".join(text.split()))
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"


def join_names(names: Iterable[str], most: int) -> str:
    """Join names, at most `most` of them: `a, b and 3 more`."""
    known = list(dict.fromkeys(names))
    text = ", ".join(known[:most])
    return f"{text} and {len(known) - most} more" if len(known) > most else text


def format_time(at: datetime) -> str:
    """Format a time to the second: `2026-01-31 12:00:00 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def format_duration(length: timedelta) -> str:
    """Format a duration with at most two units: `45s`, `12m`, `2h 5m`, `3d`."""
    length = max(length, timedelta(0))
    if length < _MINUTE:
        return f"{length.seconds}s"
    if length < _HOUR:
        return f"{length // _MINUTE}m"
    large, small, names = (_HOUR, _MINUTE, "hm") if length < _DAY else (_DAY, _HOUR, "dh")
    rest = length % large // small
    return f"{length // large}{names[0]}" + (f" {rest}{names[1]}" if rest else "")


def format_lateness(late: timedelta) -> str:
    """Format a delay: `7 minutes`, `1 hour`; empty if under a minute."""
    for unit, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if late >= unit:
            return f"{late // unit} {name}" + ("s" if late >= 2 * unit else "")
    return ""


_BREAK = "\u200b"
"""An invisible zero-width space: disables mentions and links, as most chats cannot switch them off."""
_MENTION = re.compile(r"(?<![\w.+-])@(?=\S)")
"""An @ within a word is an address: no chat but Discord reads it as a mention, see `apprise.py`."""
_TAG = re.compile(r"<(?=[^\s=])")
"""`<!channel>`, `<at user_id="all">`, `<http://evil.example|click>`."""
_ADDRESS = re.compile(r"https?://[^\s\[\]()<>*`|\\]+")
_MARKDOWN = re.compile(r"([\\`*_~|\[\]<>#])")


def neutralize(text: str) -> str:
    """Return `text` with mentions, tags and hidden links disabled; it looks the same."""
    text = _ADDRESS.sub(lambda address: address[0].replace("/@", "/%40"), text)
    return _TAG.sub(f"<{_BREAK}", _MENTION.sub(f"@{_BREAK}", text)).replace("](", f"]{_BREAK}(")


def escape_markdown(text: str) -> str:
    """Return `text` escaped for Markdown; URLs stay links."""
    found, end = [], 0
    for address in _ADDRESS.finditer(text):
        found += [_MARKDOWN.sub(r"\\\1", text[end : address.start()]), address[0]]
        end = address.end()
    return "".join((*found, _MARKDOWN.sub(r"\\\1", text[end:])))

"""Status pages: what an exchange itself says of its health, as Statuspage's summary.json tells it.

A page that does not answer says nothing about the exchange: that is unknown, never the exchange's failure.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from services.collector.connecting import ConnectError
from services.collector.place import Place
from services.collector.probe import Look, Probe
from services.collector.rest import checked_url, fetch, status_words
from shared.runtime.checks import CheckSection
from shared.schema.records import CheckReason, CheckStatus, CheckType

MOST_NAMED = 5
_FINE = 200
_RANKS: tuple[CheckStatus, ...] = ("ok", "warning", "critical")
GRADES: dict[str, CheckStatus] = {
    "none": "ok", "maintenance": "warning", "minor": "warning", "major": "critical", "critical": "critical",
}  # fmt: skip
"""What an indicator, or the impact of an incident, comes to."""
_OVER = ("resolved", "postmortem")
_UNDER_WAY = ("in_progress", "verifying")
_LONGEST = 100
"""Characters of a name that are told."""


class Overall(msgspec.Struct):
    """The page's one word on everything."""

    indicator: str
    description: str = ""


class Component(msgspec.Struct):
    """A part of the exchange: the API, the deposits of one coin."""

    name: str
    status: str
    group: bool = False
    """Whether it only holds others."""


class Incident(msgspec.Struct):
    """Something that happened, or that is planned."""

    name: str
    status: str
    impact: str = "none"


class Summary(msgspec.Struct):
    """What of summary.json is read; what Statuspage adds one day is passed over."""

    status: Overall
    components: list[Component] = []
    incidents: list[Incident] = []
    scheduled_maintenances: list[Incident] = []


class StatusPageProbe:
    """Reads the status page of an exchange."""

    type: CheckType = "status_page"

    def __init__(self, address: str, timeout_s: float) -> None:
        self._url = checked_url(address)
        self._timeout_s = timeout_s

    def look(self, now: datetime) -> Look:
        """Look once."""
        del now
        begun = time.monotonic()
        try:
            fetched = fetch(self._url, begun + self._timeout_s)
        except ConnectError as error:
            return _nothing(error.text, error.reason)
        answer = fetched.answer
        figures = {
            **fetched.connected.figures,
            "check_latency_ms": 1000 * (time.monotonic() - begun),
            "status_code": answer.status,
        }
        if answer.status != _FINE:
            return _nothing(f"{self._url.hostname} answered {status_words(answer.status)}", "http", figures)
        try:
            answer.require_whole(self._url.hostname or "")
            summary = msgspec.json.decode(answer.body, type=Summary)
        except ConnectError as error:
            return _nothing(error.text, error.reason, figures)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            text = f"{self._url.hostname} answered something else than a summary.json"
            return _nothing(text, "protocol", figures)
        return judge(summary)._replace(figures=figures)


def probe(section: CheckSection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.statusPage`."""
    del place
    if section.status_page is None:
        raise TypeError("not a check of a status page")
    return StatusPageProbe(section.status_page, timeout_s)


def judge(summary: Summary) -> Look:
    """Judge what a page says: its indicator, or an incident that is worse; parts are only named.

    Large exchanges have some coin's wallet in maintenance every day: that is no alert, unless the page itself
    makes one of it.
    """
    incidents = [one for one in summary.incidents if one.status not in _OVER]
    planned = [one for one in summary.scheduled_maintenances if one.status in _UNDER_WAY]
    parts = [part for part in summary.components if not part.group and part.status != "operational"]
    parts.sort(key=lambda part: part.status != "major_outage")
    told = [
        *(f"{_line(one.name)} ({_line(one.status)})" for one in incidents),
        *(f"{_line(one.name)} (planned maintenance)" for one in planned),
        *(f"{_line(part.name)}: {_line(part.status)}" for part in parts),
    ]
    grades = [summary.status.indicator, *(one.impact for one in incidents)]
    status = max((GRADES.get(grade, "warning") for grade in grades), key=_RANKS.index)
    text = "; ".join((_line(summary.status.description), *told[:MOST_NAMED]))
    if len(told) > MOST_NAMED:
        text += f"; and {len(told) - MOST_NAMED} more"
    if status == "ok":
        return Look("ok", f"the exchange reports: {text}")
    return Look(status, f"the exchange reports trouble: {text}", "failed")


def _nothing(
    text: str, reason: CheckReason, figures: Mapping[str, float | int] = MappingProxyType({})
) -> Look:
    return Look("unknown", f"the status page says nothing: {text}", reason, figures)


def _line(words: str) -> str:
    """Make a short line of what a page says."""
    printable = "".join(letter if letter.isprintable() else " " for letter in words.replace("_", " "))
    return " ".join(printable.split())[:_LONGEST]

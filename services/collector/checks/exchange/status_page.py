"""Status pages: what an exchange reports about itself in Statuspage's summary.json.

A page that does not answer is `unknown`, never a failure of the exchange.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from services.collector.checks.base import CheckResult, Probe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.http.client import fetch
from shared.runtime.http.dial import NetworkError
from shared.runtime.http.responses import format_status
from shared.runtime.http.urls import parse_http_url
from shared.schema.records import CheckReason, CheckStatus, CheckType

MAX_NAMED = 5
_FINE = 200
_RANKS: tuple[CheckStatus, ...] = ("ok", "warning", "critical")
GRADES: dict[str, CheckStatus] = {
    "none": "ok", "maintenance": "warning", "minor": "warning", "major": "critical", "critical": "critical",
}  # fmt: skip
"""What an indicator, or the impact of an incident, comes to."""
_OVER = ("resolved", "postmortem")
_UNDER_WAY = ("in_progress", "verifying")
_MAX_LINE = 100
"""Characters of a name that are shown."""


class PageStatus(msgspec.Struct):
    """The page's one word on everything."""

    indicator: str
    description: str = ""


class PageComponent(msgspec.Struct):
    """A part of the exchange: the API, the deposits of one coin."""

    name: str
    status: str
    group: bool = False
    """Whether it only holds others."""


class PageIncident(msgspec.Struct):
    """Something that happened, or that is planned."""

    name: str
    status: str
    impact: str = "none"


class StatusPageSummary(msgspec.Struct):
    """What of summary.json is read; what Statuspage adds one day is passed over."""

    status: PageStatus
    components: list[PageComponent] = []
    incidents: list[PageIncident] = []
    scheduled_maintenances: list[PageIncident] = []


class StatusPageProbe:
    """Reads the status page of an exchange."""

    type: CheckType = "status_page"

    def __init__(self, address: str, timeout_s: float) -> None:
        self._url = parse_http_url(address)
        self._timeout_s = timeout_s

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now
        started = time.monotonic()
        try:
            fetched = fetch(self._url, started + self._timeout_s)
        except NetworkError as error:
            return _unknown_result(error.text, error.reason)
        answer = fetched.answer
        figures = {
            **fetched.connected.metrics,
            "check_latency_ms": 1000 * (time.monotonic() - started),
            "status_code": answer.status,
        }
        if answer.status != _FINE:
            return _unknown_result(
                f"{self._url.hostname} answered {format_status(answer.status)}", "http", figures
            )
        try:
            answer.require_whole(self._url.hostname or "")
            summary = msgspec.json.decode(answer.body, type=StatusPageSummary)
        except NetworkError as error:
            return _unknown_result(error.text, error.reason, figures)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            text = f"{self._url.hostname} did not return a Statuspage summary.json"
            return _unknown_result(text, "protocol", figures)
        return evaluate_summary(summary)._replace(figures=figures)


def create_probe(url: str, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section.statusPage`."""
    del place
    return StatusPageProbe(url, timeout_s)


def evaluate_summary(summary: StatusPageSummary) -> CheckResult:
    """Evaluate a page: its indicator, or a worse incident; components are only named.

    Large exchanges have some coin's wallet in maintenance every day: that is no alert, unless the page itself
    makes one of it.
    """
    incidents = [one for one in summary.incidents if one.status not in _OVER]
    planned = [one for one in summary.scheduled_maintenances if one.status in _UNDER_WAY]
    parts = [part for part in summary.components if not part.group and part.status != "operational"]
    parts.sort(key=lambda part: part.status != "major_outage")
    problems = [
        *(f"{_short_line(one.name)} ({_short_line(one.status)})" for one in incidents),
        *(f"{_short_line(one.name)} (planned maintenance)" for one in planned),
        *(f"{_short_line(part.name)}: {_short_line(part.status)}" for part in parts),
    ]
    grades = [summary.status.indicator, *(one.impact for one in incidents)]
    status = max((GRADES.get(grade, "warning") for grade in grades), key=_RANKS.index)
    text = "; ".join((_short_line(summary.status.description), *problems[:MAX_NAMED]))
    if len(problems) > MAX_NAMED:
        text += f"; and {len(problems) - MAX_NAMED} more"
    if status == "ok":
        return CheckResult("ok", f"Exchange reports: {text}")
    return CheckResult(status, f"Exchange reports an incident: {text}", "failed")


def _unknown_result(
    text: str, reason: CheckReason, figures: Mapping[str, float | int] = MappingProxyType({})
) -> CheckResult:
    return CheckResult("unknown", f"Status page unreadable: {text}", reason, figures)


def _short_line(words: str) -> str:
    """Make a short line of what a page says."""
    printable = "".join(letter if letter.isprintable() else " " for letter in words.replace("_", " "))
    return " ".join(printable.split())[:_MAX_LINE]

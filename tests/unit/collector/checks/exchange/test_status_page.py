"""Status pages: what a real server answers in Statuspage's words, and in none."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.exchange.status_page import create_probe
from services.collector.host.watched_host import WatchedHost
from tests.support import free_port
from tests.unit.collector.fake_servers import listening

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def page() -> Iterator["Page"]:
    page = Page()
    with listening(page.converse) as page.port:
        yield page


class Page:
    """A status page that answers what it is told to."""

    def __init__(self) -> None:
        self.port = 0
        self.status = 200
        self.body: bytes = b""

    def converse(self, line: Any) -> None:
        """Answer one request."""
        line.recv(65_536)
        head = f"HTTP/1.1 {self.status} -\r\nContent-Length: {len(self.body)}\r\n\r\n"
        line.sendall(head.encode() + self.body)

    def look(self, **summary: Any) -> CheckResult:
        """Look at it while it says `summary`."""
        if summary:
            self.body = json.dumps({"page": {"id": "x"}, **summary}).encode()
        url = f"http://127.0.0.1:{self.port}/api/v2/summary.json"
        return create_probe(url, 2.0, WatchedHost("here", Path("/proc"), Path("/"))).run(NOON)


FINE = {"indicator": "none", "description": "All Systems Operational"}


def component(name: str, status: str, *, group: bool = False) -> dict[str, Any]:
    return {"id": "c", "name": name, "status": status, "group": group, "description": None}


def incident(name: str, status: str = "investigating", impact: str = "minor") -> dict[str, Any]:
    return {"id": "i", "name": name, "status": status, "impact": impact, "incident_updates": []}


def test_a_page_without_trouble_is_fine(page: Page) -> None:
    seen = page.look(status=FINE, components=[component("API", "operational")])
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.text == "Exchange reports: All Systems Operational"
    assert seen.figures["status_code"] == 200
    assert "check_latency_ms" in seen.figures


@pytest.mark.parametrize(
    ("indicator", "status"),
    [("minor", "warning"), ("maintenance", "warning"), ("major", "critical"), ("critical", "critical"),
     ("something new", "warning")],
)  # fmt: skip
def test_the_indicator_is_the_grade(page: Page, indicator: str, status: str) -> None:
    seen = page.look(status={"indicator": indicator, "description": "Partial System Outage"})
    assert (seen.status, seen.reason) == (status, "failed")
    assert seen.text == "Exchange reports an incident: Partial System Outage"


def test_an_incident_is_told_by_name_with_the_parts_it_concerns(page: Page) -> None:
    seen = page.look(
        status={"indicator": "major", "description": "Partial System Outage"},
        incidents=[incident("Orders are rejected", impact="major")],
        components=[
            component("Website", "degraded_performance"),
            component("Spot API", "major_outage"),
            component("All APIs", "major_outage", group=True),
            component("Deposits", "operational"),
        ],
    )
    assert seen.status == "critical"
    assert seen.text == (
        "Exchange reports an incident: Partial System Outage; Orders are rejected (investigating); "
        "Spot API: major outage; Website: degraded performance"
    )


def test_an_incident_that_is_graver_than_the_indicator_counts(page: Page) -> None:
    assert (
        page.look(status=FINE, incidents=[incident("Matching stopped", impact="critical")]).status
        == "critical"
    )


def test_an_incident_that_is_over_counts_no_more(page: Page) -> None:
    over = [incident("Matching stopped", status, "critical") for status in ("resolved", "postmortem")]
    assert page.look(status=FINE, incidents=over).text == "Exchange reports: All Systems Operational"


def test_one_coin_in_maintenance_is_named_and_no_alert(page: Page) -> None:
    seen = page.look(status=FINE, components=[component("ZRX deposits", "under_maintenance")])
    assert seen.status == "ok"
    assert seen.text.endswith("ZRX deposits: under maintenance")


def test_maintenance_is_told_when_it_is_under_way(page: Page) -> None:
    planned = [
        {"name": "Engine upgrade", "status": "in_progress", "impact": "maintenance"},
        {"name": "Next month", "status": "scheduled", "impact": "maintenance"},
    ]
    seen = page.look(
        status={"indicator": "maintenance", "description": "Busy"}, scheduled_maintenances=planned
    )
    assert seen.text == "Exchange reports an incident: Busy; Engine upgrade (planned maintenance)"


def test_many_parts_are_counted_not_listed(page: Page) -> None:
    parts = [component(f"Coin {number}", "partial_outage") for number in range(40)]
    seen = page.look(status={"indicator": "minor", "description": "Minor"}, components=parts)
    assert seen.text.endswith("Coin 4: partial outage; and 35 more")


def test_a_name_cannot_fill_or_break_the_sentence(page: Page) -> None:
    seen = page.look(status=FINE, incidents=[incident("a\x1b[31m\n" + "b" * 5000)])
    assert seen.text.isprintable()
    assert len(seen.text) < 300


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_a_page_that_fails_is_unknown(page: Page, status: int) -> None:
    page.status = status
    seen = page.look(status=FINE)
    assert (seen.status, seen.reason) == ("unknown", "http")
    assert seen.text.startswith(f"Status page unreadable: 127.0.0.1 answered {status} ")


@pytest.mark.parametrize(
    "body", [b"", b"<html></html>", b"[]", b"{}", b'{"status":"ok"}', b"\xff\xfe", b"[" * 100_000]
)
def test_a_page_in_other_words_is_unknown(page: Page, body: bytes) -> None:
    page.body = body
    seen = page.look()
    assert (seen.status, seen.reason) == ("unknown", "protocol")
    assert seen.text.endswith("did not return a Statuspage summary.json")


def test_a_page_that_is_too_long_to_be_read_whole_is_said(page: Page) -> None:
    parts = [component(f"Coin {number} " + "x" * 900, "operational") for number in range(1200)]
    seen = page.look(status=FINE, components=parts)
    assert (seen.status, seen.reason) == ("unknown", "protocol")
    assert seen.text.endswith("127.0.0.1 sent a response larger than 1 MiB")


def test_a_page_that_is_away_is_unknown_and_not_the_exchange(page: Page) -> None:
    page.port = free_port()
    seen = page.look(status=FINE)
    assert (seen.status, seen.reason) == ("unknown", "refused")
    assert seen.text.startswith("Status page unreadable: Cannot connect to 127.0.0.1:")

"""Reports over HTTP, and their figures against those of the API."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.api import reports as api
from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from services.jobs.context import JobContext
from services.jobs.reports import job
from services.jobs.reports.job import run_reports
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications, ReportsSection
from shared.runtime.redis.presence import PartPresence
from shared.runtime.report_files import FOLDER
from shared.schema.redis_keys import JOB_REQUESTS, PARTS
from shared.schema.timestamps import to_wire
from shared.store.audit import AuditFilter, list_audit
from shared.store.database import Database
from tests.report_data import NOW, fill_performance
from tests.unit.dashboard.conftest import LINKS, SETTINGS

PATH = "/api/monitoring/reports"
Build = Callable[[], object]
_DATA = re.compile(r'<data value="([^"]+)" id="([^"]+)">')


@pytest.fixture
def build(performance: Database, health: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Return what builds the reports that are asked for, without schedules."""
    monkeypatch.setattr(job, "render_pdf", lambda _: b"%PDF-1.7")
    notifications = Notifications(reports=ReportsSection(schedules={}))
    documents = Documents(PerformanceLogger(), HealthMonitor(), notifications)
    context = JobContext(performance, health, documents, tmp_path, lambda: NOW, lambda _: None)
    return lambda: run_reports(context)


@pytest.fixture
def client(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of a dashboard that keeps reports in a folder."""
    sources = DataSources(redis, performance, health, tmp_path)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOW).test_client()


def get(client: FlaskClient, path: str) -> Any:
    answer = client.get(f"/api/monitoring{path}")
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


def figures(report: Any, account: str, part: str = "figures") -> dict[str, float | None]:
    found = report["portfolio"] if account == "portfolio" else None
    found = found or next(one for one in report["accounts"] if one["name"] == account)
    return {figure["name"]: figure["value"] for figure in found[part]}


def test_figures_are_those_of_the_api(client: FlaskClient, performance: Database, build: Build) -> None:
    """Read back from its HTML they equal those of the portfolio, equity, trades and performance routes."""
    fill_performance(performance)
    since, last = NOW - timedelta(days=7), NOW - timedelta(milliseconds=1)
    asked = client.post(PATH, json={"from": to_wire(since), "to": to_wire(NOW)})
    assert asked.status_code == 202
    build()
    report_id = asked.get_json()["reportId"]
    page = client.get(f"{PATH}/{report_id}/html")
    read = {name: float(value) for value, name in _DATA.findall(page.get_data(as_text=True))}
    report = get(client, f"/reports/{report_id}")
    assert (report["reportId"], report["dashboard"]["summary"]["bots"]) == (report_id, 3)
    begin = to_wire(since - timedelta(minutes=30))
    (portfolio,) = get(client, f"/portfolio?from={begin}&to={to_wire(last)}&step=30m")["portfolios"]
    for name in (
        "portfolioValue",
        "totalPnL",
        "totalReturn",
        "maxDrawdown",
        "sharpeRatio",
        "volatility",
        "var95",
    ):
        assert read[f"portfolio.{name}"] == pytest.approx(portfolio[name], rel=1e-12), name
    span = f"from={to_wire(since)}&to={to_wire(last)}"
    for bot in ("alpha", "beta", "gamma"):
        trades = get(client, f"/trades?bot={bot}&{span}")
        assert read[f"bots.{bot}.trades"] == trades["count"] > 0
        assert read[f"bots.{bot}.tradePnL"] == pytest.approx(trades["pnl"], rel=1e-12)
        candles = get(client, f"/equity?bot={bot}&{span}&step=1h")["points"]
        assert read[f"bots.{bot}.portfolioValue"] == candles[-1]["close"]
        points = get(client, f"/performance?bot={bot}&{span}&step=1d")["points"]
        shown = {
            name: value
            for source in ("computed", "reported")
            for point in [point for point in points if point["source"] == source][-1:]
            for name, value in point.items()
            if value is not None
        }
        for name, value in figures(report, bot, "risk").items():
            assert value == shown.get(name), name
            assert read.get(f"bots.{bot}.risk.{name}") == value


def test_a_report_is_asked_for_and_deleted(
    client: FlaskClient, redis: Redis, health: Database, build: Build, tmp_path: Path
) -> None:
    """The jobs part is told; both are in the audit log; the files go with it."""
    asked = client.post(PATH)
    entry = asked.get_json()
    report_id = entry["reportId"]
    assert (asked.status_code, asked.headers["Location"]) == (202, f"{PATH}/{report_id}")
    assert (entry["state"], entry["title"]) == ("pending", "Daily monitoring report, 2026-01-30")
    assert redis.smembers(JOB_REQUESTS) == {b"reports"}
    early = client.get(f"{PATH}/{report_id}/html")
    assert (early.status_code, early.get_json()["error"]) == (409, "the report is pending")
    build()
    (listed,) = get(client, "/reports")
    assert (listed["state"], listed["status"], sorted(listed["bytes"])) == (
        "done",
        "WARNING",
        ["html", "json", "pdf"],
    )
    assert client.get(f"{PATH}/{report_id}/pdf").data == b"%PDF-1.7"
    assert client.delete(f"{PATH}/{report_id}").status_code == 204
    assert client.get(f"{PATH}/{report_id}").status_code == 404
    assert list((tmp_path / FOLDER).iterdir()) == []
    with health.read() as connection:
        entries = list_audit(connection, AuditFilter(action="report"), 10)
    assert [(row.action, row.subject) for row in entries] == [
        ("report.delete", report_id), ("report.request", report_id),
    ]  # fmt: skip


def test_a_request_waits_for_its_report(
    client: FlaskClient, redis: Redis, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `wait` the report itself is the answer: its ID, the overall status and the recommendations.

    While the jobs part is not running, nothing is waited for.
    """
    monkeypatch.setattr(api, "sleep", lambda _: build())
    assert client.post(f"{PATH}?wait=30").status_code == 202
    jobs = PartPresence(part="jobs", host="box", pid=7, started_at=NOW, seen_at=NOW)
    redis.hset(PARTS, "jobs", msgspec.json.encode(jobs))
    answer = client.post(f"{PATH}?wait=30", json={"period": "weekly", "kind": "performance", "formats": []})
    report = answer.get_json()
    assert answer.status_code == 201
    assert report["reportId"].startswith("weekly-20260119-")
    assert (report["dashboard"]["summary"]["status"], report["recommendations"]) == ("WARNING", [])
    assert (report["incidents"], report["portfolio"]["reason"]) == (
        None,
        "No equity was reported in the period.",
    )


def test_pages_of_reports_are_linked(client: FlaskClient) -> None:
    """The latest first; more than 20 that are not built are refused."""
    asked = [client.post(PATH, json={"bots": [f"bot-{n}"]}).get_json()["reportId"] for n in range(20)]
    refused = client.post(PATH)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "30")
    first = client.get(f"{PATH}?limit=15")
    following = re.fullmatch(r'<(.+)>; rel="next"', first.headers["Link"])
    assert following
    second = client.get(following[1])
    listed = [entry["reportId"] for answer in (first, second) for entry in answer.get_json()]
    assert sorted(listed) == sorted(asked)
    assert "Link" not in second.headers


def test_the_page_of_a_report_has_a_strict_policy(client: FlaskClient, build: Build) -> None:
    """No script, its own style sheet only, and frames of this site only; the page itself says so, too."""
    report_id = client.post(PATH, json={"formats": ["html"]}).get_json()["reportId"]
    build()
    answer = client.get(f"{PATH}/{report_id}/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'self'; sandbox" in policy
    inner = re.search(
        r'http-equiv="Content-Security-Policy" content="([^"]+)"', answer.get_data(as_text=True)
    )
    assert inner
    assert inner[1].replace("&#39;", "'") in policy
    assert client.get(f"{PATH}/{report_id}/pdf").status_code == 404


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"channels": ["desk"]}, "$.channels[0]: expected a channel, got 'desk'"),
        ({"period": "hourly"}, "$.period"),
        ({"bots": [""]}, "$.bots[0]"),
        ({"formats": ["docx"]}, "$.formats[0]"),
        ({"from": "2026-01-01T00:00:00"}, "$.from"),
        ({"until": 1}, "until"),
    ],
)
def test_a_wrong_request_is_named(client: FlaskClient, body: dict[str, object], fault: str) -> None:
    """With the path of what is wrong."""
    answer = client.post(PATH, json=body)
    assert answer.status_code == 400
    (found,) = answer.get_json()["faults"]
    assert f"{found['path']}: {found['message']}".startswith(fault) or fault in str(found)


def test_schedules_are_shown_with_their_place(client: FlaskClient) -> None:
    """The three that are built in, when they are due next, and how long reports are kept."""
    found = get(client, "/reports/schedules")
    assert (found["file"], found["retentionDays"]) == ("notifications.yml", 365)
    assert [(one["path"], one["nextAt"]) for one in found["schedules"]] == [
        ("reports.schedules.daily", "2026-02-01T06:00:00Z"),
        ("reports.schedules.weekly", "2026-02-02T06:00:00Z"),
        ("reports.schedules.monthly", "2026-02-01T06:00:00Z"),
    ]

"""A sender of many requests is told to wait; others, and the page, are not."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS
from tests.unit.dashboard.sample_data import NOON, body
from tests.unit.dashboard.signed_in import COMMAND_TOKEN, RestrictedDashboard

API = "/api/monitoring/alerts"
TOKEN = {"Authorization": f"Bearer {COMMAND_TOKEN}"}

Start = Callable[[int], RestrictedDashboard]


@pytest.fixture
def start(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> Start:
    """Return the function that returns a dashboard with this limit, where access is required."""
    return lambda limit: RestrictedDashboard(
        redis, (performance, health), tmp_path, api_requests_per_minute=limit
    )


def test_a_token_that_sends_too_much_is_told_when_to_retry(start: Start) -> None:
    client = start(2).browser()
    first, second, third = (client.get(API, headers=TOKEN) for _ in range(3))
    assert (first.status_code, first.headers["RateLimit-Policy"]) == (200, '"default";q=2;w=60')
    assert first.headers["RateLimit"].startswith('"default";r=1;t=')
    assert second.headers["RateLimit"].startswith('"default";r=0;t=')
    assert third.status_code == 429
    assert third.mimetype == "application/problem+json"
    wait = int(third.headers["Retry-After"])
    assert 0 < wait <= 60
    sender = body(third)["detail"].partition(" from ")[2]
    assert sender == f"token:botwatch; retry in {wait} s"


def test_the_page_health_metrics_and_static_files_are_never_limited(start: Start) -> None:
    dashboard = start(1)
    browser = dashboard.browser("vera")
    assert [browser.get(API).status_code for _ in range(3)] == [200] * 3
    assert "RateLimit" not in browser.get(API).headers
    program = dashboard.browser()
    for path in ("/health", "/metrics"):
        assert [program.get(path, headers=TOKEN).status_code for _ in range(3)] == [200] * 3


def test_an_open_dashboard_limits_addresses_but_not_its_page(
    redis: Redis, performance: Database, health: Database
) -> None:
    settings = DashboardSettings(api_requests_per_minute=1)
    app = create_dashboard_app(settings, DataSources(redis, performance, health), LINKS, lambda: NOON)
    client = app.test_client()
    statuses = [
        client.get(API, environ_base={"REMOTE_ADDR": address}).status_code
        for address in ("10.0.0.1", "10.0.0.1", "10.0.0.2")
    ]
    assert statuses == [200, 429, 200]
    page = {"Sec-Fetch-Site": "same-origin"}
    assert client.get(API, headers=page, environ_base={"REMOTE_ADDR": "10.0.0.1"}).status_code == 200


def test_zero_is_no_limit(start: Start) -> None:
    answer = start(0).browser().get(API, headers=TOKEN)
    assert (answer.status_code, answer.headers.get("RateLimit")) == (200, None)

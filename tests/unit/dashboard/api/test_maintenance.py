"""Maintenance through the API: silences and configured windows on one calendar."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, get_json

PATH = "/api/monitoring/maintenance"
CONFIG = """
maintenance:
  - { name: move, match: { bot: "scalper-*" }, from: 2026-02-01T06:00:00Z, until: 2026-02-01T08:00:00Z }
  - { name: backup, match: { category: RESOURCE }, cron: "0 2 * * 6", duration: 2h, timeZone: Europe/Berlin }
  - { name: always, cron: "*/30 * * * *", duration: 30m }
  - { name: often, match: { bot: a }, cron: "*/2 * * * *", duration: 1m }
inhibit:
  - { source: { alertname: host-down }, target: { bot: "?*" }, equal: [host] }
"""


@pytest.fixture
def configured(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of a dashboard with maintenance windows and an inhibition."""
    (tmp_path / "notifications.yml").write_text(CONFIG)
    sources = DataSources(redis, performance, health, config=tmp_path)
    return create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()


def named(answer: dict[str, Any], name: str) -> list[tuple[str, str]]:
    return [(each["startsAt"], each["endsAt"]) for each in answer["intervals"] if each["name"] == name]


def test_windows_and_silences_are_on_one_calendar(configured: FlaskClient) -> None:
    """A recurring window is expanded in its time zone; spans that touch are one."""
    sent = {
        "matchers": [{"name": "bot", "value": "a"}],
        "endsAt": "2026-02-02T12:00:00Z",
        "createdBy": "ann",
        "comment": "new keys",
    }
    silence = body(configured.post("/api/monitoring/silences", json=sent))["id"]
    answer = get_json(configured, PATH)
    assert (answer["from"], answer["to"]) == ("2026-01-31T12:00:00Z", "2026-02-14T12:00:00Z")
    assert named(answer, "new keys") == [("2026-01-31T12:00:00Z", "2026-02-02T12:00:00Z")]
    assert [each["silence"] for each in answer["intervals"] if each["kind"] == "silence"] == [silence]
    assert named(answer, "move") == [("2026-02-01T06:00:00Z", "2026-02-01T08:00:00Z")]
    assert named(answer, "backup") == [
        ("2026-02-07T01:00:00Z", "2026-02-07T03:00:00Z"),
        ("2026-02-14T01:00:00Z", "2026-02-14T03:00:00Z"),
    ]
    assert named(answer, "always") == [("2026-01-31T12:00:00Z", "2026-02-14T12:00:00Z")]


def test_a_window_says_where_it_is_configured_and_whether_it_is_active(configured: FlaskClient) -> None:
    answer = get_json(configured, PATH)
    move, backup, always, often = answer["windows"]
    assert move["place"] == {"file": "notifications.yml", "path": "maintenance[0]"}
    assert (move["match"], move["from"], move["activeUntil"]) == (
        {"bot": "scalper-*"},
        "2026-02-01T06:00:00Z",
        None,
    )
    assert (backup["cron"], backup["durationSeconds"], backup["timeZone"]) == (
        "0 2 * * 6",
        7200,
        "Europe/Berlin",
    )
    assert always["activeUntil"] == "2026-01-31T12:30:00Z"
    assert answer["inhibitions"] == [
        {
            "place": {"file": "notifications.yml", "path": "inhibit[0]"},
            "source": {"alertname": "host-down"},
            "target": {"bot": "?*"},
            "equal": ["host"],
        }
    ]
    # A thousand times of two minutes.
    assert (always["shownUntil"], often["shownUntil"]) == (None, "2026-02-01T21:20:00Z")
    assert len(named(answer, "often")) == 1000


def test_an_ended_silence_is_on_the_calendar_until_its_end(configured: FlaskClient) -> None:
    sent = {"matchers": [{"name": "bot", "value": "a"}], "endsAt": "2026-02-02T12:00:00Z", "createdBy": "ann"}
    made = body(configured.post("/api/monitoring/silences", json=sent))["id"]
    later = body(
        configured.post("/api/monitoring/silences", json=sent | {"startsAt": "2026-02-01T12:00:00Z"})
    )
    configured.delete(f"/api/monitoring/silences/{made}")
    found = get_json(configured, f"{PATH}?from=2026-01-01T00:00:00Z&to=2026-02-10T00:00:00Z")
    assert [each["silence"] for each in found["intervals"] if each["kind"] == "silence"] == [later["id"]]


@pytest.mark.parametrize("query", ["to=2026-01-31T11:00:00Z", "to=2026-09-01T00:00:00Z", "from=x", "until=1"])
def test_a_wrong_span_is_refused(configured: FlaskClient, query: str) -> None:
    answer = configured.get(f"{PATH}?{query}")
    assert (answer.status_code, len(body(answer)["faults"])) == (400, 1)

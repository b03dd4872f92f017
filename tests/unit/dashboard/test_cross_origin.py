"""Pages of other origins: none may use the API unless CORS_ORIGINS names it, and never with a session."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from services.dashboard.config import DashboardSettings
from services.dashboard.cross_origin import foreign_origins
from shared.schema.faults import InvalidError
from shared.store.database import Database
from tests.unit.dashboard.sample_data import make_alert, store_open_alert
from tests.unit.dashboard.signed_in import COMMAND_TOKEN, RestrictedDashboard

API = "/api/monitoring/alerts"
ACKNOWLEDGE = f"{API}/alert-1/acknowledge"
DESK = "https://desk.example"
TOKEN = {"Authorization": f"Bearer {COMMAND_TOKEN}"}
CORS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials")

Start = Callable[[str], FlaskClient]


@pytest.fixture
def start(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> Start:
    """Return the function that returns a client of a dashboard with these CORS_ORIGINS and an open alert."""
    store_open_alert(health, make_alert(1))

    def start(origins: str) -> FlaskClient:
        dashboard = RestrictedDashboard(redis, (performance, health), tmp_path, cors_origins=origins)
        return dashboard.browser()

    return start


def preflight(client: FlaskClient, origin: str, path: str = ACKNOWLEDGE) -> TestResponse:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    return client.options(path, headers={"Origin": origin, **asked})


def cors_headers(answer: TestResponse) -> tuple[str | None, ...]:
    return tuple(map(answer.headers.get, CORS))


def test_nothing_is_allowed_unless_configured(start: Start) -> None:
    client = start("")
    answer = client.get(API, headers={"Origin": DESK, **TOKEN})
    assert (answer.status_code, cors_headers(answer)) == (200, (None, None))
    assert preflight(client, DESK).status_code == 401
    assert client.post(ACKNOWLEDGE, json={"by": "a"}, headers={"Origin": DESK, **TOKEN}).status_code == 403


def test_a_named_origin_reads_and_changes_with_a_token(start: Start) -> None:
    client = start(f"https://other.example:8443, {DESK}/")
    asked = preflight(client, DESK)
    assert (asked.status_code, cors_headers(asked)) == (200, (DESK, None))
    assert asked.headers["Access-Control-Allow-Headers"] == "authorization"
    answer = client.get(API, headers={"Origin": DESK, **TOKEN})
    assert (answer.status_code, cors_headers(answer)) == (200, (DESK, None))
    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
    assert "Origin" in answer.headers.getlist("Vary")
    changed = client.post(ACKNOWLEDGE, json={"by": "a"}, headers={"Origin": DESK, **TOKEN})
    assert (changed.status_code, cors_headers(changed)) == (200, (DESK, None))


def test_a_change_without_a_token_is_refused_from_a_named_origin(start: Start) -> None:
    """A form of that page could send it with the cookies of a signed-in browser."""
    client = start(DESK)
    client.post("/login", data={"name": "root", "password": "correct horse battery"})
    assert client.post(ACKNOWLEDGE, json={"by": "a"}, headers={"Origin": DESK}).status_code == 403


@pytest.mark.parametrize("origin", ["https://desk.example.evil.example", "http://desk.example", "null"])
def test_other_origins_stay_out(start: Start, origin: str) -> None:
    client = start(DESK)
    assert cors_headers(client.get(API, headers={"Origin": origin, **TOKEN})) == (None, None)
    assert preflight(client, origin).status_code == 401
    changed = client.post(ACKNOWLEDGE, json={"by": "a"}, headers={"Origin": origin, **TOKEN})
    assert changed.status_code == 403


def test_only_the_api_is_opened(start: Start) -> None:
    client = start(DESK)
    assert cors_headers(client.get("/health", headers={"Origin": DESK, **TOKEN})) == (None, None)
    assert preflight(client, DESK, "/login").headers.get(CORS[0]) is None


def test_any_origin_may_be_allowed_without_credentials(start: Start) -> None:
    client = start("*")
    answer = client.get(API, headers={"Origin": "https://anything.example", **TOKEN})
    assert (answer.status_code, cors_headers(answer)) == (200, ("*", None))
    assert preflight(client, "https://anything.example").status_code == 200
    assert client.get(API, headers={"Origin": "https://anything.example"}).status_code == 401


@pytest.mark.parametrize(
    ("origins", "access", "fault"),
    [
        ("*", "open", "requires ACCESS=required"),
        ("desk.example", "required", "expected origins like"),
        ("https://desk.example/path", "required", "expected origins like"),
        ("https://*.example?", "required", "expected origins like"),
        ("ftp://desk.example", "required", "expected origins like"),
        ("https://desk.example:port", "required", "expected origins like"),
    ],
)
def test_a_wrong_origin_is_a_fault_of_the_settings(origins: str, access: str, fault: str) -> None:
    settings = DashboardSettings(cors_origins=origins, access="open" if access == "open" else "required")
    with pytest.raises(InvalidError, match=fault) as raised:
        foreign_origins(settings)
    assert raised.value.faults[0].path == "CORS_ORIGINS"

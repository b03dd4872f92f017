"""Calendars over HTTP, and the link with which a program subscribes."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from icalendar import Calendar
from redis import Redis
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.access.tokens import calendar_token_name
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body
from tests.unit.dashboard.signed_in import COMMAND_TOKEN, ORIGIN, ROOT, RestrictedDashboard

LINK = "/api/monitoring/calendar-link"
FEEDS = ("/calendar/on-call.ics", "/calendar/maintenance.ics")
TEXT = """
channels: { phone: { url: "http://127.0.0.1:1/secret" } }
people: { ann: { contacts: [phone] }, bob: { contacts: [phone] } }
rotations: { desk: { people: [ann, bob], begins: 2026-01-05 } }
maintenance: [{ name: backup, cron: "0 2 * * 6", duration: 2h }]
"""


@pytest.fixture
def dashboard(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> RestrictedDashboard:
    """Return a dashboard where access is required, which finds its tokens in the health database."""
    document = f'{{"database": {{"path": "{make_url(health.url).database}"}}}}'
    (tmp_path / "health_monitor.json").write_text(document)
    return RestrictedDashboard(redis, (performance, health), tmp_path, botwatch_config=tmp_path)


@pytest.fixture
def stranger(dashboard: RestrictedDashboard) -> FlaskClient:
    """Return a client that has signed in nowhere."""
    return dashboard.browser()


def create_link(dashboard: RestrictedDashboard, user: str = "vera") -> Any:
    answer = dashboard.browser(user).post(LINK, headers=ORIGIN)
    assert answer.status_code == 201
    return refresh(dashboard, body(answer))


def refresh(dashboard: RestrictedDashboard, answer: Any = None) -> Any:
    dashboard.app.extensions["botwatch"].access.authenticator.refresh()
    return answer


def path_of(url: str) -> str:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == "https://botwatch.example"
    return f"{parts.path}?{parts.query}"


def test_an_open_dashboard_needs_no_token(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Both feeds have the configured names, a type that programs know, and an ETag; no contact is in them."""
    (tmp_path / "notifications.yml").write_text(TEXT)
    sources = DataSources(redis, performance, health, config=tmp_path)
    client = create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()
    answers = [client.get(path) for path in FEEDS]
    for answer, word in zip(answers, ("On call: ann (desk)", "Maintenance: backup"), strict=True):
        assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
        assert answer.headers["Cache-Control"] == "private, max-age=300"
        assert word in {str(event["summary"]) for event in Calendar.from_ical(answer.data).walk("VEVENT")}
        assert "phone" not in answer.text
        again = client.get(answer.request.path, headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
    assert "On call: ann" not in client.get(f"{FEEDS[0]}?person=bob").text
    assert client.get(f"{FEEDS[0]}?who=bob").status_code == 400
    link = body(client.post(LINK, headers=ORIGIN))
    assert (link["onCall"], link["hasToken"]) == ("https://botwatch.example/calendar/on-call.ics", False)


def test_a_calendar_needs_an_identity(dashboard: RestrictedDashboard, stranger: FlaskClient) -> None:
    """A session or a token that may read will do."""
    assert [stranger.get(path).status_code for path in FEEDS] == [401, 401]
    assert stranger.get(f"{FEEDS[0]}?token=bw_forged").status_code == 401
    assert [dashboard.browser("vera").get(path).status_code for path in FEEDS] == [200, 200]
    reader = {"Authorization": f"Bearer {COMMAND_TOKEN}"}
    assert stranger.get(FEEDS[0], headers=reader).status_code == 200


def test_a_link_opens_the_calendars_and_nothing_else(
    dashboard: RestrictedDashboard, stranger: FlaskClient
) -> None:
    link = create_link(dashboard)
    assert [stranger.get(path_of(link[name])).status_code for name in ("onCall", "maintenance")] == [200, 200]
    query = urlsplit(link["onCall"]).query
    assert [stranger.get(f"{path}?{query}").status_code for path in ("/api/monitoring", "/on-call")] == [
        401,
        303,
    ]
    token = {"Authorization": f"Bearer {query.removeprefix('token=')}"}
    for path in ("/api/monitoring", "/api/monitoring/on-call", "/metrics", "/badge/status.svg"):
        assert stranger.get(path, headers=token).status_code == 403, path
    assert stranger.post(LINK, headers=token).status_code == 403


def test_a_token_that_may_more_must_not_be_in_an_address(stranger: FlaskClient) -> None:
    """Addresses end up in the logs of proxies and in synchronised settings."""
    answer = stranger.get(f"{FEEDS[0]}?token={COMMAND_TOKEN}")
    assert answer.status_code == 403
    assert "only the scope calendar" in answer.text


def test_a_new_link_replaces_the_one_before(dashboard: RestrictedDashboard, stranger: FlaskClient) -> None:
    """And each can be ended; the one of another user stays. All of it is in the audit log."""
    first, others = create_link(dashboard), create_link(dashboard, "olga")
    second = create_link(dashboard)
    assert stranger.get(path_of(first["onCall"])).status_code == 401
    assert stranger.get(path_of(second["onCall"])).status_code == 200
    vera = dashboard.browser("vera")
    known = body(vera.get(LINK))
    assert (known["hasToken"], known["createdAt"]) == (False, "2026-01-31T12:00:00Z")
    assert "token" not in known["onCall"]
    assert vera.delete(LINK, headers=ORIGIN).status_code == 200
    assert vera.delete(LINK, headers=ORIGIN).status_code == 404
    refresh(dashboard)
    assert stranger.get(path_of(second["onCall"])).status_code == 401
    assert stranger.get(path_of(others["onCall"])).status_code == 200
    created = [(by, subject) for by, _, subject, _ in dashboard.audited("token.create")]
    assert created == [("vera", "calendar-vera"), ("olga", "calendar-olga"), ("vera", "calendar-vera")]
    assert len(dashboard.audited("token.revoke")) == 2


def test_the_link_of_a_disabled_user_ends(dashboard: RestrictedDashboard, stranger: FlaskClient) -> None:
    link = create_link(dashboard)
    dashboard.users.set_disabled("vera", ROOT, NOON, disabled=True)
    assert [(by, subject) for by, _, subject, _ in dashboard.audited("token.revoke")] == [
        (ROOT.name, "calendar-vera")
    ]
    refresh(dashboard)
    assert stranger.get(path_of(link["onCall"])).status_code == 401


def test_a_token_gets_no_link(stranger: FlaskClient) -> None:
    """It would live on when that token is revoked."""
    answer = stranger.post(LINK, headers={"Authorization": f"Bearer {COMMAND_TOKEN}"})
    assert answer.status_code == 403


def test_no_log_has_the_token(
    dashboard: RestrictedDashboard, stranger: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not when the feed is read, not when it fails, and not in the metrics."""
    link = create_link(dashboard)
    secret = urlsplit(link["onCall"]).query.removeprefix("token=")
    with capture_logs() as lines:
        stranger.get(path_of(link["onCall"]))
        failing = "services.dashboard.calendars.routes.parse_mute_config"
        monkeypatch.setattr(failing, lambda _: 1 / 0)
        answer = stranger.get(path_of(link["maintenance"]))
    assert answer.status_code == 500
    assert secret not in f"{lines}{answer.text}"
    vera = dashboard.browser("vera")
    assert secret not in vera.get("/metrics").text


def test_names_of_users_become_names_of_tokens() -> None:
    """Different ones, also where a name has characters that a token's may not have, or is too long."""
    names = ["ann", "ann@desk.example", "ann-desk.example", "x" * 64, "x" * 63 + "y"]
    tokens = [calendar_token_name(name) for name in names]
    assert tokens[0] == "calendar-ann"
    assert len(set(tokens)) == len(names)
    assert max(map(len, tokens)) <= 64

"""API tokens over HTTP, and what each scope may do, where access is required."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from msgspec.structs import replace
from redis import Redis
from sqlalchemy import select
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from services.dashboard.access_journal import AccessJournal
from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.access.bearer_tokens import new_api_token
from shared.access.internal_tokens import format_internal_tokens
from shared.runtime import clock
from shared.store.audit import AuditKeyFile
from shared.store.database import Database
from shared.store.tables import audit_log
from tests.unit.dashboard.conftest import LINKS, SETTINGS

ADMIN = new_api_token()
Ask = Callable[..., TestResponse]


@pytest.fixture
def closed(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of a dashboard that requires an identity."""
    document = f'{{"database": {{"path": "{make_url(health.url).database}"}}}}'
    (tmp_path / "health_monitor.json").write_text(document)
    tokens = format_internal_tokens({"botwatch": ADMIN})
    settings = replace(SETTINGS, access="required", internal_tokens=tokens, botwatch_config=tmp_path)
    return create_dashboard_app(settings, DataSources(redis, performance, health), LINKS).test_client()


@pytest.fixture
def ask(closed: FlaskClient) -> Ask:
    """Return a function that sends a request with a token."""

    def send(method: str, path: str, token: str = ADMIN, **options: object) -> TestResponse:
        headers = {"Authorization": f"Bearer {token}"}
        path = f"/api/monitoring{path}"
        return closed.open(path, method=method, headers=headers, **options)  # type: ignore[arg-type]

    return send


def create(ask: Ask, closed: FlaskClient, *scopes: str, **further: object) -> str:
    """Create a token over HTTP, and let the dashboard read it."""
    response = ask("POST", "/tokens", json={"name": "-".join(scopes), "scopes": scopes, **further})
    assert response.status_code == 201, response.text
    closed.application.extensions["botwatch"].access.authenticator.refresh()
    return str(response.json and response.json["secret"])


def test_everything_is_denied_without_a_token(closed: FlaskClient) -> None:
    """Every route but /health, static files and signed links answers 401 with a challenge."""
    for path in ("/api/monitoring", "/api/monitoring/alerts", "/metrics", "/no-such-path"):
        response = closed.get(path)
        assert response.status_code == 401, path
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="Botwatch"')
        assert response.json
        assert response.json["error"].startswith("missing token")
    assert closed.get("/health").json == {"part": "dashboard", "status": "ok"}
    assert closed.get("/acknowledge/forged").status_code == 403


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("read", {"GET /bots", "POST /websocket-ticket"}),
        ("operate", {"POST /silences"}),
        ("admin", {"GET /tokens"}),
        ("ingest", set()),
    ],
)
def test_each_scope_allows_its_routes(ask: Ask, closed: FlaskClient, scope: str, allowed: set[str]) -> None:
    """A route of another scope answers 403 and names the missing scope."""
    token = create(ask, closed, scope)
    for route in ("GET /bots", "POST /websocket-ticket", "POST /silences", "GET /tokens"):
        response = ask(*route.split(), token)
        assert (response.status_code != 403) is (route in allowed), route
        if response.status_code == 403:
            assert "missing scope" in response.text
            assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_a_token_is_shown_once_and_revoked_at_once(ask: Ask, closed: FlaskClient) -> None:
    """The list has no secret; a revoked token is refused as soon as the dashboard has read it."""
    secret = create(ask, closed, "read", expiresAt="2099-01-01T00:00:00Z")
    listed = ask("GET", "/tokens")
    assert secret not in listed.text
    assert listed.json
    assert [one["state"] for one in listed.json] == ["active"]
    assert ask("GET", "/bots", secret).status_code == 200
    assert ask("DELETE", "/tokens/read").json
    closed.application.extensions["botwatch"].access.authenticator.refresh()
    refused = ask("GET", "/bots", secret)
    assert refused.status_code == 401
    assert "token:read was revoked at" in refused.text
    assert ask("DELETE", "/tokens/missing").status_code == 404


def test_a_wrong_request_names_its_faults(ask: Ask) -> None:
    """A request with an unknown scope is answered with 400 and the path of the fault."""
    response = ask("POST", "/tokens", json={"name": "ci", "scopes": ["everything"]})
    assert response.status_code == 400
    assert "$.scopes" in response.text


def test_refusals_and_uses_are_stored(
    ask: Ask, closed: FlaskClient, redis: Redis, health: Database, audit_file: AuditKeyFile
) -> None:
    """The audit log has refused requests with their address, and a token has its last use."""
    secret = create(ask, closed, "read")
    ask("GET", "/bots", secret)
    ask("GET", "/tokens", secret)
    for _ in range(3):
        ask("GET", "/bots", "bw_mistyped")
    closed.application.extensions["botwatch"].access.authenticator.events.flush()
    assert AccessJournal(redis, health, audit_file, clock.now).store(clock.now()) == 1
    with health.read() as connection:
        entries = connection.execute(select(audit_log).where(audit_log.c.action == "access.refuse")).all()
    assert [(entry.by, entry.address, entry.outcome) for entry in entries] == [
        ("token:read", "127.0.0.1", "denied")
    ]
    listed = ask("GET", "/tokens").json
    assert listed
    assert listed[0]["lastUsedAt"]

"""Who may use Alertmanager's API, and how tools sign in."""

import base64
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import make_url

from shared.access.tokens import TokenRequest, create_token
from shared.store.database import Database
from tests.unit.dashboard.sample_data import NOON, body
from tests.unit.dashboard.signed_in import ORIGIN, RestrictedDashboard

API = "/alertmanager/api/v2"
SILENCE = {
    "matchers": [{"name": "a", "value": "1", "isRegex": False}], "startsAt": "2026-01-31T12:00:00Z",
    "endsAt": "2026-01-31T13:00:00Z", "createdBy": "somebody", "comment": "",
}  # fmt: skip


@pytest.fixture
def dashboard(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> RestrictedDashboard:
    document = f'{{"database": {{"path": "{make_url(health.url).database}"}}}}'
    (tmp_path / "health_monitor.json").write_text(document)
    return RestrictedDashboard(
        redis, (performance, health), tmp_path, api_requests_per_minute=1, botwatch_config=tmp_path
    )


def token(dashboard: RestrictedDashboard, *scopes: str, **fields: Any) -> str:
    with dashboard.health.write() as connection:
        wanted = TokenRequest(name="-".join(scopes), scopes=list(scopes), **fields)  # type: ignore[arg-type]
        made = create_token(connection, wanted, "root", NOON)
    dashboard.app.extensions["botwatch"].access.authenticator.refresh()
    return made.secret


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def status(client: FlaskClient, headers: dict[str, str], method: str, path: str, **sent: Any) -> int:
    return client.open(f"/alertmanager{path}", method=method, headers=headers, **sent).status_code


def test_each_route_needs_its_scope(dashboard: RestrictedDashboard) -> None:
    client = dashboard.browser()
    tried: dict[str, tuple[str, str, Any]] = {
        "read": ("GET", "/api/v2/alerts", None),
        "ingest": ("POST", "/api/v2/alerts", []),
        "operate": ("POST", "/api/v2/silences", SILENCE),
    }
    for scope in tried:
        secret = token(dashboard, scope)
        for other, (method, path, sent) in tried.items():
            expected = 200 if other == scope else 403
            for headers in ({"Authorization": f"Bearer {secret}"}, basic("any", secret), basic(secret)):
                assert status(client, headers, method, path, json=sent) == expected
    assert status(client, {}, "GET", "/api/v2/alerts") == 401
    assert status(client, basic("ann", "wrong"), "GET", "/api/v2/alerts") == 401


def test_probes_are_for_everybody_and_refusals_are_json_strings(dashboard: RestrictedDashboard) -> None:
    client = dashboard.browser()
    for path in ("/-/healthy", "/-/ready"):
        assert client.get(f"/alertmanager{path}").data == b"OK"
        assert client.head(f"/alertmanager{path}").status_code == 200
    refused = client.post(f"{API}/alerts", json=[])
    assert (refused.status_code, refused.mimetype, type(body(refused))) == (401, "application/json", str)
    assert client.post("/alertmanager/-/reload").status_code == 401


def test_basic_opens_nothing_else(dashboard: RestrictedDashboard) -> None:
    secret = token(dashboard, "read")
    assert dashboard.browser().get("/api/monitoring/alerts", headers=basic("any", secret)).status_code == 401


def test_a_token_of_some_bots_sends_their_alerts_only(dashboard: RestrictedDashboard) -> None:
    secret = token(dashboard, "ingest", bots=["alpha"])
    alerts = [{"labels": {"alertname": "x", "bot": bot}} for bot in ("alpha", "beta")]
    answer = dashboard.browser().post(f"{API}/alerts", json=alerts, headers=basic("any", secret))
    said = "token:ingest may only send alerts with the label bot of its own bots"
    assert (answer.status_code, body(answer)) == (400, said)


def test_a_name_that_nobody_has_checked_does_not_count(dashboard: RestrictedDashboard) -> None:
    client, secret = dashboard.browser(), token(dashboard, "operate", "read")
    client.post(f"{API}/silences", json=SILENCE, headers=basic("any", secret))
    (made,) = body(client.get(f"{API}/silences", headers=basic("any", secret)))
    assert made["createdBy"] == "token:operate-read"
    trusted = token(dashboard, "operate", act_for_others=True)
    client.post(f"{API}/silences", json=SILENCE, headers=basic("any", trusted))
    names = [one["createdBy"] for one in body(client.get(f"{API}/silences", headers=basic("any", secret)))]
    assert sorted(names) == ["somebody", "token:operate-read"]


def test_other_sites_change_nothing_and_prometheus_is_never_limited(dashboard: RestrictedDashboard) -> None:
    client, secret = dashboard.browser(), token(dashboard, "ingest")
    foreign = basic("any", secret) | {"Origin": "https://evil.example"}
    assert status(client, foreign, "POST", "/api/v2/alerts", json=[]) == 403
    for _ in range(3):
        assert status(client, basic("any", secret), "POST", "/api/v2/alerts", json=[]) == 200
    operator = dashboard.browser("olga")
    assert operator.post(f"{API}/silences", json=SILENCE).status_code == 403
    assert operator.post(f"{API}/silences", json=SILENCE, headers=ORIGIN).status_code == 200

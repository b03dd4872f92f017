"""The guard: nothing without an identity, no more than a role may, no forged change, no made-up header."""

from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.schema.alerts import Alert
from shared.schema.faults import InvalidError
from shared.store.alerts import alert_by_id
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, body, make_alert, store_open_alert
from tests.unit.dashboard.signed_in import ORIGIN, ROOT, RestrictedDashboard

API = "/api/monitoring"
PUBLIC = {
    "GET /login", "POST /login", "GET /health", "GET /acknowledge/<token>", "POST /acknowledge/<token>",
    "GET /status", "GET /status.json",
    "GET /alertmanager/-/healthy", "GET /alertmanager/-/ready",
}  # fmt: skip


@pytest.fixture
def dashboard(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> RestrictedDashboard:
    """Return a dashboard where access is required."""
    return RestrictedDashboard(redis, (performance, health), tmp_path)


@pytest.fixture
def alert(health: Database) -> Alert:
    """Store an open alert."""
    return store_open_alert(health, make_alert(1))


def test_every_route_but_the_public_ones_needs_an_identity(dashboard: RestrictedDashboard) -> None:
    """Also routes that do not exist, and those that are added later."""
    client = dashboard.browser()
    answered = {}
    for rule in dashboard.app.url_map.iter_rules():
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = rule.build(dict.fromkeys(rule.arguments, "x"), append_unknown=False)
            assert path
            answered[f"{method} {rule.rule}"] = client.open(
                path[1], method=method, headers=ORIGIN
            ).status_code
    static = {route for route in answered if route.startswith("GET /static/")}
    refused = {route for route, status in answered.items() if status in (401, 303)}
    assert answered.keys() - refused <= PUBLIC | static
    assert client.get("/api/monitoring/nothing").status_code == 401


def test_a_refusal_says_how_to_sign_in(dashboard: RestrictedDashboard) -> None:
    """401 as JSON with WWW-Authenticate for programs; a browser is sent to the login."""
    client = dashboard.browser()
    answer = client.get(API)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="Botwatch"')
    assert answer.is_json
    for page in ("/", "/channels/ops", "/runbooks/drawdown", "/account"):
        answer = client.get(page)
        assert (answer.status_code, answer.headers["Location"]) == (303, f"/login?next={page}")
    assert client.get(API, headers={"Authorization": "Bearer bw_wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("user", "method", "path", "status"),
    [
        ("vera", "GET", "", 200),
        ("vera", "POST", "/alerts/alert-1/acknowledge", 403),
        ("vera", "POST", "/silences", 403),
        ("vera", "POST", "/bots/alpha/retire", 403),
        ("olga", "POST", "/alerts/alert-1/acknowledge", 200),
        ("olga", "DELETE", "/bots/alpha", 403),
        ("olga", "POST", "/config/reload", 403),
        ("olga", "GET", "/users", 403),
        ("root", "POST", "/alerts/alert-1/acknowledge", 200),
        ("root", "DELETE", "/bots/alpha", 404),
        ("root", "GET", "/users", 200),
    ],
)
def test_a_role_may_what_it_may(
    dashboard: RestrictedDashboard, alert: Alert, user: str, method: str, path: str, status: int
) -> None:
    """Viewers read, operators act, admins administer; 403 names the missing scope."""
    answer = dashboard.browser(user).open(f"{API}{path}", method=method, headers=ORIGIN, json={})
    assert answer.status_code == status, answer.text
    if status == 403:
        wanted = "operate" if user == "vera" else "admin"
        assert body(answer)["error"].startswith(f"missing scope {wanted}: {user} may not ")
    assert alert.id == "alert-1"


def test_who_acts_is_the_signed_in_user(
    dashboard: RestrictedDashboard, alert: Alert, health: Database
) -> None:
    """Without `by` the alert has the user's name; another's name is refused, and nothing changes."""
    client, path = dashboard.browser("olga"), f"{API}/alerts/{alert.id}/acknowledge"
    refused = client.post(path, headers=ORIGIN, json={"by": "root"})
    assert refused.status_code == 403
    assert "olga may not act for others" in body(refused)["error"]
    with health.read() as connection:
        assert alert_by_id(connection, alert.id).status == "ACTIVE"  # type: ignore[union-attr]
    assert body(client.post(path, headers=ORIGIN, json={"comment": "on it"}))["assignee"] == "olga"
    assert body(client.post(path, headers=ORIGIN, json={"by": "olga"}))["assignee"] == "olga"


def test_silences_have_the_signed_in_user(dashboard: RestrictedDashboard) -> None:
    """`createdBy` may be left out, and `?by=` too; another's name is refused."""
    client, path = dashboard.browser("olga"), f"{API}/silences"
    wanted = {"matchers": [{"name": "bot", "value": "alpha"}], "endsAt": "2026-01-31T14:00:00Z"}
    assert client.post(path, headers=ORIGIN, json=wanted | {"createdBy": "root"}).status_code == 403
    made = body(client.post(path, headers=ORIGIN, json=wanted | {"comment": "testing"}))
    assert made["createdBy"] == "olga"
    assert client.delete(f"{path}/{made['id']}?by=root", headers=ORIGIN).status_code == 403
    assert body(client.delete(f"{path}/{made['id']}", headers=ORIGIN))["endedBy"] == "olga"


def test_a_session_changes_nothing_without_an_origin(dashboard: RestrictedDashboard, alert: Alert) -> None:
    """Every browser sends Origin with a change: a request without it, or with a foreign one, is forged."""
    client, path = dashboard.browser("olga"), f"{API}/alerts/{alert.id}/acknowledge"
    for headers in (
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert client.post(path, headers=headers, json={}).status_code == 403, headers
    assert client.post(path, headers={"Sec-Fetch-Site": "same-origin"}, json={}).status_code == 200


def test_signed_links_need_no_identity(dashboard: RestrictedDashboard, alert: Alert) -> None:
    """Whoever is paged at night acknowledges from the mail, without a login."""
    link = LINKS.acknowledge_url(alert, "anna", NOON).removeprefix(SETTINGS.dashboard_url)
    client = dashboard.browser()
    assert client.get(link).status_code == 200
    assert "Acknowledged by anna" in client.post(link, data={"by": "anna"}).text


def test_health_is_public_but_has_no_details(dashboard: RestrictedDashboard) -> None:
    """A load balancer may ask; only who may read sees what was checked."""
    assert set(body(dashboard.browser().get("/health"))) <= {"status", "part", "version"}
    assert "checks" in body(dashboard.browser("vera").get("/health"))


def test_reading_goes_on_while_the_disk_is_full(
    dashboard: RestrictedDashboard, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session whose use cannot be recorded is still a session."""
    client = dashboard.browser("vera")
    dashboard.wait(minutes=5)
    with health.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def full(*_: Any) -> None:
        from sqlalchemy.exc import OperationalError  # noqa: PLC0415 - for this test

        raise OperationalError("UPDATE", {}, Exception("database or disk is full"))

    monkeypatch.setattr("services.dashboard.guard.sessions.touch_session", full)
    assert client.get(API).status_code == 200


PROXY = {"proxy_user_header": "X-Forwarded-User", "proxy_addresses": "10.1.0.0/16, fd00::1"}


def from_peer(dashboard: RestrictedDashboard, peer: str, user: str, **headers: str) -> Any:
    client = dashboard.browser()
    return client.get(
        API, headers={"X-Forwarded-User": user, **headers}, environ_overrides={"REMOTE_ADDR": peer}
    )


def test_a_proxys_user_is_believed_from_its_addresses(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """The user must exist and not be disabled, and has the role that it has here."""
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path, **PROXY)
    assert from_peer(dashboard, "10.1.2.3", "Vera").status_code == 200
    assert from_peer(dashboard, "::ffff:10.1.2.3", "vera").status_code == 200
    assert from_peer(dashboard, "fd00::1", "vera").status_code == 200
    assert from_peer(dashboard, "10.1.2.3", "nobody").status_code == 401
    dashboard.users.set_disabled("vera", ROOT, NOON, disabled=True)
    assert from_peer(dashboard, "10.1.2.3", "vera").status_code == 401
    client = dashboard.browser()
    answer = client.post(
        f"{API}/silences",
        headers={"X-Forwarded-User": "olga"},
        json={},
        environ_overrides={"REMOTE_ADDR": "10.1.2.3"},
    )
    assert answer.status_code == 403  # no Origin: a forged request carries the proxy's login, too


def test_a_made_up_header_from_elsewhere_is_ignored_and_audited(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Also if the sender claims to be the proxy in X-Forwarded-For."""
    settings = PROXY | {"trust_proxy": True}
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path, **settings)
    for _ in range(3):
        spoofed = from_peer(dashboard, "192.0.2.66", "root", **{"X-Forwarded-For": "10.1.2.3"})
        assert spoofed.status_code == 401
    [entry] = dashboard.audited("user.login")
    assert entry == ("root", "192.0.2.66", "X-Forwarded-User", "denied")


def test_an_unknown_user_of_the_proxy_has_the_default_role(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """PROXY_DEFAULT_ROLE lets in whomever the proxy lets in; names that are none are refused."""
    settings = PROXY | {"proxy_default_role": "viewer"}
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path, **settings)
    assert from_peer(dashboard, "10.1.2.3", "nadia@desk.example").status_code == 200
    assert from_peer(dashboard, "10.1.2.3", "token:ci").status_code == 401


@pytest.mark.parametrize("addresses", ["", "10.1.0.0/33", "proxy.example"])
def test_wrong_proxy_addresses_stop_the_start(
    redis: Redis, performance: Database, health: Database, tmp_path: Path, addresses: str
) -> None:
    """A header that anybody could send would let everybody in."""
    settings = PROXY | {"proxy_addresses": addresses}
    with pytest.raises(InvalidError, match="PROXY_ADDRESSES"):
        RestrictedDashboard(redis, (performance, health), tmp_path, **settings)

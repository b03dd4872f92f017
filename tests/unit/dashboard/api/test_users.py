"""Users over HTTP, for admins."""

from pathlib import Path
from typing import Any

import pyotp
import pytest
from redis import Redis

from shared.store.database import Database
from tests.unit.dashboard.sample_data import body
from tests.unit.dashboard.signed_in import ORIGIN, OTHER_PASSWORD, ROOT, RestrictedDashboard, sign_in

USERS = "/api/monitoring/users"


@pytest.fixture
def dashboard(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> RestrictedDashboard:
    """Return a dashboard where access is required."""
    return RestrictedDashboard(redis, (performance, health), tmp_path)


def test_an_admin_adds_changes_and_signs_out_users(dashboard: RestrictedDashboard) -> None:
    """Each change has its effect at once, and the admin's name in the audit log."""
    admin = dashboard.browser("root")

    def send(method: str, path: str, given: Any = None) -> Any:
        answer = admin.open(f"{USERS}{path}", method=method, json=given, headers=ORIGIN)
        return answer.status_code, body(answer)

    status, added = send("POST", "", {"name": "Nina", "role": "operator"})
    assert status == 201
    assert (added["name"], added["role"], added["lastLoginAt"]) == ("nina", "operator", None)
    nina = dashboard.browser()
    assert sign_in(nina, "nina", added["password"]).status_code == 303
    [listed] = [user for user in send("GET", "")[1] if user["name"] == "nina"]
    assert listed["sessions"] == 1
    assert "password" not in listed
    assert send("PATCH", "/nina", {"role": "viewer"})[1]["role"] == "viewer"
    assert nina.post("/api/monitoring/silences", json={}, headers=ORIGIN).status_code == 403
    assert send("DELETE", "/nina/sessions") == (200, {"name": "nina", "sessionsEnded": 1})
    assert nina.get("/api/monitoring").status_code == 401
    assert "password" not in send("POST", "/nina/password", {"password": OTHER_PASSWORD})[1]
    assert sign_in(nina, "nina", OTHER_PASSWORD).status_code == 303
    assert send("PATCH", "/nina", {"disabled": True})[1]["disabled"]
    assert nina.get("/api/monitoring").status_code == 401
    assert dashboard.audited("user.role") == [("root", "127.0.0.1", "nina", "ok")]


def test_a_lost_phone_is_helped_by_an_admin(dashboard: RestrictedDashboard) -> None:
    """`totp: false` lets the user in with the password alone."""
    secret = dashboard.users.new_totp("vera").secret
    code = pyotp.TOTP(secret).at(dashboard.now)
    dashboard.users.enable_totp("vera", secret, code, ROOT, dashboard.now)
    admin = dashboard.browser("root")
    changed = admin.patch(f"{USERS}/vera", json={"totp": False}, headers=ORIGIN)
    assert body(changed)["totp"] is False
    assert sign_in(dashboard.browser(), "vera").status_code == 303


@pytest.mark.parametrize(
    ("method", "path", "given", "status", "expected"),
    [
        ("POST", "", {"name": "vera"}, 409, "vera exists already"),
        ("POST", "", {"name": "a b", "role": "boss"}, 400, "invalid request"),
        ("POST", "", {"name": "nina", "password": "short"}, 400, "invalid request"),
        ("POST", "", {"role": "viewer"}, 400, "invalid request"),
        ("PATCH", "/nobody", {"role": "viewer"}, 404, "no user named 'nobody'"),
        ("PATCH", "/root", {"role": "viewer"}, 409, "root is the last admin"),
        ("PATCH", "/root", {"disabled": True}, 409, "root is the last admin"),
        ("PATCH", "/root", {"admin": True}, 400, "invalid request"),
        ("DELETE", "/nobody/sessions", None, 404, "no user named 'nobody'"),
    ],
)
def test_what_is_not_possible_says_why(
    dashboard: RestrictedDashboard, method: str, path: str, given: Any, status: int, expected: str
) -> None:
    """400 with every fault, 404, or 409."""
    answer = dashboard.browser("root").open(f"{USERS}{path}", method=method, json=given, headers=ORIGIN)
    assert answer.status_code == status
    assert expected in body(answer)["error"]

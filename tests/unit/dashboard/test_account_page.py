"""The page of one's own account: the password and two-factor login, changed with the password only."""

import re
from pathlib import Path

import pyotp
import pytest
from redis import Redis

from shared.store.database import Database
from tests.unit.dashboard.signed_in import ORIGIN, OTHER_PASSWORD, PASSWORD, RestrictedDashboard, sign_in

API = "/api/monitoring"


@pytest.fixture
def dashboard(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> RestrictedDashboard:
    """Return a dashboard where access is required."""
    return RestrictedDashboard(redis, (performance, health), tmp_path)


def test_a_user_changes_the_password(dashboard: RestrictedDashboard) -> None:
    """It needs the current one; other sessions end, and this one goes on with a new ID."""
    client, elsewhere = dashboard.browser("vera"), dashboard.browser("vera")
    before = client.get_cookie("botwatch_session")

    def change(current: str, new: str) -> tuple[int, str]:
        data = {"current": current, "new": new}
        answer = client.post("/account/password", data=data, headers=ORIGIN)
        return answer.status_code, answer.text

    status, text = change("wrong", OTHER_PASSWORD)
    assert (status, "The current password is wrong." in text) == (403, True)
    status, text = change(PASSWORD, "short")
    assert (status, "expected 12 to 256 characters" in text) == (400, True)
    assert elsewhere.get(API).status_code == 200
    status, text = change(PASSWORD, OTHER_PASSWORD)
    assert (status, "Password changed." in text) == (200, True)
    after = client.get_cookie("botwatch_session")
    assert before
    assert after
    assert before.value != after.value
    assert client.get(API).status_code == 200
    assert elsewhere.get(API).status_code == 401
    assert sign_in(dashboard.browser(), "vera").status_code == 401
    assert sign_in(dashboard.browser(), "vera", OTHER_PASSWORD).status_code == 303


def test_guessing_the_password_in_a_stolen_session_is_limited(dashboard: RestrictedDashboard) -> None:
    """As at the login."""
    client = dashboard.browser("vera")
    data = {"current": "wrong", "new": OTHER_PASSWORD}
    for _ in range(5):
        assert client.post("/account/password", data=data, headers=ORIGIN).status_code == 403
    refused = client.post("/account/password", data=data, headers=ORIGIN)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0


def test_a_user_turns_two_factor_login_on_and_off(dashboard: RestrictedDashboard) -> None:
    """With a QR code, the password and a code; the recovery codes are shown once."""
    client = dashboard.browser("vera")
    page = client.get("/account").text
    assert "<svg" in page
    [secret] = re.findall(r"the secret <code>([A-Z2-7]{32})</code>", page)
    [token] = re.findall(r'name="token" value="([^"]+)"', page)

    def enable(**changed: str) -> tuple[int, str]:
        data = {"token": token, "code": pyotp.TOTP(secret).at(dashboard.now), "current": PASSWORD}
        answer = client.post("/account/totp", data=data | changed, headers=ORIGIN)
        return answer.status_code, answer.text

    assert enable(current="wrong")[0] == 403
    assert enable(code="000000")[0] == 400
    assert enable(token="forged")[0] == 400
    status, text = enable()
    assert (status, len(re.findall(r"\b[0-9a-f]{6}-[0-9a-f]{6}\b", text))) == (200, 10)
    assert "Two-factor login: on" in client.get("/account").text
    assert "Enter the code" in sign_in(dashboard.browser(), "vera").text
    answer = client.post("/account/totp/remove", data={"current": PASSWORD}, headers=ORIGIN)
    assert "Two-factor login: off" in answer.text
    assert sign_in(dashboard.browser(), "vera").status_code == 303

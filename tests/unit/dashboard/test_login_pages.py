"""The login: cookies, redirects, wrong passwords, limits, codes, and the way out."""

import re
from pathlib import Path
from typing import Any

import pyotp
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.login_pages import local_path
from shared.store.database import Database
from tests.unit.dashboard.signed_in import (
    ORIGIN,
    OTHER_PASSWORD,
    PASSWORD,
    ROOT,
    RestrictedDashboard,
    sign_in,
)

API = "/api/monitoring"


@pytest.fixture
def dashboard(redis: Redis, performance: Database, health: Database, tmp_path: Path) -> RestrictedDashboard:
    """Return a dashboard where access is required."""
    return RestrictedDashboard(redis, (performance, health), tmp_path)


def test_a_user_signs_in_reads_and_signs_out(dashboard: RestrictedDashboard) -> None:
    """The login leads to the page; after the logout the session is worth nothing, even if it was kept."""
    client = dashboard.browser()
    assert client.get("/").headers["Location"] == "/login?next=/"
    answer = sign_in(client, "Vera ")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert client.get(API).status_code == 200
    cookie = client.get_cookie("botwatch_session")
    assert cookie
    answer = client.post("/logout", headers=ORIGIN)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert client.get(API).status_code == 401
    client.set_cookie("botwatch_session", cookie.value)
    assert client.get(API).status_code == 401
    assert dashboard.audited("user.login") == [("vera", "127.0.0.1", "vera", "ok")]
    assert dashboard.audited("user.logout") == [("vera", "127.0.0.1", "vera", "ok")]


def test_the_cookie_is_hidden_from_scripts_and_other_sites(dashboard: RestrictedDashboard) -> None:
    """HttpOnly, SameSite=Strict; over HTTPS also Secure, and for this host only (`__Host-`)."""
    plain = sign_in(dashboard.browser(), "vera").headers["Set-Cookie"]
    assert re.fullmatch(
        r"botwatch_session=[\w-]{43}; Expires=.*; Max-Age=604800; HttpOnly; Path=/; SameSite=Strict", plain
    )
    secure = sign_in(
        dashboard.browser(), "vera", base_url="https://localhost", headers={"Origin": "https://localhost"}
    ).headers["Set-Cookie"]
    assert re.fullmatch(
        r"__Host-botwatch_session=[\w-]{43}; .*; Secure; HttpOnly; Path=/; SameSite=Strict", secure
    )


def test_over_https_a_cookie_that_http_could_have_set_is_ignored(dashboard: RestrictedDashboard) -> None:
    """Only the browser's own `__Host-` cookie counts: nobody on the way can plant a session."""
    client = dashboard.browser("vera")
    assert client.get(API, base_url="http://localhost").status_code == 200
    assert client.get(API, base_url="https://localhost").status_code == 401


def test_a_login_never_keeps_a_session_id(dashboard: RestrictedDashboard) -> None:
    """A planted ID (fixation) is not taken over, and the session of before ends."""
    client = dashboard.browser()
    client.set_cookie("botwatch_session", "planted-by-an-attacker")
    sign_in(client, "vera")
    first = client.get_cookie("botwatch_session")
    sign_in(client, "olga")
    second = client.get_cookie("botwatch_session")
    assert first
    assert second
    assert len({first.value, second.value, "planted-by-an-attacker"}) == 3
    client.set_cookie("botwatch_session", first.value)
    assert client.get(API).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("/", "/"),
        ("/runbooks/drawdown?x=1", "/runbooks/drawdown?x=1"),
        (None, "/"),
        ("", "/"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example/", "/"),
        ("/\t/evil.example/", "/"),
        ("\\\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/x\r\nSet-Cookie: a=b", "/"),
        ("/" + "x" * 3000, "/"),
    ],
)
def test_the_login_leads_to_this_server_only(wanted: str | None, path: str) -> None:
    """Whatever a link to the login asks for, it is no open redirect."""
    assert local_path(wanted) == path


def test_after_the_login_the_page_asked_for_is_shown(dashboard: RestrictedDashboard) -> None:
    """Also with its parameters; a foreign address is replaced by the page."""
    client = dashboard.browser()
    asked = client.get("/runbooks/drawdown?from=mail").headers["Location"]
    assert asked == "/login?next=/runbooks/drawdown?from%3Dmail"
    client.get(asked)
    answer = client.post(asked, data={"name": "vera", "password": PASSWORD}, headers=ORIGIN)
    assert answer.headers["Location"] == "/runbooks/drawdown?from=mail"
    answer = client.post(
        "/login?next=//evil.example/", data={"name": "vera", "password": PASSWORD}, headers=ORIGIN
    )
    assert answer.headers["Location"] == "/"


def test_a_link_of_another_site_is_asked_for_again_once(dashboard: RestrictedDashboard) -> None:
    """Only a whole page that another site led to, and only once: it cannot go round in circles."""
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    for address, headers, expected in (
        ("/login?next=/runbooks/drawdown", link, True),
        ("/login?next=/runbooks/drawdown&again=1", link, False),
        ("/login", link | {"Sec-Fetch-Site": "same-origin"}, False),
        ("/login", link | {"Sec-Fetch-Dest": "iframe"}, False),
    ):
        page = dashboard.browser().get(address, headers=headers).text
        assert ("/again.js" in page) is expected, (address, headers)
        assert ('<a href="/runbooks/drawdown">Open the page</a>' in page) is expected


def test_who_is_signed_in_skips_the_login(dashboard: RestrictedDashboard) -> None:
    """The login page leads on to where one wanted to go."""
    answer = dashboard.browser("vera").get("/login?next=/runbooks/drawdown")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/runbooks/drawdown")


def test_wrong_logins_look_alike_and_are_limited(dashboard: RestrictedDashboard) -> None:
    """401 without telling what was wrong, then 429 with Retry-After; the name stays in the form, escaped."""
    client = dashboard.browser()
    answers = [sign_in(client, name, "wrong") for name in ("vera", 'x"><script>')]
    for answer in answers:
        assert answer.status_code == 401
        assert "Wrong name or password." in answer.text
        assert "<script>" not in answer.text
        assert "Set-Cookie" not in answer.headers
    for _ in range(4):
        sign_in(client, "vera", "wrong")
    refused = sign_in(client, "vera")
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "900"
    assert "Too many failed logins; retry in 15 min." in refused.text
    elsewhere: dict[str, Any] = {"environ_overrides": {"REMOTE_ADDR": "127.0.0.2"}}
    assert sign_in(dashboard.browser(), "vera", **elsewhere).status_code == 303
    dashboard.wait(minutes=15)
    assert sign_in(client, "vera").status_code == 303


def test_the_login_page_is_protected_like_the_page(dashboard: RestrictedDashboard) -> None:
    """No script, no frame, no cache; a form of another site is refused (login CSRF)."""
    page = dashboard.browser().get("/login")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert "<script" not in page.text
    forged = sign_in(dashboard.browser(), "vera", headers={"Origin": "https://evil.example"})
    assert forged.status_code == 403
    assert sign_in(dashboard.browser(), "vera", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_without_users_the_page_says_how_to_add_the_first(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """Whoever starts Botwatch by hand is told the command."""
    dashboard = RestrictedDashboard(redis, (performance, health), tmp_path)
    assert "There is no user yet" not in dashboard.browser().get("/login").text
    with health.write() as connection:
        connection.exec_driver_sql("DELETE FROM users")
    assert "botwatch user add NAME --role admin" in dashboard.browser().get("/login").text


def test_with_totp_a_code_is_asked_for(dashboard: RestrictedDashboard) -> None:
    """The password alone gives no session; a code does, once, and so does a recovery code."""
    secret = dashboard.users.new_totp("vera").secret
    totp = pyotp.TOTP(secret)
    codes = dashboard.users.enable_totp("vera", secret, totp.at(dashboard.now), ROOT, dashboard.now)
    dashboard.wait(minutes=1)
    client = dashboard.browser()
    step = sign_in(client, "vera")
    assert step.status_code == 200
    assert "Enter the code" in step.text
    assert "Set-Cookie" not in step.headers
    [token] = re.findall(r'name="token" value="([^"]+)"', step.text)

    def send(code: str, given: str = token) -> int:
        return client.post("/login", data={"token": given, "code": code}, headers=ORIGIN).status_code

    assert send("000000") == 401
    assert send(totp.at(dashboard.now), "forged." + token) == 400
    assert client.get(API).status_code == 401
    assert send(totp.at(dashboard.now)) == 303
    assert client.get(API).status_code == 200
    client.post("/logout", headers=ORIGIN)
    assert send(totp.at(dashboard.now)) == 401
    assert send(codes[0]) == 303
    client.post("/logout", headers=ORIGIN)
    assert send(codes[0]) == 401


def test_sessions_end_when_idle_disabled_or_after_a_new_password(dashboard: RestrictedDashboard) -> None:
    """Each at once; a session in use goes on."""
    client = dashboard.browser("vera")
    for _ in range(3):
        dashboard.wait(hours=11)
        assert client.get(API).status_code == 200
    dashboard.wait(hours=12)
    assert client.get(API).status_code == 401
    client = dashboard.browser("vera")
    dashboard.users.set_password("vera", OTHER_PASSWORD, ROOT, dashboard.now)
    assert client.get(API).status_code == 401
    assert sign_in(client, "vera").status_code == 401
    assert sign_in(client, "vera", OTHER_PASSWORD).status_code == 303
    dashboard.users.set_disabled("vera", ROOT, dashboard.now, disabled=True)
    assert client.get(API).status_code == 401
    assert client.get("/").headers["Location"] == "/login?next=/"


def test_where_access_is_open_nobody_signs_in(client: FlaskClient) -> None:
    """The login leads to the page, which has no user and says that access is open."""
    answer = client.get("/login")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert 'data-user=""' in client.get("/").text
    assert client.get("/api/monitoring/summary").get_json()["access"]["mode"] == "open"
    assert client.get("/account").headers["Location"] == "/"

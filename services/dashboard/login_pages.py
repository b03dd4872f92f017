"""The pages to sign in and out: name and password, then a code where the user has TOTP. No script needed."""

from http import HTTPStatus
from urllib.parse import urlsplit

from flask import Blueprint, Response, g, make_response, redirect, render_template, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from prometheus_client import Counter

from services.dashboard.accounts import Accounts
from services.dashboard.guard import current_session
from shared.access import sessions
from shared.access.login import MAX_NAME, Client, LoginError, ThrottledError, WrongCredentialsError
from shared.access.passwords import LoginBusyError
from shared.access.users import normalize_name
from shared.schema.faults import InvalidError

CODE_WITHIN_S = 300
"""How long the page that asks for the code is valid."""
BUSY_RETRY_S = 3
MAX_PATH = 2000
AGAIN = "again"
"""In the address of the login once its page has asked again."""

LOGINS = Counter("botwatch_logins", "Logins by outcome: ok, wrong, throttled, busy.", ["outcome"])


def create_login_pages(accounts: Accounts, secret: bytes) -> Blueprint:
    """Return the routes `/login` and `/logout`; `secret` signs what the page of the code sends back."""
    blueprint = Blueprint("login", __name__)
    pages = _LoginPages(accounts, URLSafeTimedSerializer(secret, salt="botwatch login code"))
    blueprint.get("/login")(pages.show)
    blueprint.post("/login")(pages.check)
    blueprint.post("/logout")(pages.leave)
    return blueprint


class _LoginPages:
    """The routes' functions."""

    def __init__(self, accounts: Accounts, codes: URLSafeTimedSerializer) -> None:
        self._accounts = accounts
        self._codes = codes

    def show(self) -> Response:
        target = local_path(request.args.get("next"))
        if g.identity.allows("read"):
            return _redirect(target)
        return _login_page(self._accounts, again=_comes_from_another_site(), target=target)

    def check(self) -> Response:
        target, name = local_path(request.args.get("next")), request.form.get("name", "")
        if "token" in request.form:
            return self._check_code(request.form["token"], target)
        password, now = request.form.get("password", ""), self._accounts.clock()
        try:
            user = self._accounts.logins.check_password(name, password, this_client(), now)
        except (LoginError, LoginBusyError) as refused:
            return _refusal(refused, self._accounts, name)
        if user.totp:
            return _code_page(str(self._codes.dumps(user.name)))
        return _sign_in(self._accounts, user.name, target)

    def _check_code(self, token: str, target: str) -> Response:
        accounts = self._accounts
        try:
            name = self._codes.loads(token, max_age=CODE_WITHIN_S)
        except BadSignature:
            text = "The login took too long. Sign in again."
            return _login_page(accounts, HTTPStatus.BAD_REQUEST, fault=text)
        try:
            accounts.logins.check_code(name, request.form.get("code", ""), this_client(), accounts.clock())
        except InvalidError as unreadable:
            return _code_page(token, HTTPStatus.UNAUTHORIZED, fault=unreadable.faults[0].message)
        except WrongCredentialsError:
            LOGINS.labels("wrong").inc()
            text = "Wrong code, or it was used already. Wait for the next one."
            return _code_page(token, HTTPStatus.UNAUTHORIZED, fault=text)
        except LoginError as refused:
            return _refusal(refused, accounts, name)
        return _sign_in(accounts, name, target)

    def leave(self) -> Response:
        if session := current_session():
            self._accounts.logins.end_session(session, this_client(), self._accounts.clock())
        response = _redirect("/" if self._accounts.is_open else "/login")
        name = sessions.cookie_name(secure=request.is_secure)
        response.delete_cookie(name, secure=request.is_secure, httponly=True, samesite="Strict")
        return response


def _comes_from_another_site() -> bool:
    """Return whether a link of another site led here, so that the browser kept the session to itself.

    The page then asks again, once: that request is its own, and has the cookie (SameSite=Strict).
    """
    is_link = request.headers.get("Sec-Fetch-Site") == "cross-site"
    is_page = request.headers.get("Sec-Fetch-Dest") == "document"
    return is_link and is_page and AGAIN not in request.args


def this_client() -> Client:
    """Return where the request comes from."""
    return Client(request.remote_addr or "", request.headers.get("User-Agent", ""))


def local_path(wanted: str | None) -> str:
    """Return the path to go to after the login; `/` for what is no path of this server.

    Browsers take two slashes, a backslash or a control character as the way to another host.
    """
    path = wanted or "/"
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and len(path) <= MAX_PATH
    if not is_local or not path.isprintable() or "\\" in path or urlsplit(path).netloc:
        return "/"
    return path


def set_session_cookie(response: Response, session_id: str) -> None:
    """Give the browser its session: for this host only, hidden from scripts and from other sites."""
    response.set_cookie(
        sessions.cookie_name(secure=request.is_secure),
        session_id,
        max_age=sessions.LIFETIME,
        secure=request.is_secure,
        httponly=True,
        samesite="Strict",
    )


def _sign_in(accounts: Accounts, name: str, target: str) -> Response:
    """Start a session, always with a new ID; the browser's session of before ends."""
    now = accounts.clock()
    if session := current_session():
        accounts.logins.end_session(session, this_client(), now)
    response = _redirect(target)
    set_session_cookie(response, accounts.logins.start_session(name, this_client(), now))
    LOGINS.labels("ok").inc()
    return response


def _redirect(path: str) -> Response:
    return make_response(redirect(request.script_root + path, HTTPStatus.SEE_OTHER))


def _refusal(refused: LoginError | LoginBusyError, accounts: Accounts, name: str) -> Response:
    if isinstance(refused, WrongCredentialsError):
        LOGINS.labels("wrong").inc()
        return _login_page(accounts, HTTPStatus.UNAUTHORIZED, name=name, fault="Wrong name or password.")
    if isinstance(refused, ThrottledError):
        outcome, status, wait_s = "throttled", HTTPStatus.TOO_MANY_REQUESTS, refused.retry_after_s
    else:
        outcome, status, wait_s = "busy", HTTPStatus.SERVICE_UNAVAILABLE, BUSY_RETRY_S
    LOGINS.labels(outcome).inc()
    text = f"{refused}."
    response = _login_page(accounts, status, name=name, fault=text[0].upper() + text[1:])
    response.headers["Retry-After"] = str(wait_s)
    return response


def _login_page(
    accounts: Accounts,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    name: str = "",
    fault: str = "",
    again: bool = False,
    target: str = "/",
) -> Response:
    known = {
        "name": normalize_name(name)[:MAX_NAME],
        "fault": fault,
        "has_users": bool(accounts.users.list_all(accounts.clock())),
        "again": again,
        "target": request.script_root + target,
    }
    return form_page("login.html", "Sign in", status, **known)


def _code_page(token: str, status: HTTPStatus = HTTPStatus.OK, *, fault: str = "") -> Response:
    return form_page("login.html", "Enter the code", status, token=token, fault=fault)


def form_page(template: str, title: str, status: HTTPStatus = HTTPStatus.OK, **known: object) -> Response:
    """Return a page with forms that send where they come from."""
    response = make_response(render_template(template, title=title, **known), status)
    # Without a referrer a form's Origin would be `null`, which is refused.
    response.headers["Referrer-Policy"] = "same-origin"
    return response

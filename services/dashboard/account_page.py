"""The page of one's own account: password and two-factor login. Each change asks for the password again."""

from collections.abc import Callable
from http import HTTPStatus

import segno
from flask import Blueprint, Response, g, make_response, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from markupsafe import Markup

from services.dashboard.accounts import Accounts, this_actor
from services.dashboard.guard import current_session
from services.dashboard.login_pages import form_page, set_session_cookie, this_client
from shared.access.login import LoginError, ThrottledError
from shared.access.passwords import MIN_LENGTH, LoginBusyError
from shared.access.users import Enrolment, User
from shared.runtime.web.app import json_error
from shared.schema.faults import InvalidError

ENROL_WITHIN_S = 900
"""How long a shown secret can be confirmed."""
QR_SCALE = 4


def create_account_page(accounts: Accounts, secret: bytes) -> Blueprint:
    """Return the routes below `/account`; `secret` signs a TOTP secret until it is confirmed."""
    blueprint = Blueprint("account", __name__, url_prefix="/account")
    pages = _AccountPages(accounts, URLSafeTimedSerializer(secret, salt="botwatch totp enrolment"))
    blueprint.get("")(pages.show)
    blueprint.post("/password")(pages.password)
    blueprint.post("/totp")(pages.enable_totp)
    blueprint.post("/totp/remove")(pages.disable_totp)
    return blueprint


class _AccountPages:
    """The routes' functions."""

    def __init__(self, accounts: Accounts, secrets: URLSafeTimedSerializer) -> None:
        self._accounts = accounts
        self._secrets = secrets

    def show(self) -> Response:
        if current_session() is None:  # a proxy's user, or open access: there is nothing to change here
            return make_response(redirect(url_for("page.index"), HTTPStatus.SEE_OTHER))
        return self._page()

    def password(self) -> Response:
        return self._change(self._set_password)

    def enable_totp(self) -> Response:
        return self._change(self._enable_totp)

    def disable_totp(self) -> Response:
        return self._change(self._disable_totp)

    def _change(self, apply: Callable[[User], Response]) -> Response:
        """Apply a change if the password is right; else show the page with what is wrong."""
        if current_session() is None:
            return json_error(HTTPStatus.FORBIDDEN, "only a user who signed in here has an account here")
        password, accounts = request.form.get("current", ""), self._accounts
        try:
            user = accounts.logins.check_password(g.identity.name, password, this_client(), accounts.clock())
            return apply(user)
        except ThrottledError as refused:
            response = self._page(HTTPStatus.TOO_MANY_REQUESTS, fault=f"{refused}")
            response.headers["Retry-After"] = str(refused.retry_after_s)
            return response
        except LoginError:
            return self._page(HTTPStatus.FORBIDDEN, fault="The current password is wrong.")
        except LoginBusyError as busy:
            return self._page(HTTPStatus.SERVICE_UNAVAILABLE, fault=f"{busy}")
        except InvalidError as wrong:
            fault = "; ".join(f"{fault.path}: {fault.message}" for fault in wrong.faults)
            return self._page(HTTPStatus.BAD_REQUEST, fault=fault)

    def _set_password(self, user: User) -> Response:
        now = self._accounts.clock()
        self._accounts.users.set_password(user.name, request.form.get("new", ""), this_actor(), now)
        response = self._page(done="Password changed. All other sessions were signed out.")
        set_session_cookie(response, self._accounts.logins.start_session(user.name, this_client(), now))
        return response

    def _enable_totp(self, user: User) -> Response:
        try:
            name, secret = self._secrets.loads(request.form.get("token", ""), max_age=ENROL_WITHIN_S)
        except BadSignature:
            name, secret = "", ""
        if name != user.name:
            return self._page(HTTPStatus.BAD_REQUEST, fault="The QR code has expired; scan the new one.")
        codes = self._accounts.users.enable_totp(
            user.name, secret, request.form.get("code", ""), this_actor(), self._accounts.clock()
        )
        return self._page(done="Two-factor login is on.", codes=codes)

    def _disable_totp(self, user: User) -> Response:
        self._accounts.users.disable_totp(user.name, this_actor(), self._accounts.clock())
        return self._page(done="Two-factor login is off.")

    def _page(self, status: HTTPStatus = HTTPStatus.OK, **known: object) -> Response:
        user = self._accounts.users.read(g.identity.name)
        enrolment = None if user.totp else self._accounts.users.new_totp(user.name)
        token = enrolment and self._secrets.dumps([user.name, enrolment.secret])
        qr = _qr_code(enrolment)
        fixed = {"user": user, "min_length": MIN_LENGTH, "enrolment": enrolment, "qr": qr, "token": token}
        return form_page("account.html", "Account", status, **fixed, **known)


def _qr_code(enrolment: Enrolment | None) -> Markup:
    """Return the QR code of a secret as SVG."""
    if enrolment is None:
        return Markup()
    svg = segno.make(enrolment.uri, error="m").svg_inline(scale=QR_SCALE, dark="#000", light="#fff")
    return Markup(svg)  # noqa: S704 - made of modules alone

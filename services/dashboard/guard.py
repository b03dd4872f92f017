"""The guard of the dashboard: sessions and proxies as ways to sign in, and changes that another site forged.

What a route needs is in `route_scopes.py`; `RequestAccess` of the web parts asks for it.
"""

from http import HTTPStatus

import structlog
from flask import Flask, Response, g, make_response, redirect, request, url_for
from sqlalchemy.exc import OperationalError

from services.dashboard.proxy_users import ProxyUsers
from shared.access import sessions
from shared.access.identity import Identity
from shared.access.refusals import AccessDeniedError, Refusal
from shared.access.sessions import Session
from shared.runtime.clock import Clock
from shared.runtime.web.app import answer_denied
from shared.runtime.web.request_access import RequestAccess
from shared.store.database import Database

log = structlog.get_logger()

PAGES = ("page.", "runbooks.page", "account.show", "documentation.docs")
"""Beginnings of the endpoints of what a browser shows: without an identity it is sent to the login."""
READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Adds sessions and the users of a proxy to the identities of an app, and refuses forged changes."""

    def __init__(self, health: Database, proxy_users: ProxyUsers, clock: Clock) -> None:
        self._health = health
        self._proxy_users = proxy_users
        self._clock = clock

    def install(self, app: Flask, access: RequestAccess) -> None:
        """Check every request of `app` from now on."""
        access.further += [self._find_session, lambda: self._proxy_users.identify(request, self._clock())]
        access.authenticator.hint = ", or a session: sign in at /login"
        app.before_request(lambda: _reject_forged(access))
        app.register_error_handler(AccessDeniedError, _deny)

    def _find_session(self) -> Identity | None:
        session_id = request.cookies.get(sessions.cookie_name(secure=request.is_secure))
        if not session_id:
            return None
        now = self._clock()
        with self._health.read() as connection:
            found = sessions.find_session(connection, session_id, now)
        if found is None:
            return None
        if now - found.last_seen_at >= sessions.TOUCH_INTERVAL:
            self._touch(found)
        g.session = found
        return found.identity

    def _touch(self, session: Session) -> None:
        try:
            with self._health.write() as connection:
                sessions.touch_session(connection, session, self._clock())
        except OperationalError as error:  # reading goes on while the disk is full
            log.warning("use of a session not recorded", error=str(error.orig))


def current_session() -> Session | None:
    """Return the session of the request; None if it has another identity, or none."""
    found: Session | None = g.get("session")
    return found


def _reject_forged(access: RequestAccess) -> None:
    """Refuse a change that another site's page could have made a signed-in browser send.

    Foreign origins were refused before, and every browser sends `Origin` with a change.
    """
    is_proven = "Origin" in request.headers or request.headers.get("Sec-Fetch-Site") == "same-origin"
    if request.method in READING or is_proven or g.identity.kind not in ("user", "proxy"):
        return
    text = "a change by a signed-in browser needs the header Origin; programs use an API token"
    refusal = Refusal(HTTPStatus.FORBIDDEN, text, "origin", {})
    raise access.authenticator.denied(refusal, request.remote_addr or "", g.identity.name)


def _deny(raised: AccessDeniedError) -> Response:
    is_page = (request.endpoint or "").startswith(PAGES)
    if raised.refusal.status != HTTPStatus.UNAUTHORIZED or not is_page:
        return answer_denied(raised)
    path = request.full_path if request.query_string else request.path
    return make_response(redirect(url_for("login.show", next=path), HTTPStatus.SEE_OTHER))

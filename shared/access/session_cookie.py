"""The session cookie: its name, and the digest of the session ID in it. Pure."""

import hashlib
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie

IDLE = timedelta(hours=12)
"""A session ends after this time without a request."""
COOKIE = "botwatch_session"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""Over HTTPS: browsers take it from this very host only, and send it back to this very host only."""


def session_id_in(cookie_header: str | None) -> str | None:
    """Return the session ID in a header Cookie, None without one."""
    try:
        cookies = SimpleCookie(cookie_header or "")
    except CookieError:
        return None
    found = cookies.get(SECURE_COOKIE) or cookies.get(COOKIE)
    return found.value if found else None


def hash_id(session_id: str) -> str:
    """Return what the database has of a session ID."""
    return hashlib.sha256(session_id.encode(errors="replace")).hexdigest()

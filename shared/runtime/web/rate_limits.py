"""Rate limits of an API, shown in the headers RateLimit and RateLimit-Policy.

A limit keeps a script that runs away from slowing down everybody else; it is no defence against an attacker,
whom the limits of connections and of failed logins stop. Each worker counts for itself.

Source: draft-ietf-httpapi-ratelimit-headers-10; 429 and Retry-After: RFC 6585 and RFC 9110.
"""

import math
import time
from http import HTTPStatus

from flask import Flask, Response, g, request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from shared.runtime.web.app import json_error

WINDOW_S = 60
POLICY = "default"


class RateLimits:
    """Counts the requests of each sender: a token, or an address where access is open.

    The page itself is never limited: requests with a session, and where access is open those that the browser
    marks as of the same origin.
    """

    def __init__(self, per_minute: int, prefixes: tuple[str, ...] = ("/api/",)) -> None:
        """`per_minute` is the limit for one sender of requests to paths with these `prefixes`."""
        self._per_minute = per_minute
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._prefixes = prefixes

    def install(self, app: Flask) -> None:
        """Limit the requests of `app` from now on; their identity must be known by then."""
        app.before_request(self._count)
        app.after_request(self._tell)

    def _count(self) -> Response | None:
        if not request.path.startswith(self._prefixes) or _is_of_page():
            return None
        sender = g.identity.name if g.identity.kind == "token" else request.remote_addr or ""
        is_allowed = self._limiter.hit(self._item, sender)
        reset, remaining = self._limiter.get_window_stats(self._item, sender)
        wait = max(1, math.ceil(reset - time.time()))
        g.rate_limit = f'"{POLICY}";r={remaining};t={wait}'
        if is_allowed:
            return None
        text = f"more than {self._per_minute} requests in a minute from {sender}; retry in {wait} s"
        response = json_error(HTTPStatus.TOO_MANY_REQUESTS, text)
        response.headers["Retry-After"] = str(wait)
        return response

    def _tell(self, response: Response) -> Response:
        if found := g.get("rate_limit"):
            response.headers["RateLimit-Policy"] = f'"{POLICY}";q={self._per_minute};w={WINDOW_S}'
            response.headers["RateLimit"] = found
        return response


def _is_of_page() -> bool:
    return g.identity.kind in ("user", "proxy") or request.headers.get("Sec-Fetch-Site") == "same-origin"

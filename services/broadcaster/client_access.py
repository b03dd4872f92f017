"""Who a WebSocket client is: by a bearer token, the page's session cookie, or a ticket of the dashboard."""

from collections.abc import Sequence
from typing import cast
from urllib.parse import parse_qs, urlsplit

from redis.asyncio import Redis
from websockets.http11 import Request

from shared.access.authenticator import Authenticator
from shared.access.bearer_tokens import token_from_header
from shared.access.identity import OPEN, Identity
from shared.access.refusals import invalid_token
from shared.access.tickets import stored_at, ticket_identity
from shared.runtime import clock

REVOKED = 4401
"""The close code of a client whose token or session is no longer valid."""


class ClientAccess:
    """Identifies clients, and remembers them until they disconnect."""

    def __init__(self, authenticator: Authenticator, redis: Redis) -> None:
        self.authenticator = authenticator
        authenticator.hint = ", or a ticket of POST /api/monitoring/websocket-ticket as `?ticket=`"
        self._redis = redis

    async def identify(self, request: Request, address: str) -> Identity:
        """Return the identity of a client that wants to connect.

        Raises AccessDeniedError, and RedisError if a ticket cannot be looked up.
        """
        if self.authenticator.is_open:
            return OPEN
        now = clock.now()
        tickets = parse_qs(urlsplit(request.path).query).get("ticket")
        header = authorization(request)
        has_token = token_from_header(header) is not None
        if not has_token and (user := self.authenticator.session_identity(_joined(request, "Cookie"))):
            self.authenticator.require(user, "read", address)
            return user
        if not tickets or has_token:
            return self.authenticator.authenticate(header, address, "read", now)
        stored = cast("bytes | None", await self._redis.getdel(stored_at(tickets[0])))
        identity = ticket_identity(stored)
        if identity is None or not self.authenticator.is_valid(identity, now):
            refusal = invalid_token("the ticket is unknown, was used or has expired", "unknown")
            raise self.authenticator.denied(refusal, address)
        self.authenticator.require(identity, "read", address)
        return identity

    def authenticate(self, request: Request, address: str) -> None:
        """Check a request for /metrics. Raises AccessDeniedError."""
        self.authenticator.authenticate(authorization(request), address, "read", clock.now())

    def may_read(self, request: Request, address: str) -> bool:
        """Return whether a request for /health may see details."""
        return self.authenticator.may_read(authorization(request), address, clock.now())

    def revoked(self, identities: Sequence[Identity]) -> set[Identity]:
        """Return the identities that are no longer valid."""
        now = clock.now()
        return {one for one in set(identities) if not self.authenticator.is_valid(one, now)}


def authorization(request: Request) -> str | None:
    """Return the header Authorization; a repeated one is joined, which is no token."""
    return _joined(request, "Authorization")


def _joined(request: Request, name: str) -> str | None:
    return ", ".join(request.headers.get_all(name)) or None

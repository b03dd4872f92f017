"""Access of requests to a web part: who sends one, and whether the route allows it."""

from collections.abc import Callable, Mapping

from flask import g, request

from shared.access.authenticator import Authenticator
from shared.access.bearer_tokens import token_from_header
from shared.access.identity import OPEN, ForbiddenError, Identity, Scope
from shared.access.refusals import AccessDeniedError, forbidden, missing_token
from shared.runtime import clock

ANONYMOUS = Identity("anonymous", "open", frozenset())
"""The identity on routes that everybody may use."""
UNLISTED_SCOPE: Scope = "admin"
"""What a route needs that is not in the table."""
UNKNOWN_SCOPE: Scope = "read"
"""What a request needs for which there is no route, to learn that."""


class RequestAccess:
    """Sets `flask.g.identity` for every request, and refuses what that identity may not do.

    `scopes` maps `METHOD /rule` to the scope that the route needs, None if everybody may use it; HEAD and
    OPTIONS need that of GET.
    """

    def __init__(self, authenticator: Authenticator, scopes: Mapping[str, Scope | None]) -> None:
        self.authenticator = authenticator
        self.scopes = dict(scopes)
        self.hints: dict[Scope | None, str] = {}
        """Further tokens that are accepted for a scope, for the message about a missing one."""
        self.further: list[Callable[[], Identity | None]] = []
        """Further ways to sign in, such as a session: each returns the identity of the current request."""

    def check(self) -> None:
        """Identify the sender of the current request. Raises AccessDeniedError."""
        scope = self._scope()
        if self.authenticator.is_open:
            g.identity = OPEN
            return
        g.identity = self.identify(scope)

    def identify(self, scope: Scope | None) -> Identity:
        """Return who sends the current request, which needs `scope`. Raises AccessDeniedError."""
        address = request.remote_addr or ""
        identity = self._sender(scope, address)
        if scope:
            self.authenticator.require(identity, scope, address)
        return identity

    def forbid(self, error: ForbiddenError) -> AccessDeniedError:
        """Return the refusal of what the identity of the current request may not do."""
        return self.authenticator.denied(forbidden(error), request.remote_addr or "", g.identity.name)

    def _scope(self) -> Scope | None:
        if request.url_rule is None:
            return UNKNOWN_SCOPE
        method = "GET" if request.method in ("HEAD", "OPTIONS") else request.method
        return self.scopes.get(f"{method} {request.url_rule.rule}", UNLISTED_SCOPE)

    def _sender(self, scope: Scope | None, address: str) -> Identity:
        for signed_in in self.further:
            if identity := signed_in():
                return identity
        token = token_from_header(request.headers.get("Authorization"))
        if token is None and scope is None:
            return ANONYMOUS
        if token is None:
            hint = self.hints.get(scope, self.authenticator.hint)
            raise self.authenticator.denied(missing_token(scope, hint), address)
        try:
            return self.authenticator.identify(token, address, clock.now())
        except AccessDeniedError:
            if scope is None:
                return ANONYMOUS
            raise

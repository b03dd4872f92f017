"""Refusals: the response to who may not do something, the same on every port.

Source: RFC 6750, section 3 (WWW-Authenticate), and RFC 6585, section 4 (429).

Exception
└── AccessDeniedError    a request is refused; `refusal` is the response
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal, NamedTuple

from shared.access.identity import ForbiddenError, Scope

REALM = 'Bearer realm="Botwatch"'
DenialReason = Literal[
    "missing", "unknown", "mistyped", "expired", "revoked", "scope", "name", "origin", "throttled"
]


class Refusal(NamedTuple):
    """A refused request: status, one sentence why, and the headers of the response."""

    status: HTTPStatus
    message: str
    reason: DenialReason
    headers: Mapping[str, str]


class AccessDeniedError(Exception):
    """A request is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def missing_token(scope: Scope | None, hint: str = "") -> Refusal:
    """Return the refusal of a request without a token; `hint` names further tokens that are accepted."""
    wanted = f" with the scope {scope}" if scope else ""
    message = f"missing token: expected `Authorization: Bearer …` with an API token{wanted}{hint}"
    return Refusal(HTTPStatus.UNAUTHORIZED, message, "missing", {"WWW-Authenticate": REALM})


def invalid_token(message: str, reason: DenialReason) -> Refusal:
    """Return the refusal of a token that is not valid. `message` is ASCII without quotes, for the header."""
    challenge = f'{REALM}, error="invalid_token", error_description="{message}"'
    return Refusal(HTTPStatus.UNAUTHORIZED, message, reason, {"WWW-Authenticate": challenge})


def forbidden(error: ForbiddenError) -> Refusal:
    """Return the refusal of an identity that may not do something."""
    if error.scope is None:
        return Refusal(HTTPStatus.FORBIDDEN, str(error), error.reason, {})
    challenge = f'{REALM}, error="insufficient_scope", scope="{error.scope}"'
    return Refusal(HTTPStatus.FORBIDDEN, str(error), error.reason, {"WWW-Authenticate": challenge})


def throttled(refusal: Refusal, limit: str, retry_after_s: int) -> Refusal:
    """Return the refusal of one who sent too many bad tokens; the last one was refused with `refusal`."""
    message = f"too many requests with bad tokens (limit {limit}), the last one: {refusal.message}"
    headers = {"Retry-After": str(retry_after_s)}
    return Refusal(HTTPStatus.TOO_MANY_REQUESTS, message, "throttled", headers)

"""Errors as problem details (RFC 9457)."""

from http import HTTPStatus

import msgspec

from shared.schema.faults import Fault

PROBLEM = "application/problem+json"


class Problem(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Problem details (RFC 9457); an error may have further members that say more."""

    type: str
    """`about:blank`: the status says it all (RFC 9457, 4.2.1)."""
    title: str
    """The name of the status."""
    status: int
    detail: str
    """What went wrong, and what to do."""
    error: str
    """The same as `detail`."""
    faults: list[Fault] | msgspec.UnsetType = msgspec.UNSET
    """Each fault of the request."""


def problem_body(status: int, message: str, **further: object) -> bytes:
    """Return the problem details of an error as JSON."""
    return msgspec.json.encode(
        {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "detail": message,
            "error": message,
            **further,
        }
    )

"""Identities: who asks, and what they may do. Pure.

Permission is checked by scope everywhere; a role is a name for scopes.

Exception
└── ForbiddenError    the identity may not do that; `reason` and `scope` say why
"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from shared.schema.patterns import glob_matches

Scope = Literal["ingest", "read", "operate", "admin", "calendar"]
Kind = Literal["open", "user", "token", "proxy"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
SCOPE_TEXTS: Mapping[Scope, str] = {
    "ingest": "send records and alerts",
    "read": "see the page, the API, the WebSocket and /metrics",
    "operate": "acknowledge, silence, retire bots, plan maintenance, make reports",
    "admin": "manage configuration, users, tokens and backups, or delete bots",
    "calendar": "subscribe to the calendars of shifts and maintenance windows",
}
"""What each scope allows, after `may`."""
ROLES: Mapping[str, frozenset[Scope]] = {
    "viewer": frozenset(("read",)),
    "operator": frozenset(("read", "operate")),
    "admin": frozenset(("read", "operate", "admin")),
}
ANY_NAME = "*"


class ForbiddenError(Exception):
    """An identity may not do something; the message is one sentence for the response."""

    def __init__(self, message: str, reason: Literal["scope", "name"], scope: Scope | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.scope = scope


class Identity(msgspec.Struct, frozen=True):
    """Who asks, and what they may do."""

    name: str
    """`alice`, `token:ci`, or `open` where access is open."""
    kind: Kind
    scopes: frozenset[Scope]
    bots: tuple[str, ...] = ()
    """Globs for names of bots whose records it may send; `*` is all."""
    act_for_others: bool = False
    """Whether it may name somebody else as the one who acts (`by`)."""
    hosts: tuple[str, ...] = ()
    """Globs for names of hosts whose `health` and `check` records it may send, as collectors do."""
    credential: str = ""
    """What it signed in with, to find out later whether that is still valid: `token:<id>`, `session:<id>`."""

    def allows(self, scope: Scope) -> bool:
        """Return whether the identity has a scope; who may read everything may read calendars."""
        return scope in self.scopes or (scope == "calendar" and "read" in self.scopes)

    def may_send_bot(self, bot: str) -> bool:
        """Return whether it may send records of a bot."""
        return ANY_NAME in self.bots or any(glob_matches(pattern, bot) for pattern in self.bots)

    def may_send_alert(self, bot: str) -> bool:
        """Return whether it may send an alert about a bot ("": about none).

        One that may send no records at all, but has the scope, is for alerts: Prometheus' own token.
        """
        return self.may_send_bot(bot) or not (self.bots or self.hosts)

    def may_send_host(self, host: str) -> bool:
        """Return whether it may send records of a host."""
        return ANY_NAME in self.hosts or any(glob_matches(pattern, host) for pattern in self.hosts)


OPEN = Identity("open", "open", frozenset(SCOPES), (ANY_NAME,), act_for_others=True, hosts=(ANY_NAME,))
"""Everyone, where access is open."""


def token_identity(row: Mapping[Any, Any]) -> Identity:
    """Return the identity of a row of `api_tokens`."""
    return Identity(
        f"token:{row['name']}",
        "token",
        frozenset(row["scopes"].split()),
        tuple(msgspec.json.decode(row["bots"], type=list[str])),
        act_for_others=bool(row["actForOthers"]),
        hosts=tuple(msgspec.json.decode(row["hosts"], type=list[str])),
        credential=f"token:{row['id']}",
    )


def require_scope(identity: Identity, scope: Scope) -> None:
    """Raise ForbiddenError unless `identity` has `scope`."""
    if not identity.allows(scope):
        message = f"missing scope {scope}: {identity.name} may not {SCOPE_TEXTS[scope]}"
        raise ForbiddenError(message, "scope", scope)


def resolve_actor(identity: Identity, by: str | None) -> str | None:
    """Return the name of the one who acts: the signed-in name, or `by` where the identity may name others.

    Raises ForbiddenError if `by` names somebody else. Where access is open, and for identities that act for
    others, `by` is taken as given; None if there is none.
    """
    given = (by or "").strip()
    if identity.kind == "open":
        return given or None
    own = {identity.name, identity.name.removeprefix("token:")}
    if not given or given in own:
        return identity.name
    if identity.act_for_others:
        return given
    raise ForbiddenError(
        f"by: expected {identity.name!r} or nothing, got {given[:64]!r}: "
        f"{identity.name} may not act for others",
        "name",
    )

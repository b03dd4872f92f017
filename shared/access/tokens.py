"""API tokens in the health database: created, listed, revoked. Only the SHA-256 of a token is stored."""

import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from shared.access.bearer_tokens import digest, new_api_token
from shared.access.identity import ANY_NAME, SCOPES, Scope, token_identity
from shared.schema.faults import Fault, InvalidError
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import api_tokens

MAX_ACTIVE = 1_000
"""Limit of tokens that are neither revoked nor expired."""
MAX_GLOBS = 50
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")
_CALENDAR: Scope = "calendar"
_MAX_USER = 40
"""How much of a user's name is in that of the token for the user's calendars."""
_ROW = api_tokens.c
_MARK_USED = (
    update(api_tokens)
    .where(_ROW.id == bindparam("of"), or_(_ROW.lastUsedAt.is_(None), _ROW.lastUsedAt < bindparam("at")))
    .values(lastUsedAt=bindparam("at"))
)

TokenState = Literal["active", "expired", "revoked"]


class TokenRequest(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A token that is asked for. `ingest` without `bots` and `hosts` allows the records of all bots."""

    name: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{_NAME.pattern}$"})]
    scopes: Annotated[list[Scope], msgspec.Meta(extra_json_schema={"minItems": 1})]
    bots: list[str] = []
    """Globs for names of bots."""
    hosts: list[str] = []
    """Globs for names of hosts whose `health` and `check` records it may send, as collectors do."""
    expires_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    act_for_others: bool = False
    """Whether `by` may name somebody else."""

    def check(self, now: datetime) -> None:
        """Raise InvalidError with every fault."""
        faults = []
        if not _NAME.fullmatch(self.name):
            expected = "expected up to 64 letters, digits, `.`, `_` and `-`"
            faults.append(Fault("$.name", f"{expected}, got {self.name[:64]!r}"))
        if not self.scopes:
            faults.append(Fault("$.scopes", f"expected at least one of {', '.join(SCOPES)}"))
        for field in ("bots", "hosts"):
            globs = getattr(self, field)
            if globs and "ingest" not in self.scopes:
                faults.append(Fault(f"$.{field}", "requires the scope `ingest`"))
            if len(globs) > MAX_GLOBS or not all(globs):
                faults.append(Fault(f"$.{field}", f"expected at most {MAX_GLOBS} names or globs, none empty"))
        if self.expires_at and self.expires_at <= now:
            faults.append(Fault("$.expiresAt", "expected a time in the future"))
        if faults:
            raise InvalidError(faults)


class ApiToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stored token, without its secret."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    bots: tuple[str, ...]
    hosts: tuple[str, ...]
    act_for_others: bool
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None
    """Accurate to a minute."""
    revoked_at: datetime | None
    revoked_by: str | None

    def state_at(self, now: datetime) -> TokenState:
        """Return the state at `now`."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now else "active"

    def audited(self) -> dict[str, Any]:
        """Return what an audit entry has of the token."""
        fields = {"id", "scopes", "bots", "hosts", "actForOthers", "expiresAt"}
        return {name: value for name, value in msgspec.to_builtins(self).items() if name in fields}


class NewToken(NamedTuple):
    """A token that was created, and its secret, which is not stored."""

    token: ApiToken
    secret: str


def create_token(connection: Connection, wanted: TokenRequest, by: str, now: datetime) -> NewToken:
    """Create a token. Raises InvalidError, also if an active token has the name."""
    wanted.check(now)
    active = [token for token in list_tokens(connection) if token.state_at(now) == "active"]
    if any(token.name == wanted.name for token in active):
        fault = f"a token named {wanted.name!r} exists; revoke it or choose another name"
        raise InvalidError([Fault("$.name", fault)])
    if len(active) >= MAX_ACTIVE:
        raise InvalidError([Fault("$", f"{len(active)} tokens are active (limit {MAX_ACTIVE}); revoke some")])
    secret = new_api_token()
    is_for_all = "ingest" in wanted.scopes and not wanted.bots and not wanted.hosts
    token_id = secrets.token_hex(4)
    row = {
        "id": token_id,
        "name": wanted.name,
        "digest": digest(secret).hex(),
        "scopes": " ".join(scope for scope in SCOPES if scope in wanted.scopes),
        "bots": _json([ANY_NAME] if is_for_all else wanted.bots),
        "hosts": _json(wanted.hosts),
        "actForOthers": int(wanted.act_for_others),
        "createdAt": to_store(now),
        "createdBy": by,
        "expiresAt": to_store(wanted.expires_at) if wanted.expires_at else None,
    }
    connection.execute(insert(api_tokens), row)
    token = find_token(connection, token_id)
    if token is None:
        raise RuntimeError("the token was not stored")
    return NewToken(token, secret)


def list_tokens(connection: Connection) -> list[ApiToken]:
    """Return all tokens, also revoked and expired ones, the oldest first."""
    return [_to_token(row) for row in connection.execute(select(api_tokens).order_by(_ROW.createdAt))]


def find_token(connection: Connection, wanted: str) -> ApiToken | None:
    """Return the token with this ID, else the newest with this name; one that is not revoked comes first."""
    statement = (
        select(api_tokens)
        .where(or_(_ROW.id == wanted, _ROW.name == wanted))
        .order_by(_ROW.id != wanted, _ROW.revokedAt.is_not(None), _ROW.createdAt.desc())
    )
    row = connection.execute(statement).first()
    return _to_token(row) if row else None


def revoke_token(connection: Connection, wanted: str, by: str, now: datetime) -> ApiToken | None:
    """Revoke the token with this ID or name, and return it; None if there is none.

    One that is already revoked stays unchanged.
    """
    token = find_token(connection, wanted)
    if token is None or token.revoked_at:
        return token
    change = update(api_tokens).where(_ROW.id == token.id).values(revokedAt=to_store(now), revokedBy=by)
    connection.execute(change)
    return find_token(connection, token.id)


def calendar_token_name(user: str) -> str:
    """Return the name of the token in the addresses of the calendars of `user`."""
    name = _NOT_IN_NAMES.sub("-", user)[:_MAX_USER]
    if name != user:  # others may be shortened to the same
        name = f"{name}-{digest(user).hex()[:8]}"
    return f"{_CALENDAR}-{name}"


def find_calendar_token(connection: Connection, user: str) -> ApiToken | None:
    """Return the active token in the addresses of the calendars of `user`; None without one."""
    token = find_token(connection, calendar_token_name(user))
    is_own = token and token.created_by == user and token.scopes == (_CALENDAR,) and not token.revoked_at
    return token if is_own else None


def mark_used(connection: Connection, used: Mapping[str, datetime]) -> None:
    """Store when tokens (by ID) were last used."""
    rows = [{"of": token, "at": to_store(at)} for token, at in used.items()]
    if rows:
        connection.execute(_MARK_USED, rows)


def count_active(connection: Connection, now: datetime) -> int:
    """Return how many tokens are active at `now`."""
    condition = (
        _ROW.revokedAt.is_(None),
        or_(_ROW.expiresAt.is_(None), _ROW.expiresAt > to_store(now)),
    )
    return connection.execute(select(func.count()).select_from(api_tokens).where(*condition)).scalar_one()


def _json(values: Iterable[str]) -> str:
    return msgspec.json.encode(list(values)).decode()


def _to_token(row: Row[Any]) -> ApiToken:
    values = row._mapping  # noqa: SLF001 - SQLAlchemy's public face
    identity = token_identity(values)
    return ApiToken(
        id=values["id"],
        name=values["name"],
        scopes=tuple(scope for scope in SCOPES if scope in identity.scopes),
        bots=identity.bots,
        hosts=identity.hosts,
        act_for_others=identity.act_for_others,
        created_at=from_store(values["createdAt"]),
        created_by=values["createdBy"],
        expires_at=_moment(values["expiresAt"]),
        last_used_at=_moment(values["lastUsedAt"]),
        revoked_at=_moment(values["revokedAt"]),
        revoked_by=values["revokedBy"],
    )


def _moment(text: str | None) -> datetime | None:
    return from_store(text) if text else None

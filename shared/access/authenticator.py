"""Authenticator: finds out who sends a request, and refuses what its identity may not do.

Tokens are looked up by their SHA-256 in memory. A thread reads them from the health database once a second,
so that a revoked token is refused within two seconds; a request never waits for it. It uses the standard
library's sqlite3: ingestion, broadcaster and collector have no SQLAlchemy.
"""

import sqlite3
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from prometheus_client import Counter

from shared.access.access_events import AccessEvents
from shared.access.bearer_tokens import digest, is_mistyped, token_from_header
from shared.access.identity import (
    OPEN,
    ROLES,
    ForbiddenError,
    Identity,
    Scope,
    require_scope,
    token_identity,
)
from shared.access.internal_tokens import parse_internal_tokens
from shared.access.refusals import (
    AccessDeniedError,
    Refusal,
    forbidden,
    invalid_token,
    missing_token,
    throttled,
)
from shared.access.session_cookie import IDLE, hash_id, session_id_in
from shared.schema.timestamps import from_store, to_store, to_wire
from shared.store.fork_lock import sqlite_in_use

log = structlog.get_logger()

REFRESH_INTERVAL_S = 1.0
FLUSH_INTERVAL_S = 10.0
MAX_TOKENS = 2_000
"""Limit of tokens in memory; after the active ones, those that must be refused with the reason."""
MAX_SESSIONS = 5_000
"""Limit of open sessions in memory, those that were used last."""
MAX_BAD_TOKENS = 20
"""Limit of bad tokens per address and minute; a valid token is accepted regardless."""
LOCK_TIMEOUT_S = 0.5
_SELECT = """
    SELECT * FROM api_tokens
    ORDER BY revokedAt IS NOT NULL, coalesce(expiresAt <= :now, 0), createdAt DESC LIMIT :most
"""
_SELECT_SESSIONS = """
    SELECT idHash, name, role FROM sessions JOIN users ON sessions.user = users.name
    WHERE endedAt IS NULL AND disabled = 0 AND expiresAt > :now AND lastSeenAt > :idle
    ORDER BY lastSeenAt DESC LIMIT :most
"""

DENIED = Counter("botwatch_access_denied", "Requests that were refused.", ["part", "reason"])


class StoredToken(NamedTuple):
    """A token as it is in the database."""

    identity: Identity
    expires_at: datetime | None
    revoked_at: datetime | None

    def refusal(self, now: datetime) -> Refusal | None:
        """Return why the token is refused at `now`, None if it is valid."""
        name = self.identity.name
        if self.revoked_at:
            return invalid_token(f"{name} was revoked at {to_wire(self.revoked_at)}", "revoked")
        if self.expires_at and self.expires_at <= now:
            return invalid_token(f"{name} expired at {to_wire(self.expires_at)}", "expired")
        return None


class Authenticator:
    """The identities of one part's callers.

    `database` is the health database; a part that cannot see it (the collector in compose) accepts internal
    tokens only. While it cannot be read, the tokens that were read last stay valid.
    """

    def __init__(
        self, part: str, *, is_open: bool, internal_tokens: str = "", database: Path | None = None
    ) -> None:
        """Read no database yet. `internal_tokens` is the file of `shared.runtime.credentials`, as text."""
        self.part = part
        self.is_open = is_open
        self.hint = ""
        """Further tokens that a part accepts, for the message about a missing one."""
        self._internal = {
            key: StoredToken(identity, None, None)
            for key, identity in parse_internal_tokens(internal_tokens).items()
        }
        self._database = database
        self._tokens: Mapping[bytes, StoredToken] | None = None
        self._credentials: Mapping[str, StoredToken] = {}
        self._sessions: Mapping[str, Identity] = {}
        self._is_unreadable = False
        self._limit = RateLimitItemPerMinute(MAX_BAD_TOKENS)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self.events = AccessEvents(part)
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start the thread that reads tokens and reports events; after a fork, in each process."""
        threading.Thread(target=self._run, name="access", daemon=True).start()

    def close(self) -> None:
        """End the thread."""
        self._stopping.set()

    def authenticate(
        self, authorization: str | None, address: str, scope: Scope | None, now: datetime
    ) -> Identity:
        """Return the identity of a request that needs `scope`; `address` is the client's.

        Raises AccessDeniedError: 401 without a valid token, 403 without the scope, 429 after too many bad
        tokens.
        """
        if self.is_open:
            return OPEN
        token = token_from_header(authorization)
        if not token:
            raise self.denied(missing_token(scope, self.hint), address)
        identity = self.identify(token, address, now)
        if scope:
            self.require(identity, scope, address)
        return identity

    def may_read(self, authorization: str | None, address: str, now: datetime) -> bool:
        """Return whether a request that is answered anyway may see details."""
        if self.is_open or not token_from_header(authorization):
            return self.is_open
        try:
            self.authenticate(authorization, address, "read", now)
        except AccessDeniedError:
            return False
        return True

    def identify(self, token: str, address: str, now: datetime) -> Identity:
        """Return the identity of a token. Raises AccessDeniedError: 401, or 429."""
        found = self._find(digest(token))
        refusal = found.refusal(now) if found else _unknown(token)
        if refusal is None and found:
            self.events.note_use(found.identity.credential, now)
            return found.identity
        raise self._bad_token(refusal or _unknown(token), address, found.identity.name if found else "")

    def valid_identity(self, token: str | None, now: datetime) -> Identity | None:
        """Return the identity of a valid token; None for any other, which is not counted as refused.

        For those who leave refusals to `identify`. Reads no database.
        """
        found = (self._tokens or {}).get(digest(token)) if token else None
        if found is None or found.refusal(now):
            return None
        self.events.note_use(found.identity.credential, now)
        return found.identity

    def session_identity(self, cookie_header: str | None) -> Identity | None:
        """Return the user of the session in a header Cookie; None without an open one."""
        session_id = session_id_in(cookie_header)
        return self._sessions.get(hash_id(session_id)) if session_id else None

    def require(self, identity: Identity, scope: Scope, address: str) -> None:
        """Raise AccessDeniedError (403) unless `identity` has `scope`."""
        try:
            require_scope(identity, scope)
        except ForbiddenError as error:
            raise self.denied(forbidden(error), address, identity.name) from error

    def denied(self, refusal: Refusal, address: str, name: str = "") -> AccessDeniedError:
        """Count a refusal, keep it for the audit log, and return it as an error to raise."""
        DENIED.labels(self.part, refusal.reason).inc()
        self.events.note_denial(refusal.reason, address, name)
        return AccessDeniedError(refusal)

    def is_valid(self, identity: Identity, now: datetime) -> bool:
        """Return whether the token or session of `identity` is still valid; True for one without."""
        kind, _, key = identity.credential.partition(":")
        if kind == "session":
            return key in self._sessions
        if kind != "token":
            return True
        found = self._credentials.get(identity.credential)
        return found is not None and found.refusal(now) is None

    def refresh(self) -> None:
        """Read the tokens from the database."""
        stored: Mapping[bytes, StoredToken] = {}
        try:
            if self._database and self._database.exists():
                stored, self._sessions = _read_credentials(self._database)
        except sqlite3.Error as error:
            if not self._is_unreadable:
                log.warning("cannot read API tokens; keeping those read before", error=str(error))
            self._is_unreadable = True
            stored = self._tokens or {}
        else:
            self._is_unreadable = False
        self._tokens = {**stored, **self._internal}
        self._credentials = {one.identity.credential: one for one in self._tokens.values()}

    def _find(self, key: bytes) -> StoredToken | None:
        if self._tokens is None:
            self.refresh()
        return (self._tokens or {}).get(key)

    def _bad_token(self, refusal: Refusal, address: str, name: str) -> AccessDeniedError:
        if not self._limiter.hit(self._limit, address):
            retry_at = self._limiter.get_window_stats(self._limit, address).reset_time
            wait_s = max(1, round(retry_at - time.time()))
            refusal = throttled(refusal, f"{MAX_BAD_TOKENS} in a minute", wait_s)
        return self.denied(refusal, address, name)

    def _run(self) -> None:
        flush_at = time.monotonic() + FLUSH_INTERVAL_S
        while not self._stopping.wait(REFRESH_INTERVAL_S):
            self.refresh()
            if time.monotonic() >= flush_at:
                flush_at = time.monotonic() + FLUSH_INTERVAL_S
                self.events.flush()
        self.events.flush()


def _unknown(token: str) -> Refusal:
    if is_mistyped(token):
        return invalid_token("the token is mistyped or cut off: its checksum is wrong", "mistyped")
    return invalid_token("the token is not known", "unknown")


def _read_credentials(path: Path) -> tuple[dict[bytes, StoredToken], dict[str, Identity]]:
    """Return the tokens and the users of open sessions, each by the digest."""
    now = datetime.now(UTC)
    times = {"now": to_store(now), "idle": to_store(now - IDLE), "most": MAX_SESSIONS}
    address = f"file:{quote(str(path))}?mode=ro"
    with sqlite_in_use(), closing(sqlite3.connect(address, uri=True, timeout=LOCK_TIMEOUT_S)) as connection:
        connection.row_factory = sqlite3.Row
        tokens = {
            bytes.fromhex(row["digest"]): StoredToken(
                token_identity(dict(row)), _moment(row["expiresAt"]), _moment(row["revokedAt"])
            )
            for row in connection.execute(_SELECT, times | {"most": MAX_TOKENS})
        }
        sessions = {
            key: Identity(name, "user", ROLES[role], credential=f"session:{key}")
            for key, name, role in connection.execute(_SELECT_SESSIONS, times)
        }
        return tokens, sessions


def _moment(text: str | None) -> datetime | None:
    return from_store(text) if text else None

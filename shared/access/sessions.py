"""Sessions: a random ID in a cookie, of which the database has the SHA-256 only.

A session ends after 12 hours without a request, after 7 days in any case, and at once when it is ended: by a
logout, a new password, or an admin. Every process that opens the health database sees that.
"""

import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select, update

from shared.access.identity import ROLES, Identity
from shared.access.session_cookie import COOKIE, IDLE, SECURE_COOKIE, hash_id
from shared.schema.timestamps import from_store, to_store
from shared.store.tables import sessions, users

LIFETIME = timedelta(days=7)
KEPT = timedelta(days=30)
"""How long a session is kept after its end: its address is known as the user's."""
TOUCH_INTERVAL = timedelta(minutes=1)
"""How often at most a request is recorded."""
MAX_BROWSER = 200
"""Characters of the header User-Agent that are kept."""

_SESSION = sessions.c


class Session(NamedTuple):
    """An open session."""

    id_hash: str
    identity: Identity
    last_seen_at: datetime


def cookie_name(*, secure: bool) -> str:
    """Return the cookie's name over HTTPS or HTTP."""
    return SECURE_COOKIE if secure else COOKIE


def start_session(connection: Connection, user: str, address: str, browser: str, at: datetime) -> str:
    """Start a session and return its ID; sessions that ended long ago are deleted."""
    connection.execute(delete(sessions).where(_SESSION.expiresAt < to_store(at - KEPT)))
    session_id = secrets.token_urlsafe(32)
    values = {
        "idHash": hash_id(session_id),
        "user": user,
        "createdAt": to_store(at),
        "lastSeenAt": to_store(at),
        "expiresAt": to_store(at + LIFETIME),
        "address": address,
        "browser": browser[:MAX_BROWSER],
    }
    connection.execute(insert(sessions).values(values))
    return session_id


def find_session(connection: Connection, session_id: str, at: datetime) -> Session | None:
    """Return the open session of that ID, with the user's role of now; None if it ended or never was."""
    found = connection.execute(
        select(_SESSION.idHash, _SESSION.lastSeenAt, users.c.name, users.c.role)
        .join(users, _SESSION.user == users.c.name)
        .where(
            _SESSION.idHash == hash_id(session_id),
            _SESSION.endedAt.is_(None),
            _SESSION.expiresAt > to_store(at),
            _SESSION.lastSeenAt > to_store(at - IDLE),
            users.c.disabled == 0,
        )
    ).one_or_none()
    if found is None:
        return None
    identity = Identity(found.name, "user", ROLES[found.role], credential=f"session:{found.idHash}")
    return Session(found.idHash, identity, from_store(found.lastSeenAt))


def touch_session(connection: Connection, session: Session, at: datetime) -> None:
    """Record that the session is in use."""
    connection.execute(
        update(sessions).where(_SESSION.idHash == session.id_hash).values(lastSeenAt=to_store(at))
    )


def end_session(connection: Connection, id_hash: str, at: datetime) -> None:
    """End one session."""
    is_open = (_SESSION.idHash == id_hash, _SESSION.endedAt.is_(None))
    connection.execute(update(sessions).where(*is_open).values(endedAt=to_store(at)))


def end_sessions(connection: Connection, user: str, at: datetime, *, but: str | None = None) -> int:
    """End the open sessions of a user, except the one with the hash `but`; return how many."""
    is_open = (_SESSION.user == user, _SESSION.endedAt.is_(None), _SESSION.expiresAt > to_store(at))
    kept = (_SESSION.idHash != but,) if but else ()
    return connection.execute(update(sessions).where(*is_open, *kept).values(endedAt=to_store(at))).rowcount

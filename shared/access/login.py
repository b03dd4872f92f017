"""Logins: name and password, then a code where the user has TOTP; guessing is limited.

An attempt counts before the password is checked, so that parallel ones cannot pass the limit together. Limits
are per name and network, per network, and per name from networks where the user never signed in: guesses from
elsewhere cannot lock out the user. They are in the database: they hold for all workers, and over a restart.
"""

import ipaddress
from datetime import datetime, timedelta
from typing import NamedTuple, NoReturn

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from shared.access import sessions as store
from shared.access.users import User, Users, normalize_name
from shared.schema.timestamps import from_store, to_store
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database
from shared.store.tables import login_attempts, sessions, users

MAX_NAME = 64
"""Characters of a name that are looked at: no user has a longer one."""
_ATTEMPT = login_attempts.c


class Limit(NamedTuple):
    """So many failed attempts within a time."""

    attempts: int
    within: timedelta


PER_NAME_AND_NETWORK = Limit(5, timedelta(minutes=15))
PER_NETWORK = Limit(30, timedelta(minutes=15))
PER_NAME = Limit(50, timedelta(hours=1))
"""From networks where the user has not signed in within the last month."""
KEPT = timedelta(hours=1)


class Client(NamedTuple):
    """Where a login comes from."""

    address: str
    browser: str = ""

    @property
    def network(self) -> str:
        """The IPv4 address, or the IPv6 network of 64 bits that one customer has."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            return self.address
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped:
                return str(address.ipv4_mapped)
            return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
        return str(address)


class LoginError(Exception):
    """A login that is refused."""


class WrongCredentialsError(LoginError):
    """The name, the password or the code is wrong, or the user is disabled: which one is not said."""


class ThrottledError(LoginError):
    """Too many attempts; `retry_after_s` says when the next one is allowed."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many failed logins; retry in {-(-retry_after_s // 60)} min")
        self.retry_after_s = retry_after_s


class Logins:
    """Checks logins and starts sessions."""

    def __init__(self, database: Database, known: Users, audit_key: AuditKeyFile) -> None:
        self._database = database
        self._users = known
        self._audit_key = audit_key

    def check_password(self, name: str, password: str, client: Client, at: datetime) -> User:
        """Return the user whose name and password these are. Raises LoginError, LoginBusyError.

        A user with TOTP must also give a code.
        """
        name = normalize_name(name)[:MAX_NAME]
        attempt = self._begin(name, client, at)
        user = self._users.check_password(name, password)
        if user is None:
            self._fail(name, client, at, "name or password")
        with self._database.write() as connection:
            connection.execute(delete(login_attempts).where(_ATTEMPT.id == attempt))
        return user

    def check_code(self, name: str, code: str, client: Client, at: datetime) -> None:
        """Raise LoginError unless `code` is the user's TOTP code or a recovery code; each counts once."""
        attempt = self._begin(name, client, at)
        if not self._users.use_code(name, code, at):
            self._fail(name, client, at, "code")
        with self._database.write() as connection:
            connection.execute(delete(login_attempts).where(_ATTEMPT.id == attempt))

    def start_session(self, name: str, client: Client, at: datetime) -> str:
        """Start a session of a user who has passed every check, and return its ID."""
        with self._database.write() as connection:
            mine = (_ATTEMPT.name == name, _ATTEMPT.network == client.network)
            connection.execute(delete(login_attempts).where(*mine))
            connection.execute(update(users).where(users.c.name == name).values(lastLoginAt=to_store(at)))
            session_id = store.start_session(connection, name, client.address, client.browser, at)
            self._audit(connection, "user.login", name, client, at)
        return session_id

    def end_session(self, session: store.Session, client: Client, at: datetime) -> None:
        """End a session: its user signs out."""
        with self._database.write() as connection:
            store.end_session(connection, session.id_hash, at)
            self._audit(connection, "user.logout", session.identity.name, client, at)

    def _begin(self, name: str, client: Client, at: datetime) -> int:
        """Record an attempt and return its ID. Raises ThrottledError."""
        with self._database.write() as connection:
            connection.execute(delete(login_attempts).where(_ATTEMPT.timestamp < to_store(at - KEPT)))
            allowed_at = _next_allowed(connection, name, client.network, at)
            if allowed_at is None:
                values = {"timestamp": to_store(at), "name": name, "network": client.network}
                added = insert(login_attempts).values(values).returning(_ATTEMPT.id)
                attempt: int = connection.execute(added).scalar_one()
                return attempt
            self._audit(connection, "user.login", name, client, at, reason="too many attempts")
        raise ThrottledError(max(1, -(-(allowed_at - at) // timedelta(seconds=1))))

    def _fail(self, name: str, client: Client, at: datetime, reason: str) -> NoReturn:
        with self._database.write() as connection:
            self._audit(connection, "user.login", name, client, at, reason=f"wrong {reason}")
        raise WrongCredentialsError(f"wrong {reason}")

    def _audit(
        self,
        connection: Connection,
        action: str,
        name: str,
        client: Client,
        at: datetime,
        *,
        reason: str | None = None,
    ) -> None:
        entry = AuditEntry(
            action=action,
            actor=name,
            address=client.address,
            target=name,
            after={"reason": reason} if reason else None,
            outcome="denied" if reason else "ok",
        )
        append_audit(connection, entry, at, self._audit_key)


def _next_allowed(connection: Connection, name: str, network: str, at: datetime) -> datetime | None:
    """Return when the next attempt is allowed; None for now."""
    limits: list[tuple[Limit, tuple[ColumnElement[bool], ...]]] = [
        (PER_NAME_AND_NETWORK, (_ATTEMPT.name == name, _ATTEMPT.network == network)),
        (PER_NETWORK, (_ATTEMPT.network == network,)),
    ]
    if not _has_signed_in_from(connection, name, network):
        limits.append((PER_NAME, (_ATTEMPT.name == name,)))
    ends = [
        from_store(oldest) + limit.within
        for limit, condition in limits
        if (oldest := _nth_newest(connection, limit.attempts, condition))
    ]
    latest = max(ends, default=at)
    return latest if latest > at else None


def _nth_newest(
    connection: Connection, number: int, condition: tuple[ColumnElement[bool], ...]
) -> str | None:
    """Return the time of the `number`th newest attempt; None where there are fewer."""
    newest = select(_ATTEMPT.timestamp).where(*condition).order_by(_ATTEMPT.timestamp.desc())
    return connection.execute(newest.offset(number - 1).limit(1)).scalar()


def _has_signed_in_from(connection: Connection, name: str, network: str) -> bool:
    known = connection.execute(select(sessions.c.address).where(sessions.c.user == name).distinct()).scalars()
    return any(Client(address).network == network for address in known)

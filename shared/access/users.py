"""Users of the page: who may sign in, with which role. Each change is written to the audit log with it.

UserError    the change is not possible; the message says why
├── UserNotFoundError
└── UserConflictError    the name is taken, or the last admin would be gone
"""

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, get_args

import msgspec
import pyotp
from sqlalchemy import Connection, Row, func, insert, select, update

from shared.access import passwords
from shared.access.sealing import Sealer
from shared.access.sessions import end_sessions
from shared.access.tokens import find_calendar_token, revoke_token
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.timestamps import from_store, to_store
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database
from shared.store.tables import sessions, users

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
RESERVED_NAMES = ("open", "system", "token", "proxy")
"""Names that stand for something else in the audit log."""
RECOVERY_CODES = 10
ISSUER = "Botwatch"
TOTP_STEP = timedelta(seconds=30)

_USER = users.c


class UserError(Exception):
    """A change that is not possible; the message says why."""


class UserNotFoundError(UserError):
    """There is no such user."""


class UserConflictError(UserError):
    """The name is taken, or no admin would be left."""


class User(msgspec.Struct, frozen=True, rename="camel"):
    """A person who may sign in."""

    name: str
    role: Role
    disabled: bool
    totp: bool
    """Whether a login also needs a code."""
    created_at: datetime
    password_changed_at: datetime
    last_login_at: datetime | None = None
    sessions: int = 0
    """How many are open."""


class Actor(NamedTuple):
    """Who changes a user, and from where."""

    name: str
    address: str | None = None


class Enrolment(NamedTuple):
    """A TOTP secret that a user is given."""

    secret: str
    uri: str
    """For the authenticator app, usually as a QR code."""


def normalize_name(name: str) -> str:
    """Return a user's name as it is stored: names do not differ by case."""
    return name.strip().lower()


class Users:
    """The users in the health database. `audit_key` seals the audit log, `sealer` encrypts TOTP secrets."""

    def __init__(self, database: Database, audit_key: AuditKeyFile, sealer: Sealer) -> None:
        self._database = database
        self._audit_key = audit_key
        self._sealer = sealer

    def list_all(self, at: datetime) -> list[User]:
        """Return every user, by name."""
        with self._database.read() as connection:
            opened = open_session_counts(connection, at)
            rows = connection.execute(select(users).order_by(_USER.name))
            return [_user(row, opened.get(row.name, 0)) for row in rows]

    def find(self, name: str) -> User | None:
        """Return a user; None if there is none of that name."""
        with self._database.read() as connection:
            row = connection.execute(select(users).where(_USER.name == name)).one_or_none()
        return _user(row) if row else None

    def read(self, name: str) -> User:
        """Return a user. Raises UserNotFoundError."""
        with self._database.read() as connection:
            return self._read(connection, name)

    def add(self, name: str, role: str, password: str, by: Actor, at: datetime) -> User:
        """Add a user. Raises InvalidError, UserConflictError, LoginBusyError."""
        name = normalize_name(name)
        _validate(name, role)
        passwords.validate_password(password, name)
        values = {
            "name": name,
            "role": role,
            "passwordHash": passwords.hash_password(password),
            "createdAt": to_store(at),
            "passwordChangedAt": to_store(at),
        }
        with self._database.write() as connection:
            if connection.execute(select(_USER.name).where(_USER.name == name)).first():
                raise UserConflictError(f"user {name} exists already; choose another name")
            connection.execute(insert(users).values(values))
            self._audit(connection, "user.add", name, by, at, after={"role": role})
            return self._read(connection, name)

    def set_role(self, name: str, role: str, by: Actor, at: datetime) -> User:
        """Change a user's role; open sessions have it at once. Raises InvalidError, UserError."""
        _validate(name, role)
        with self._database.write() as connection:
            known = self._read(connection, name)
            if known.role != role:
                if role != "admin":
                    self._require_other_admin(connection, known)
                self._change(connection, name, {"role": role})
                self._audit(
                    connection, "user.role", name, by, at, before={"role": known.role}, after={"role": role}
                )
            return self._read(connection, name)

    def set_disabled(self, name: str, by: Actor, at: datetime, *, disabled: bool) -> User:
        """Disable a user, which ends the sessions and the calendar link, or enable one. Raises UserError."""
        with self._database.write() as connection:
            known = self._read(connection, name)
            if known.disabled != disabled:
                if disabled:
                    self._require_other_admin(connection, known)
                    end_sessions(connection, name, at)
                    if token := find_calendar_token(connection, name):
                        revoke_token(connection, token.id, by.name, at)
                        self._audit(connection, "token.revoke", token.name, by, at, before=token.audited())
                self._change(connection, name, {"disabled": int(disabled)})
                self._audit(connection, "user.disable" if disabled else "user.enable", name, by, at)
            return self._read(connection, name)

    def set_password(
        self, name: str, password: str, by: Actor, at: datetime, *, keep_session: str | None = None
    ) -> None:
        """Change a password, which ends the sessions but `keep_session`. Raises InvalidError, UserError."""
        passwords.validate_password(password, name)
        hashed = passwords.hash_password(password)
        with self._database.write() as connection:
            self._read(connection, name)
            self._change(connection, name, {"passwordHash": hashed, "passwordChangedAt": to_store(at)})
            ended = end_sessions(connection, name, at, but=keep_session)
            self._audit(connection, "user.password", name, by, at, after={"sessionsEnded": ended})

    def revoke_sessions(self, name: str, by: Actor, at: datetime) -> int:
        """End the sessions of a user; return how many. Raises UserError."""
        with self._database.write() as connection:
            self._read(connection, name)
            ended = end_sessions(connection, name, at)
            self._audit(connection, "session.revoke", name, by, at, after={"sessionsEnded": ended})
        return ended

    def check_password(self, name: str, password: str) -> User | None:
        """Return the user if that is the password and the user is not disabled; None takes as long.

        Raises LoginBusyError. A hash with parameters of an earlier release is replaced.
        """
        with self._database.read() as connection:
            row = connection.execute(select(users).where(_USER.name == name)).one_or_none()
        is_right = passwords.verify_password(password, row.passwordHash if row else None)
        if row is None or not is_right or row.disabled:
            return None
        if passwords.needs_rehash(row.passwordHash):
            hashed = passwords.hash_password(password)
            with self._database.write() as connection:
                self._change(connection, name, {"passwordHash": hashed})
        return _user(row)

    def new_totp(self, name: str, secret: str | None = None) -> Enrolment:
        """Return a new TOTP secret for a user, or the URI of a given one; nothing is stored yet."""
        secret = secret or pyotp.random_base32()
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER))

    def enable_totp(self, name: str, secret: str, code: str, by: Actor, at: datetime) -> list[str]:
        """Require codes of `secret` from now on, which `code` proves to work; return the recovery codes.

        Raises InvalidError for a wrong code, UserError.
        """
        step = _matching_step(secret, code, at)
        if step is None:
            raise InvalidError(
                [Fault("code", "not the code that the app shows now; check the phone's clock")]
            )
        codes = [f"{secrets.token_hex(3)}-{secrets.token_hex(3)}" for _ in range(RECOVERY_CODES)]
        stored = msgspec.json.encode([_digest(one) for one in codes]).decode()
        values = {"totpSecret": self._sealer.seal(secret), "totpStep": step, "recoveryCodes": stored}
        with self._database.write() as connection:
            self._read(connection, name)
            self._change(connection, name, values)
            self._audit(connection, "user.totp", name, by, at, after={"totp": True})
        return codes

    def disable_totp(self, name: str, by: Actor, at: datetime) -> None:
        """Require no codes any more: the phone is lost. Raises UserError."""
        with self._database.write() as connection:
            self._read(connection, name)
            self._change(connection, name, {"totpSecret": None, "totpStep": None, "recoveryCodes": None})
            self._audit(connection, "user.totp", name, by, at, after={"totp": False})

    def use_code(self, name: str, code: str, at: datetime) -> bool:
        """Return whether `code` is a user's current TOTP code or a recovery code; each counts once."""
        with self._database.write() as connection:
            row = connection.execute(select(users).where(_USER.name == name)).one_or_none()
            if row is None or row.disabled or row.totpSecret is None:
                return False
            step = _matching_step(self._sealer.open(row.totpSecret), code, at)
            if step is not None and step > (row.totpStep or 0):
                self._change(connection, name, {"totpStep": step})
                return True
            codes: list[str] = msgspec.json.decode(row.recoveryCodes or "[]")
            digest = _digest(code.strip().lower())
            if digest not in codes:
                return False
            codes.remove(digest)
            self._change(connection, name, {"recoveryCodes": msgspec.json.encode(codes).decode()})
            return True

    def _require_other_admin(self, connection: Connection, user: User) -> None:
        """Raise UserConflictError if `user` is the only admin who can sign in."""
        if user.role != "admin" or user.disabled:
            return
        others = (_USER.role == "admin", _USER.disabled == 0, _USER.name != user.name)
        if not connection.execute(select(func.count()).select_from(users).where(*others)).scalar():
            raise UserConflictError(f"{user.name} is the last admin; make another user admin first")

    def _read(self, connection: Connection, name: str) -> User:
        row = connection.execute(select(users).where(_USER.name == name)).one_or_none()
        if row is None:
            raise UserNotFoundError(f"no user named {name!r}")
        return _user(row)

    def _change(self, connection: Connection, name: str, values: dict[str, object]) -> None:
        connection.execute(update(users).where(_USER.name == name).values(values))

    def _audit(
        self,
        connection: Connection,
        action: str,
        name: str,
        by: Actor,
        at: datetime,
        *,
        before: object = None,
        after: object = None,
    ) -> None:
        entry = AuditEntry(
            action=action,
            actor=by.name,
            address=by.address,
            target=name,
            before=before,
            after=after,
            outcome="ok",
        )
        append_audit(connection, entry, at, self._audit_key)


def open_session_counts(connection: Connection, at: datetime) -> dict[str, int]:
    """Return how many sessions each user has open."""
    is_open = (sessions.c.endedAt.is_(None), sessions.c.expiresAt > to_store(at))
    counted = select(sessions.c.user, func.count()).where(*is_open).group_by(sessions.c.user)
    return {row.user: row[1] for row in connection.execute(counted)}


def _user(row: Row[tuple[object, ...]], opened: int = 0) -> User:
    return User(
        row.name,
        row.role,
        bool(row.disabled),
        row.totpSecret is not None,
        from_store(row.createdAt),
        from_store(row.passwordChangedAt),
        from_store(row.lastLoginAt) if row.lastLoginAt else None,
        opened,
    )


def _validate(name: str, role: str) -> None:
    faults = []
    if not NAME_PATTERN.fullmatch(name):
        expected = "expected 1 to 64 letters, digits and . _ @ + -, beginning with a letter or digit"
        faults.append(Fault("name", f"{expected}; got {name[:80]!r}"))
    elif name in RESERVED_NAMES:
        faults.append(
            Fault("name", f"{name!r} stands for something else in the audit log; choose another name")
        )
    if role not in ROLES:
        expected = f"expected one of {', '.join(ROLES)}, got {role[:80]!r}{did_you_mean(role, ROLES)}"
        faults.append(Fault("role", expected))
    if faults:
        raise InvalidError(faults)


def _matching_step(secret: str, code: str, at: datetime) -> int | None:
    """Return the 30 s step of which `code` is the code, at most one away from `at`. Source: RFC 6238, 5.2."""
    totp, given = pyotp.TOTP(secret), code.replace(" ", "")
    for moment in (at, at - TOTP_STEP, at + TOTP_STEP):
        if given.isascii() and totp.verify(given, for_time=moment):
            return int(totp.timecode(moment))
    return None


def _digest(code: str) -> str:
    """Return the SHA-256 of a recovery code: with 48 random bits it is used up before it is guessed."""
    return hashlib.sha256(code.encode(errors="replace")).hexdigest()

"""Users: added, changed, disabled; each change in the audit log, and the last admin protected."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from shared.access.sealing import Sealer
from shared.access.sessions import find_session, start_session
from shared.access.users import Actor, UserConflictError, UserNotFoundError, Users
from shared.schema.faults import InvalidError
from shared.store.audit import AuditKeyFile, verify_audit
from shared.store.database import Database
from shared.store.tables import audit_log
from shared.store.tables import users as table

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ROOT = Actor("os:root")
PASSWORD = "correct horse battery"


def actions(health: Database) -> list[tuple[str, str, str]]:
    with health.read() as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id)).all()
    return [(row.action, row.by, row.subject) for row in rows if not row.action.startswith("audit.")]


def test_a_user_is_added_listed_and_found(users: Users) -> None:
    """Names do not differ by case; a new user has never signed in."""
    added = users.add(" Alice@Desk ", "operator", PASSWORD, ROOT, NOON)
    assert (added.name, added.role, added.disabled, added.totp) == ("alice@desk", "operator", False, False)
    assert users.list_all(NOON) == [added]
    assert users.find("alice@desk") == added
    assert users.find("bob") is None
    assert added.last_login_at is None


@pytest.mark.parametrize(
    ("name", "role", "expected"),
    [
        ("", "viewer", "expected 1 to 64 letters"),
        ("token:ci", "viewer", "expected 1 to 64 letters"),
        ("system", "viewer", "stands for something else"),
        ("alice", "boss", "expected one of viewer, operator, admin, got 'boss'"),
        ("alice", "vewer", "did you mean `viewer`"),
    ],
)
def test_an_invalid_name_or_role_is_refused(users: Users, name: str, role: str, expected: str) -> None:
    """Names that the audit log uses for other things are no names of users."""
    with pytest.raises(InvalidError, match=expected):
        users.add(name, role, PASSWORD, ROOT, NOON)


def test_a_name_is_taken_once(users: Users) -> None:
    """A second user of a name is a conflict."""
    users.add("alice", "viewer", PASSWORD, ROOT, NOON)
    with pytest.raises(UserConflictError, match="alice exists already"):
        users.add("ALICE", "admin", PASSWORD, ROOT, NOON)


def test_changing_an_unknown_user_says_so(users: Users) -> None:
    """Every change names the user that does not exist."""
    with pytest.raises(UserNotFoundError, match="no user named 'bob'"):
        users.set_role("bob", "viewer", ROOT, NOON)


def test_the_last_admin_stays(users: Users) -> None:
    """The only admin can be neither disabled nor demoted; with a second one that is possible."""
    users.add("root", "admin", PASSWORD, ROOT, NOON)
    users.add("gone", "admin", PASSWORD, ROOT, NOON)
    users.set_disabled("gone", ROOT, NOON, disabled=True)
    with pytest.raises(UserConflictError, match="root is the last admin"):
        users.set_role("root", "viewer", ROOT, NOON)
    with pytest.raises(UserConflictError, match="root is the last admin"):
        users.set_disabled("root", ROOT, NOON, disabled=True)
    users.set_disabled("gone", ROOT, NOON, disabled=False)
    assert users.set_role("root", "viewer", ROOT, NOON).role == "viewer"


def test_every_change_is_in_the_audit_log(users: Users, health: Database, key: AuditKeyFile) -> None:
    """One entry each, with who did it, in a chain that verifies, and none with the password."""
    alice = Actor("alice", "10.0.0.7")
    users.add("root", "admin", PASSWORD, ROOT, NOON)
    users.add("bob", "viewer", PASSWORD, alice, NOON)
    users.set_role("bob", "operator", alice, NOON)
    users.set_role("bob", "operator", alice, NOON)
    users.set_password("bob", "another horse battery", alice, NOON)
    users.revoke_sessions("bob", alice, NOON)
    users.set_disabled("bob", alice, NOON, disabled=True)
    users.set_disabled("bob", alice, NOON, disabled=False)
    assert actions(health) == [
        ("user.add", "os:root", "root"),
        ("user.add", "alice", "bob"),
        ("user.role", "alice", "bob"),
        ("user.password", "alice", "bob"),
        ("session.revoke", "alice", "bob"),
        ("user.disable", "alice", "bob"),
        ("user.enable", "alice", "bob"),
    ]
    with health.read() as connection:
        assert verify_audit(connection, key).fault is None
        text = str(connection.execute(select(audit_log)).all())
    assert "horse" not in text
    assert "argon2" not in text


def test_a_new_password_and_disabling_end_the_sessions(users: Users, health: Database) -> None:
    """A session ends with the password it was started with, and with its user; one may be kept."""
    users.add("root", "admin", PASSWORD, ROOT, NOON)
    users.add("bob", "viewer", PASSWORD, ROOT, NOON)

    def start() -> str:
        with health.write() as connection:
            return start_session(connection, "bob", "10.0.0.7", "", NOON)

    def is_open(session: str) -> bool:
        with health.read() as connection:
            return find_session(connection, session, NOON) is not None

    one, other = start(), start()
    assert users.list_all(NOON)[0].sessions == 2
    users.set_password("bob", "another horse battery", ROOT, NOON)
    assert not is_open(one)
    assert not is_open(other)
    third = start()
    users.set_disabled("bob", ROOT, NOON, disabled=True)
    assert not is_open(third)
    users.set_disabled("bob", ROOT, NOON, disabled=False)
    assert not is_open(third)
    assert users.check_password("bob", "another horse battery")


def test_a_hash_with_older_parameters_is_replaced(users: Users, health: Database) -> None:
    """The next login stores the password with today's parameters."""
    users.add("bob", "viewer", PASSWORD, ROOT, NOON)
    with health.write() as connection:
        older = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        connection.execute(table.update().values(passwordHash=older))
    assert users.check_password("bob", PASSWORD)
    with health.read() as connection:
        stored = connection.execute(select(table.c.passwordHash)).scalar_one()
    assert stored != older
    assert stored.startswith("$argon2id$v=19$m=19456,")
    assert users.check_password("bob", PASSWORD)


def test_totp_needs_a_code_that_works_and_each_code_counts_once(users: Users) -> None:
    """A code is valid for its step and those beside it, and never again; so is a recovery code."""
    users.add("bob", "viewer", PASSWORD, ROOT, NOON)
    secret = users.new_totp("bob").secret
    totp = pyotp.TOTP(secret)
    with pytest.raises(InvalidError, match="not the code"):
        users.enable_totp("bob", secret, "000000", ROOT, NOON)
    codes = users.enable_totp("bob", secret, totp.at(NOON), ROOT, NOON)
    assert users.read("bob").totp
    assert not users.use_code("bob", totp.at(NOON), NOON)
    soon = NOON + timedelta(seconds=30)
    assert users.use_code("bob", totp.at(soon), soon)
    assert not users.use_code("bob", totp.at(soon), soon)
    late = NOON + timedelta(minutes=10)
    assert not users.use_code("bob", totp.at(soon), late)
    assert users.use_code("bob", totp.at(late - timedelta(seconds=30)), late)
    assert users.use_code("bob", f" {codes[3].upper()} ", late)
    assert not users.use_code("bob", codes[3], late)
    users.disable_totp("bob", ROOT, late)
    assert not users.use_code("bob", codes[4], late)


def test_a_stolen_database_contains_neither_passwords_nor_totp_secrets(
    users: Users, health: Database, tmp_path: Path
) -> None:
    """Passwords are hashed, TOTP secrets encrypted, recovery codes and session IDs digests."""
    users.add("bob", "viewer", PASSWORD, ROOT, NOON)
    secret = users.new_totp("bob").secret
    codes = users.enable_totp("bob", secret, pyotp.TOTP(secret).at(NOON), ROOT, NOON)
    with health.write() as connection:
        session = start_session(connection, "bob", "10.0.0.7", "", NOON)
    stolen = b"".join(path.read_bytes() for path in tmp_path.glob("health.db*"))
    assert b"argon2id" in stolen
    for planted in (PASSWORD, secret, session, *codes):
        assert planted.encode() not in stolen


def test_a_totp_secret_of_another_key_is_said_plainly(
    users: Users, health: Database, key: AuditKeyFile
) -> None:
    """After BOTWATCH_SECRET has changed, the message says what happened and who can help."""
    users.add("bob", "viewer", PASSWORD, ROOT, NOON)
    secret = users.new_totp("bob").secret
    users.enable_totp("bob", secret, pyotp.TOTP(secret).at(NOON), ROOT, NOON)
    other = Users(health, key, Sealer(b"another secret of the tests"))
    with pytest.raises(InvalidError, match="encrypted with another BOTWATCH_SECRET"):
        other.use_code("bob", "123456", NOON)

"""Sessions: a random ID whose digest alone is stored; idle, absolute and early ends."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from shared.access.session_cookie import IDLE, session_id_in
from shared.access.sessions import (
    KEPT,
    LIFETIME,
    end_session,
    end_sessions,
    find_session,
    start_session,
    touch_session,
)
from shared.access.users import Actor, Users
from shared.store.database import Database
from shared.store.tables import sessions

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def bob(users: Users) -> None:
    """Add a user."""
    users.add("bob", "operator", "correct horse battery", Actor("os:root"), NOON)


def start(health: Database, at: datetime = NOON) -> str:
    with health.write() as connection:
        return start_session(connection, "bob", "10.0.0.7", "Firefox", at)


def who(health: Database, session: str, at: datetime = NOON) -> str | None:
    with health.read() as connection:
        found = find_session(connection, session, at)
    return found.identity.name if found else None


def test_a_session_is_found_by_its_id_only(health: Database) -> None:
    """Each is new and long; the stored digest does not open it."""
    one, other = start(health), start(health)
    assert one != other
    assert len(one) >= 43
    assert who(health, one) == "bob"
    assert who(health, "made up") is None
    with health.read() as connection:
        stored = connection.execute(select(sessions.c.idHash)).scalars().all()
    assert one not in stored
    assert who(health, stored[0]) is None


def test_the_role_is_the_one_that_the_user_has_now(health: Database, users: Users) -> None:
    """A changed role holds for open sessions at once."""
    session = start(health)
    users.set_role("bob", "viewer", Actor("os:root"), NOON)
    with health.read() as connection:
        found = find_session(connection, session, NOON)
    assert found
    assert found.identity.scopes == {"read"}
    assert found.identity.kind == "user"
    assert not found.identity.act_for_others


def test_it_ends_when_it_is_idle(health: Database) -> None:
    """Without a request for 12 hours it ends; a request extends it."""
    session = start(health)
    assert who(health, session, NOON + IDLE - MINUTE) == "bob"
    assert who(health, session, NOON + IDLE) is None
    with health.write() as connection:
        found = find_session(connection, session, NOON)
        assert found
        touch_session(connection, found, NOON + timedelta(hours=6))
    assert who(health, session, NOON + IDLE) == "bob"


def test_it_ends_after_a_week_however_busy(health: Database) -> None:
    """The absolute limit holds for a session in use."""
    session = start(health)
    with health.write() as connection:
        found = find_session(connection, session, NOON)
        assert found
        touch_session(connection, found, NOON + LIFETIME - MINUTE)
    assert who(health, session, NOON + LIFETIME - MINUTE) == "bob"
    assert who(health, session, NOON + LIFETIME) is None


def test_one_or_all_but_one_are_ended(health: Database) -> None:
    """A logout ends one session; a new password all the others."""
    one, other, third = start(health), start(health), start(health)
    with health.write() as connection:
        found = find_session(connection, one, NOON)
        kept = find_session(connection, third, NOON)
        assert found
        assert kept
        end_session(connection, found.id_hash, NOON)
        assert end_sessions(connection, "bob", NOON, but=kept.id_hash) == 1
    assert [who(health, session) for session in (one, other, third)] == [None, None, "bob"]


def test_ended_sessions_are_deleted_after_a_month(health: Database) -> None:
    """Until then their addresses are known as the user's."""
    start(health)
    start(health, NOON + LIFETIME + KEPT + MINUTE)
    with health.read() as connection:
        assert connection.execute(select(func.count()).select_from(sessions)).scalar_one() == 1


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("theme=dark", None),
        ("theme=dark; botwatch_session=abc", "abc"),
        ("botwatch_session=abc; __Host-botwatch_session=def", "def"),
        ("\x00=;;;", None),
    ],
)
def test_the_id_is_read_from_the_cookie_header(header: str | None, expected: str | None) -> None:
    """The cookie of HTTPS comes first: a page of another port can set the other one."""
    assert session_id_in(header) == expected

"""Logins: wrong ones look alike, guessing is limited, and nobody else can lock out a user."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import select

from shared.access import login as module
from shared.access.login import Client, Limit, Logins, ThrottledError, WrongCredentialsError
from shared.access.users import Actor, Users
from shared.store.database import Database
from shared.store.tables import audit_denials, audit_log

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
HOME, ELSEWHERE = Client("10.0.0.7", "Firefox"), Client("192.0.2.66", "curl")
PASSWORD, WRONG = "correct horse battery", "wrong"

Guess = Callable[..., str]


@pytest.fixture
def guess(users: Users, logins: Logins) -> Guess:
    """Return a function that logs in and says what came of it."""
    users.add("bob", "operator", PASSWORD, Actor("os:root"), NOON)

    def log_in(client: Client = HOME, password: str = WRONG, name: str = "bob", at: datetime = NOON) -> str:
        try:
            logins.check_password(name, password, client, at)
        except WrongCredentialsError:
            return "wrong"
        except ThrottledError as refused:
            return f"wait {refused.retry_after_s} s"
        logins.start_session(name, client, at)
        return "ok"

    return log_in


def test_wrong_name_wrong_password_and_disabled_look_alike(guess: Guess, users: Users) -> None:
    """The answer does not say whether the user exists."""
    users.add("root", "admin", PASSWORD, Actor("os:root"), NOON)
    users.set_disabled("bob", Actor("os:root"), NOON, disabled=True)
    assert guess(password=PASSWORD) == "wrong"
    assert guess(name="nobody", password=PASSWORD) == "wrong"
    assert guess(name="root") == "wrong"
    assert guess(name="root", password=PASSWORD) == "ok"


def test_five_wrong_passwords_from_one_address_have_to_wait(guess: Guess) -> None:
    """The sixth attempt is refused, also with the right password, until the first is 15 minutes old."""
    minutes = [guess(at=NOON + timedelta(minutes=minute)) for minute in range(5)]
    assert minutes == ["wrong"] * 5
    assert guess(password=PASSWORD, at=NOON + timedelta(minutes=5)) == "wait 600 s"
    assert guess(password=PASSWORD, at=NOON + timedelta(minutes=15)) == "ok"


def test_an_attacker_elsewhere_does_not_lock_out_the_user(guess: Guess) -> None:
    """Guesses from other addresses, however many, leave the user's own alone."""
    assert guess(password=PASSWORD) == "ok"
    for number in range(20):
        client = Client(f"203.0.113.{number}")
        for _ in range(5):
            guess(client)
    assert guess(Client("203.0.113.77"), PASSWORD).startswith("wait")
    assert guess(password=PASSWORD) == "ok"


def test_guesses_from_many_addresses_are_limited_together(
    guess: Guess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the limit per name, no address counts where the user has not signed in."""
    monkeypatch.setattr(module, "PER_NAME", Limit(8, timedelta(hours=1)))
    outcomes = [guess(Client(f"203.0.113.{number}")) for number in range(10)]
    assert outcomes == ["wrong"] * 8 + ["wait 3600 s"] * 2


def test_many_names_from_one_address_are_limited(guess: Guess, monkeypatch: pytest.MonkeyPatch) -> None:
    """One password for many names (spraying) is limited per address."""
    monkeypatch.setattr(module, "PER_NETWORK", Limit(8, timedelta(minutes=15)))
    outcomes = [guess(ELSEWHERE, name=f"user{number}") for number in range(9)]
    assert outcomes == ["wrong"] * 8 + ["wait 900 s"]
    assert guess(password=PASSWORD) == "ok"


def test_a_successful_login_forgets_the_failed_ones(guess: Guess) -> None:
    """Somebody who mistypes now and then is never refused."""
    for minute in range(12):
        assert guess(at=NOON + timedelta(minutes=minute)) == "wrong"
        if minute % 4 == 3:
            assert guess(password=PASSWORD, at=NOON + timedelta(minutes=minute)) == "ok"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("unix:", "unix:"),
    ],
)
def test_an_ipv6_customer_is_one_network(address: str, network: str) -> None:
    """Whoever has 2**64 addresses has no more attempts than others."""
    assert Client(address).network == network


def test_every_login_is_in_the_audit_log(guess: Guess, health: Database) -> None:
    """Who, from where, and whether it was granted; those that repeat are counted."""
    guess(ELSEWHERE)
    guess(ELSEWHERE)
    guess(password=PASSWORD)
    with health.read() as connection:
        entries = connection.execute(select(audit_log).where(audit_log.c.action == "user.login")).all()
        repeated = connection.execute(select(audit_denials)).all()
    assert [(entry.by, entry.address, entry.outcome) for entry in entries] == [
        ("bob", "192.0.2.66", "denied"),
        ("bob", "10.0.0.7", "ok"),
    ]
    assert entries[0].after == '{"reason":"wrong name or password"}'
    assert [row.address for row in repeated] == ["192.0.2.66"]
    assert PASSWORD not in str(entries)


def test_codes_are_limited_like_passwords(guess: Guess, logins: Logins) -> None:
    """Whoever has the password cannot try all codes."""
    assert guess(password=PASSWORD) == "ok"
    numbers = count()
    for _ in range(5):
        with pytest.raises(WrongCredentialsError):
            logins.check_code("bob", f"{next(numbers):06}", ELSEWHERE, NOON)
    with pytest.raises(ThrottledError):
        logins.check_code("bob", f"{next(numbers):06}", ELSEWHERE, NOON)

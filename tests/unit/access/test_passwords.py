"""Passwords: argon2id hashes, what a new one must be like, and how many are checked at once."""

import threading

import pytest
from argon2 import PasswordHasher

from shared.access import passwords
from shared.access.passwords import (
    LoginBusyError,
    hash_password,
    needs_rehash,
    validate_password,
    verify_password,
)
from shared.schema.faults import InvalidError


class CountingHasher:
    """Verifies as argon2 does, and remembers what."""

    def __init__(self) -> None:
        self.verified: list[str] = []

    def verify(self, hashed: str, password: str) -> bool:
        """Verify a password."""
        self.verified.append(hashed)
        return PasswordHasher().verify(hashed, password)


def test_a_hash_is_argon2id_with_a_salt_and_fits_its_password_only() -> None:
    """The hash names the algorithm and OWASP's parameters; two hashes of one password differ."""
    hashed = hash_password("correct horse battery")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert hashed != hash_password("correct horse battery")
    assert verify_password("correct horse battery", hashed)
    assert not verify_password("Correct horse battery", hashed)
    assert not needs_rehash(hashed)


def test_a_password_typed_on_another_keyboard_is_the_same() -> None:
    """Letters that are composed differently (NFKC) are one password."""
    composed, decomposed = "caf\u00e9 royale", "cafe\u0301 royale"
    assert composed != decomposed
    assert verify_password(decomposed, hash_password(composed))


def test_an_unknown_user_costs_a_verification_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a hash, one of a random password is verified: the time does not tell that there is no user."""
    hasher = CountingHasher()
    monkeypatch.setattr("shared.access.passwords._HASHER", hasher)
    assert not verify_password("anything at all", None)
    assert [hashed[:30] for hashed in hasher.verified] == ["$argon2id$v=19$m=19456,t=2,p=1"]


def test_a_damaged_hash_is_a_wrong_password() -> None:
    """What is no argon2 hash fits no password."""
    assert not verify_password("anything at all", "md5:1234")


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("short", "expected 12 to 256 characters, got 5"),
        ("x" * 300, "expected 12 to 256 characters, got 300"),
        ("alice-alice1", "made of the user's name"),
        ("aaaaaaaaaaaaaa", "expected at least 6 different characters, got 1"),
    ],
)
def test_a_weak_password_is_refused_with_the_reason(password: str, expected: str) -> None:
    """Too short, too long, the user's name, or one letter only."""
    with pytest.raises(InvalidError, match=expected):
        validate_password(password, "alice")


def test_generated_passwords_are_accepted_and_differ() -> None:
    """A generated password passes the rules for a chosen one."""
    one, other = passwords.generate_password(), passwords.generate_password()
    assert one != other
    validate_password(one, "alice")


def test_a_third_login_at_once_is_told_to_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two passwords are checked at a time: memory and threads stay free for the rest."""
    slots = threading.BoundedSemaphore(2)
    monkeypatch.setattr("shared.access.passwords._WAIT_S", 0.01)
    monkeypatch.setattr("shared.access.passwords._slots", slots)
    with slots, slots, pytest.raises(LoginBusyError, match="retry"):
        hash_password("correct horse battery")
    assert hash_password("correct horse battery")

"""Passwords: argon2id hashes, and the rules for a new password.

LoginBusyError    too many passwords are being checked at once

Parameters: OWASP Password Storage Cheat Sheet (argon2id, 19 MiB, two passes, one lane). A login costs 20 ms
and 19 MiB; at most two run at once in a process, so that a flood of logins uses up neither its memory nor its
threads.
"""

import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from shared.schema.faults import Fault, InvalidError

MIN_LENGTH = 12
"""Characters."""
MAX_LENGTH = 256
"""Characters: a password manager's, but no flood."""
_CONCURRENT = 2
_WAIT_S = 2.0

_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_slots = threading.BoundedSemaphore(_CONCURRENT)
_UNKNOWN_USER_HASH = _HASHER.hash(secrets.token_urlsafe())
"""Verified where there is no such user: the answer takes as long as for one with a wrong password."""


class LoginBusyError(Exception):
    """Too many passwords are being checked at once; the client retries."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password, with its salt and parameters. Raises LoginBusyError."""
    with _slot():
        return _HASHER.hash(_normalize(password))


def verify_password(password: str, hashed: str | None) -> bool:
    """Return whether the password is that of `hashed`; with None it takes as long. Raises LoginBusyError."""
    with _slot():
        try:
            _HASHER.verify(hashed or _UNKNOWN_USER_HASH, _normalize(password)[: MAX_LENGTH * 4])
        except (VerificationError, InvalidHashError):
            return False
    return hashed is not None


def needs_rehash(hashed: str) -> bool:
    """Return whether a hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(hashed)


def validate_password(password: str, name: str) -> None:
    """Raise InvalidError unless `password` will do for the user `name`. Source: NIST SP 800-63B, 5.1.1.2."""
    length = len(password)
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        expected = f"expected {MIN_LENGTH} to {MAX_LENGTH} characters, got {length}"
        raise InvalidError([Fault("password", expected)])
    if name in password.lower() and length - len(name) < MIN_LENGTH:
        raise InvalidError([Fault("password", "expected a password that is not made of the user's name")])
    if len(set(password)) < MIN_LENGTH // 2:
        expected = f"expected at least {MIN_LENGTH // 2} different characters, got {len(set(password))}"
        raise InvalidError([Fault("password", expected)])


def generate_password() -> str:
    """Return a random password of 24 characters, 144 bits."""
    return secrets.token_urlsafe(18)


def _normalize(password: str) -> str:
    """Return the password as every keyboard spells it (NFKC)."""
    return unicodedata.normalize("NFKC", password)


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(timeout=_WAIT_S):
        raise LoginBusyError("too many logins at once; retry in a few seconds")
    try:
        yield
    finally:
        _slots.release()

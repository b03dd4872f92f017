"""Secrets in the config: values that only those who have the key can read (Fernet: AES-128, HMAC-SHA256)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.runtime.settings import read_variable
from shared.schema.faults import Fault, InvalidError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_VARIABLE = "BOTWATCH_KEY"
ENCRYPTED_PREFIX = "encrypted:"
"""What an encrypted value begins with."""


def new_key() -> str:
    """Return a new random key."""
    # Imported in functions: only those who encrypt need it in memory.
    from cryptography.fernet import Fernet  # noqa: PLC0415

    return Fernet.generate_key().decode()


def encrypt(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` as it may stand in the config; InvalidError without a key."""
    return ENCRYPTED_PREFIX + _cipher(environ).encrypt(text.encode()).decode()


def decrypt(text: str, environ: Mapping[str, str]) -> str:
    """Return what a value of the config stands for: itself, unless it is encrypted.

    InvalidError says what to do where the key is missing, or another than it was encrypted with.
    """
    if not text.startswith(ENCRYPTED_PREFIX):
        return text
    cipher = _cipher(environ)
    from cryptography.fernet import InvalidToken  # noqa: PLC0415 - as above

    try:
        return cipher.decrypt(text.removeprefix(ENCRYPTED_PREFIX).encode()).decode()
    except InvalidToken as error:
        what = "does not match an encrypted value, or the value is damaged: run `botwatch encrypt` again"
        raise InvalidError([Fault(KEY_VARIABLE, what)]) from error


def _cipher(environ: Mapping[str, str]) -> "Fernet":
    from cryptography.fernet import Fernet  # noqa: PLC0415 - as above

    try:
        key = read_variable(KEY_VARIABLE, environ)
    except OSError as error:
        raise InvalidError([Fault(f"{KEY_VARIABLE}_FILE", f"cannot be read: {error.strerror}")]) from error
    if not key:
        what = (
            f"not set, but needed for encrypted values (or {KEY_VARIABLE}_FILE); `botwatch encrypt "
            "--new-key` creates a key"
        )
        raise InvalidError([Fault(KEY_VARIABLE, what)])
    try:
        return Fernet(key.encode())
    except ValueError as error:
        what = "invalid key: expected the output of `botwatch encrypt --new-key`"
        raise InvalidError([Fault(KEY_VARIABLE, what)]) from error

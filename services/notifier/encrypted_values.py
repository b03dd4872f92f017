"""Encrypted config values (Fernet: AES-128-CBC with HMAC-SHA256)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.runtime.settings import read_variable
from shared.schema.faults import Fault, InvalidError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_VARIABLE = "BOTWATCH_KEY"
ENCRYPTED_PREFIX = "encrypted:"
"""Prefix of an encrypted value."""


def new_key() -> str:
    """Return a new random key."""
    # Imported in functions to save memory where nothing is encrypted.
    from cryptography.fernet import Fernet  # noqa: PLC0415

    return Fernet.generate_key().decode()


def encrypt(text: str, environ: Mapping[str, str]) -> str:
    """Return `text` encrypted, for use in the config. Raises InvalidError without a key."""
    return ENCRYPTED_PREFIX + _cipher(environ).encrypt(text.encode()).decode()


def decrypt(text: str, environ: Mapping[str, str]) -> str:
    """Return a config value in clear; one without the prefix is returned unchanged.

    Raises InvalidError if the key is missing or does not match.
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

"""Encrypted config values (Fernet: AES-128-CBC with HMAC-SHA256).

BOTWATCH_KEY may hold several keys: the first one encrypts, all of them decrypt.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

import msgspec

from shared.runtime.settings import ENCRYPTED_PREFIX, read_variable
from shared.schema.faults import Fault, InvalidError

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

KEY_VARIABLE = "BOTWATCH_KEY"
_ENCRYPTED = re.compile(rf"{ENCRYPTED_PREFIX}[\w-]+=*")

S = TypeVar("S", bound=msgspec.Struct)


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


def decrypt_section(section: S, environ: Mapping[str, str]) -> S:
    """Return a section of a config document with all its values in clear, validated again.

    Raises InvalidError if the key is missing or does not match, msgspec.ValidationError (a ValueError) if a
    decrypted value is invalid.
    """
    values = msgspec.to_builtins(section)
    clear = _decrypt_all(values, environ)
    return section if clear == values else msgspec.convert(clear, type(section))


def _decrypt_all(value: object, environ: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _decrypt_all(item, environ) for key, item in value.items()}
    if isinstance(value, list):
        return [_decrypt_all(item, environ) for item in value]
    return decrypt(value, environ) if isinstance(value, str) else value


def rotate(document: str, environ: Mapping[str, str]) -> tuple[str, int]:
    """Encrypt each value of a config document again, with the first key; return it and how many there are.

    Raises InvalidError if no key matches one of them.
    """
    return _ENCRYPTED.subn(lambda found: encrypt(decrypt(found[0], environ), environ), document)


def fernet_keys(keys: str) -> "MultiFernet":
    """Return what encrypts with the first of `keys` and decrypts with each; ValueError if one is no key."""
    from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415 - as above

    return MultiFernet([Fernet(key.encode()) for key in re.split(r"[\s,]+", keys.strip())])


def _cipher(environ: Mapping[str, str]) -> "MultiFernet":
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
        return fernet_keys(key)
    except ValueError as error:
        what = (
            "invalid key: expected the output of `botwatch encrypt --new-key`, or several separated by commas"
        )
        raise InvalidError([Fault(KEY_VARIABLE, what)]) from error

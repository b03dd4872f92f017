"""Encryption of TOTP secrets at rest, so that a stolen database file does not contain them."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from shared.schema.faults import Fault, InvalidError


class Sealer:
    """Encrypts and decrypts with a key derived from the secret that also signs acknowledge links."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(hashes.SHA256(), 32, salt=None, info=b"botwatch totp").derive(secret)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, text: str) -> str:
        """Return `text` encrypted."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Return the text. Raises InvalidError if it was encrypted with another secret."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            text = "the TOTP secret was encrypted with another BOTWATCH_SECRET; an admin can remove it"
            raise InvalidError([Fault("code", text)]) from None

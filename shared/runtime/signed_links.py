"""Links that let whoever opens them do one thing: signed, for one purpose, for a day.

InvalidLinkError    a link that is not taken; `reason` says why
"""

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from shared.runtime.settings import read_variable
from shared.schema.alerts import Alert
from shared.schema.faults import Fault, InvalidError

LIFETIME = timedelta(hours=24)
KEY_BYTES = 32
MIN_SECRET_LENGTH = 16
"""Of a secret that people choose: a shorter one could be found by trying."""
MAX_NAME_BYTES = 64
"""A link must fit in a text message, however long the name of the one who gets it."""


class InvalidLinkError(Exception):
    """A link that is not taken: it is `expired`, `forged`, or genuine but for something `else`."""

    def __init__(self, reason: Literal["expired", "forged", "else"]) -> None:
        super().__init__(reason)
        self.reason = reason


class LinkClaim(msgspec.Struct, frozen=True, array_like=True, tag="acknowledge"):
    """What a link says, its purpose (the tag) going first: that `to` may acknowledge an alert."""

    alert_id: str
    flaps: int
    """How often the alert had opened again: the link is not for the times after that."""
    to: str
    """Whoever got the link, shortened to 64 bytes; a suggestion for the name, and proof of nothing."""
    expires: datetime


class SignedLinks:
    """Makes links below `dashboard_url` and reads them."""

    def __init__(self, secret: bytes, dashboard_url: str) -> None:
        self._secret = secret
        self._dashboard_url = dashboard_url.rstrip("/")

    def acknowledge_url(self, alert: Alert, to: str, now: datetime) -> str:
        """Return where `to` can acknowledge `alert` as it is open now, for a day."""
        name = to.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")
        claim = LinkClaim(alert.id, alert.details.flaps, name, now + LIFETIME)
        said = base64.urlsafe_b64encode(msgspec.msgpack.encode(claim)).decode().rstrip("=")
        # In hexadecimal, and at the end: what finds links in plain text leaves out a last `-`.
        return f"{self._dashboard_url}/acknowledge/{said}.{self._signature(said)}"

    def read(self, token: str, now: datetime) -> LinkClaim:
        """Return what the link that ends in `token` says; InvalidLinkError when it is not taken at `now`."""
        said, _, signature = token.rpartition(".")
        if not token.isascii() or not hmac.compare_digest(signature, self._signature(said)):
            raise InvalidLinkError("forged")
        try:
            claim = msgspec.msgpack.decode(
                base64.urlsafe_b64decode(said + "=" * (-len(said) % 4)), type=LinkClaim
            )
        except (binascii.Error, msgspec.DecodeError) as error:
            raise InvalidLinkError("else") from error
        if now >= claim.expires:
            raise InvalidLinkError("expired")
        return claim

    def _signature(self, said: str) -> str:
        return hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()


def load_secret(home: Path, environ: Mapping[str, str]) -> bytes:
    """Return the secret that signs links: BOTWATCH_SECRET, else a key in `home`, made on first use.

    InvalidError and OSError name the variable or the file, and hold nothing of the secret.
    """
    try:
        given = read_variable("BOTWATCH_SECRET", environ)
    except UnicodeDecodeError:
        raise InvalidError([Fault("BOTWATCH_SECRET_FILE", "expected text, in UTF-8")]) from None
    if given:
        if len(given) < MIN_SECRET_LENGTH:
            raise InvalidError(
                [Fault("BOTWATCH_SECRET", f"expected at least {MIN_SECRET_LENGTH} characters")]
            )
        return given.encode()
    path = home / "data" / "link.key"
    if not path.exists():
        _make_key(path)
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        expected = f"expected {KEY_BYTES} bytes, got {len(key)}; remove it to create a new one"
        raise InvalidError([Fault(f"{path}", expected)])
    return key


def _make_key(path: Path) -> None:
    """Put a key at `path`, whole, or leave the one that another process put there first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, written = tempfile.mkstemp(dir=path.parent, prefix=".link-")  # only its owner may read it
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(handle)
        with contextlib.suppress(FileExistsError):
            os.link(written, path)
    finally:
        Path(written).unlink()

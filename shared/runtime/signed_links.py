"""Signed links: each allows one action for a day.

InvalidLinkError    a link that is rejected; `reason` says why
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
"""Minimum of a chosen secret in characters, against brute force."""
MAX_NAME_BYTES = 64
"""Limit of the recipient's name: a link must fit in a text message."""


class InvalidLinkError(Exception):
    """A link that is rejected: it is `expired`, `forged`, or valid for something `else`."""

    def __init__(self, reason: Literal["expired", "forged", "else"]) -> None:
        super().__init__(reason)
        self.reason = reason


class LinkClaim(msgspec.Struct, frozen=True, array_like=True, tag="acknowledge"):
    """The content of a link: `to` may acknowledge an alert. The purpose is the tag, which comes first."""

    alert_id: str
    flaps: int
    """How often the alert had reopened: the link is not valid after further times."""
    to: str
    """The recipient of the link, cut to 64 bytes; a suggestion for the name, not an authentication."""
    expires: datetime


class SignedLinks:
    """Creates and verifies links below `dashboard_url`."""

    def __init__(self, secret: bytes, dashboard_url: str) -> None:
        self.secret = secret
        self._dashboard_url = dashboard_url.rstrip("/")

    def acknowledge_url(self, alert: Alert, to: str, now: datetime) -> str:
        """Return the URL where `to` can acknowledge `alert`, valid for a day and until it reopens."""
        name = to.encode(errors="replace")[:MAX_NAME_BYTES].decode(errors="ignore")
        claim = LinkClaim(alert.id, alert.details.flaps, name, now + LIFETIME)
        said = base64.urlsafe_b64encode(msgspec.msgpack.encode(claim)).decode().rstrip("=")
        # Hexadecimal, at the end: programs that detect links in plain text drop a trailing `-`.
        return f"{self._dashboard_url}/acknowledge/{said}.{self._signature(said)}"

    def read(self, token: str, now: datetime) -> LinkClaim:
        """Return the claim of the link that ends in `token`; InvalidLinkError if it is not valid at `now`."""
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
        return hmac.new(self.secret, said.encode(), hashlib.sha256).hexdigest()


def load_secret(home: Path, environ: Mapping[str, str]) -> bytes:
    """Return the secret that signs links: BOTWATCH_SECRET, or else a key in `home`, created on first use.

    InvalidError and OSError name the variable or the file, and never contain the secret.
    """
    try:
        given = read_variable("BOTWATCH_SECRET", environ)
    except UnicodeDecodeError:
        raise InvalidError([Fault("BOTWATCH_SECRET_FILE", "expected UTF-8 text")]) from None
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
    """Create a key at `path` atomically, unless another process was first."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
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

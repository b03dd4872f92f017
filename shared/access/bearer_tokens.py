"""Bearer tokens: their form, their digest, and the header that carries them. Pure.

Source: RFC 6750. API tokens are `bw_`, 43 random characters and a checksum, so that secret scanners find them
(`bw_[A-Za-z0-9_-]{43}[0-9a-f]{8}`) and a typing error differs from an unknown token.
"""

import hashlib
import secrets
import zlib
from typing import Annotated

from msgspec import Meta

PATTERN = r"[A-Za-z0-9._~+/-]{16,}=*"
FORMAT_DESCRIPTION = (
    "at least 16 letters, digits and - . _ ~ + /, such as the output of `openssl rand -hex 32`"
)
Token = Annotated[str, Meta(pattern=rf"^{PATTERN}\Z", description=FORMAT_DESCRIPTION)]

PREFIX = "bw_"
_RANDOM_BYTES = 32
_CHECKSUM_LENGTH = 8


def new_api_token() -> str:
    """Return a new API token."""
    random = secrets.token_urlsafe(_RANDOM_BYTES)
    return f"{PREFIX}{random}{_checksum(random)}"


def is_mistyped(token: str) -> bool:
    """Return whether `token` begins like an API token, but its checksum is wrong."""
    body = token.removeprefix(PREFIX)
    return token.startswith(PREFIX) and _checksum(body[:-_CHECKSUM_LENGTH]) != body[-_CHECKSUM_LENGTH:]


def _checksum(random: str) -> str:
    return f"{zlib.crc32(random.encode(errors='replace')):08x}"


def authorization_header(token: str) -> str:
    """Return the value of the header Authorization."""
    return f"Bearer {token}"


def digest(token: str) -> bytes:
    """Return the SHA-256 of a token, so that the time of a lookup reveals nothing about the token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def token_from_header(authorization: str | None) -> str | None:
    """Return the token in a header Authorization, None without one."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def digest_from_header(authorization: str | None) -> bytes | None:
    """Return the digest of the token in a header Authorization, None without one."""
    token = token_from_header(authorization)
    return None if token is None else digest(token)

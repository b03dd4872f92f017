"""Bearer tokens for the HTTP endpoint. Source: RFC 6750."""

import hashlib
from typing import Annotated

from msgspec import Meta

PATTERN = r"[A-Za-z0-9._~+/-]{16,}=*"
FORMAT_DESCRIPTION = (
    "at least 16 letters, digits and - . _ ~ + /, such as the output of `openssl rand -hex 32`"
)
Token = Annotated[str, Meta(pattern=rf"^{PATTERN}\Z", description=FORMAT_DESCRIPTION)]


def authorization_header(token: str) -> str:
    """Return the value of the header Authorization."""
    return f"Bearer {token}"


def digest(token: str) -> bytes:
    """Return the SHA-256 of a token, so that the time of a lookup reveals nothing about the token."""
    return hashlib.sha256(token.encode(errors="replace")).digest()


def digest_from_header(authorization: str | None) -> bytes | None:
    """Return the digest of the token in a header Authorization, None without one."""
    scheme, _, token = (authorization or "").partition(" ")
    return digest(token.strip()) if scheme.lower() == "bearer" else None

"""Bearer: the token that lets records of other machines in at the HTTP door. Source: RFC 6750.

The door and the collectors that post to it read it from INGEST_TOKEN.
"""

import hmac
from typing import Annotated

from msgspec import Meta

Token = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._~+/-]{16,}=*\Z",
        description="at least 16 letters, digits and - . _ ~ + /, such as `openssl rand -hex 32` makes",
    ),
]


def header(token: str) -> str:
    """Return the value of the header Authorization."""
    return f"Bearer {token}"


def fits(given: str | None, token: str) -> bool:
    """Say whether a header Authorization has the token; how long that takes tells nothing about it."""
    scheme, _, words = (given or "").partition(" ")
    same = hmac.compare_digest(words.strip().encode(errors="replace"), token.encode())
    return same and scheme.lower() == "bearer"

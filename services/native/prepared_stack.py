"""A home that is ready for its parts: what preparation hands over to the process that runs them."""

from pathlib import Path

import msgspec


class PreparedStack(msgspec.Struct, frozen=True, kw_only=True):
    """A home that is ready for its parts (`preparation.py` makes it)."""

    home: Path
    environ: dict[str, str]
    """Of all parts, secrets included."""
    private: dict[str, list[str]]
    """Further secrets: names of variables to the parts that need them."""
    redis_url: str
    """With all rights."""
    addresses: dict[str, str]
    """Where everything is: name → URL, channels or folder."""
    health_database: str
    """The URL of the database with the audit log."""

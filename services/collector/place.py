"""Place: the host that is watched, and where its files are from here."""

from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A host: this machine, or the one whose /proc and / are mounted into this container."""

    name: str
    """Under which it reports."""
    proc: Path
    """Its /proc."""
    root: Path
    """Its /."""

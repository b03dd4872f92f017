"""Place: the host that is watched, and where its files are from here."""

from pathlib import Path
from typing import NamedTuple

from services.collector.config import OWN_PROC


class WatchedHost(NamedTuple):
    """A host: this machine, or the one whose /proc and / are mounted into this container."""

    name: str
    """Under which it reports."""
    proc: Path
    """Its /proc."""
    root: Path
    """Its /."""
    state: Path = Path("var") / "collector"
    """A folder of ours, for what checks must know after a restart."""

    @property
    def net(self) -> Path:
        """Its tables of sockets: /proc/net is that of whoever asks, the host's is under its first process."""
        return self.proc / ("self" if self.proc == OWN_PROC else "1") / "net"

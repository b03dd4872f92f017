"""Watched host: this machine, or the one whose /proc and / are mounted into this container."""

from pathlib import Path
from typing import NamedTuple

OWN_PROC = Path("/proc")
OWN_ROOT = Path("/")
MAX_SYMLINKS = 40
"""More symbolic links in one path are a loop, as for the kernel."""


class WatchedHost(NamedTuple):
    """A host, and where its files are."""

    name: str
    """The name that it reports under."""
    proc: Path
    """Its /proc."""
    root: Path
    """Its /."""
    state: Path = Path("var") / "collector"
    """Our folder for what checks must know after a restart."""

    @property
    def net(self) -> Path:
        """Its socket tables: /proc/net is that of the reader, the host's is under its first process."""
        return self.proc / ("self" if self.proc == OWN_PROC else "1") / "net"

    def resolve(self, path: str) -> Path:
        """Return where the host's `path` is for us; see `resolve_within`."""
        return resolve_within(self.root, path)


def resolve_within(root: Path, path: str) -> Path:
    """Return where `path` of the host whose / is at `root` is for us; its links stay within `root`.

    The host's /var/run is a link to /run, which the kernel would take for our own /run. Raises OSError if
    links form a loop or cannot be read.
    """
    found: list[str] = []
    ahead = path.split("/")[::-1]
    links = 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            del found[-1:]
        elif part not in ("", "."):
            here = root.joinpath(*found, part)
            if not here.is_symlink():
                found.append(part)
                continue
            links += 1
            if links > MAX_SYMLINKS:
                raise OSError(f"too many levels of symbolic links: {path}")
            target = str(here.readlink())
            if target.startswith("/"):
                found.clear()
            ahead += target.split("/")[::-1]
    return root.joinpath(*found)

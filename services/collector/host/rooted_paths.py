"""Paths of the watched host, as they are seen from here."""

from pathlib import Path

MAX_SYMLINKS = 40
"""So many symbolic links in one path are a circle, as for the kernel."""


def resolve_within(root: Path, path: str) -> Path:
    """Return where `path` of the host whose / is at `root` is from here; its links stay within `root`.

    Its /var/run is a link to /run, by which the kernel would mean our own /run.
    Raises OSError where links go round in a circle or cannot be read.
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

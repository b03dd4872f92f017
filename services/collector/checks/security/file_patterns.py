"""Watched files: which of the host's files fit paths and patterns, without leaving its root."""

import glob
import os
import stat
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from services.collector.host.watched_host import resolve_within

MAX_FILES = 1_000
"""Files of one pattern, at most; the check's text says if there are more."""


class MatchedFile(NamedTuple):
    """A file of the host."""

    name: str
    """As the host calls it."""
    path: Path
    """Where it is from here; a link is followed."""
    status: os.stat_result
    link: str | None
    """Where it points to, when it is a link."""


class FileMatches(NamedTuple):
    """What fits one pattern."""

    found: list[MatchedFile]
    complete: bool
    """False where there were more than MOST_FILES, or a folder that may not be read."""


def match_files(root: Path, pattern: str) -> FileMatches:
    """Return the files that match a path or pattern; `**` matches any folders."""
    names, complete = _names(root, pattern)
    found = []
    for name in names:
        try:
            found.append(_find(root, name))
        except FileNotFoundError:
            continue  # it is gone, or a link that leads nowhere
        except OSError:
            complete = False  # not readable; the caller reports it
    return FileMatches(found, complete)


def format_mode(status: os.stat_result) -> str:
    """Return the mode as people write it: `0640`."""
    return f"{stat.S_IMODE(status.st_mode):04o}"


def join_limited(items: Sequence[str], most: int) -> str:
    """Join the first items and say how many more there are."""
    more = f"; and {len(items) - most} more" if len(items) > most else ""
    return "; ".join(items[:most]) + more


def _names(root: Path, pattern: str) -> tuple[list[str], bool]:
    if not glob.has_magic(pattern):
        return [pattern], True
    parts = pattern.split("/")
    first = next(at for at, part in enumerate(parts) if glob.has_magic(part))
    folder, rest = "/".join(parts[:first]), "/".join(parts[first:])
    here = resolve_within(root, folder)
    if here.is_dir() and not os.access(here, os.R_OK | os.X_OK):
        return [], False
    # Path.glob takes no `a**`; iglob gives the folder itself as an empty name.
    fitting = glob.iglob(rest, root_dir=here, recursive=True, include_hidden=True)  # noqa: PTH207 - see above
    names = [f"{folder}/{name}" for name in islice(fitting, MAX_FILES + 1) if name]
    return sorted(names[:MAX_FILES]), len(names) <= MAX_FILES


def _find(root: Path, name: str) -> MatchedFile:
    parent, _, last = name.rstrip("/").rpartition("/")
    itself = resolve_within(root, parent) / last
    link = os.readlink(itself) if itself.is_symlink() else None  # noqa: PTH115 - as it is written
    path = resolve_within(root, name)
    return MatchedFile(name, path, path.stat(), link)

"""Watched files: that content, owner and mode stay what they are.

A change is told once: the look that sees it is a warning, and from then on what it is now is what it was.
"""

import errno
import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import msgspec

from services.collector.place import Place
from services.collector.probe import Look, Probe
from services.collector.state import State
from services.collector.watched_files import MOST_FILES, Found, listed, match, mode
from services.collector.wording import size
from shared.runtime.checks import SecuritySection
from shared.schema.records import CheckType

MOST_BYTES = 64 * 2**20
"""So much of a file's content counts, and its length."""
_CHUNK = 2**20
MOST_TOLD = 5


class Print(msgspec.Struct, frozen=True):
    """What a file is like."""

    owner: str
    """Numbers of user and group."""
    mode: str
    link: str | None = None
    content: str | None = None
    """Length and hash; None where it may not be read, or is no plain file."""
    written_at: datetime | None = None


class Known(msgspec.Struct):
    """The files of each pattern, by name."""

    files: dict[str, dict[str, Print]] = {}
    latest: str = ""
    """The change that was told last."""


class Survey(NamedTuple):
    """What a look finds."""

    files: dict[str, dict[str, Print]]
    """Of each pattern, by name."""
    missing: list[str]
    """Patterns that nothing fits."""
    hidden: list[str]
    """Patterns of which not all files may be seen."""


def probe(section: SecuritySection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.files`."""
    return FileProbe(section.files, timeout_s, place, State(Known, "files", place.state))


class FileProbe:
    """Reads again only files of which length, moments or place on the disk are others."""

    type: CheckType = "file"

    def __init__(self, patterns: Sequence[str], timeout_s: float, place: Place, state: State[Known]) -> None:
        self._patterns = patterns
        self._timeout_s = timeout_s
        self._root = place.root
        self._state = state
        self._known: Known | None = None
        self._contents: dict[tuple[int, ...], str | None] = {}
        """By what changes whenever a file is written, the moment of its last change of any kind among it."""

    def look(self, now: datetime) -> Look:
        """Look once; what was read until the time was up is kept for the next look."""
        known = self._known or self._state.load() or Known()
        try:
            survey = self._survey(known, time.monotonic() + 0.8 * self._timeout_s)
        except TimeoutError:
            text = f"the files cannot be read within {self._timeout_s:g} s: the next look goes on with them"
            return Look("unknown", text, "timeout")
        files = survey.files
        changes = [text for pattern in files for text in changes_of(known.files.get(pattern), files[pattern])]
        changes = list(dict.fromkeys(changes))  # a file may fit two patterns
        latest = f"{changes[0]} (seen {now:%Y-%m-%d %H:%M} UTC)" if changes else known.latest
        self._known = Known(_kept(known.files, files), latest)
        self._state.save(self._known)
        return judge(changes, survey, latest)

    def _survey(self, known: Known, deadline: float) -> Survey:
        survey = Survey({}, [], [])
        used: set[tuple[int, ...]] = set()
        for pattern in self._patterns:
            matches = match(self._root, pattern)
            prints = {one.name: self._print(one, used, deadline) for one in matches.found}
            if matches.complete:
                survey.files[pattern] = prints
                if not prints:
                    survey.missing.append(pattern)
                continue
            survey.hidden.append(pattern)
            if old := known.files.get(pattern):
                # What cannot be seen is not gone, and what is seen only now is not new.
                survey.files[pattern] = old | {name: one for name, one in prints.items() if name in old}
        self._contents = {key: self._contents[key] for key in used}
        return survey

    def _print(self, one: Found, used: set[tuple[int, ...]], deadline: float) -> Print:
        status = one.status
        content = None
        if stat.S_ISREG(status.st_mode):
            key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if key not in self._contents:
                self._contents[key] = _content(one.path, deadline)
            used.add(key)
            content = self._contents[key]
        written_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(microsecond=0)
        return Print(f"{status.st_uid}:{status.st_gid}", mode(status), one.link, content, written_at)


def changes_of(before: Mapping[str, Print] | None, after: Mapping[str, Print]) -> Iterator[str]:
    """Say what is different, a sentence for each file; a new pattern has nothing to compare."""
    if before is None:
        return
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if new is None:
            yield f"{name} is gone"
        elif old is None:
            yield f"{name} is new (owner {new.owner}, mode {new.mode})"
        elif differences := list(_differences(old, new)):
            yield f"{name}: {', '.join(differences)}"


def judge(changes: Sequence[str], survey: Survey, latest: str) -> Look:
    """Say what changed since the last look; well again with the next."""
    figures = {"occurrences": len(changes)}
    if changes:
        return Look("warning", f"{listed(changes, MOST_TOLD)}; expected no change", "changed", figures)
    if survey.hidden:
        names = ", ".join(survey.hidden)
        text = f"not all of {names} may be seen by this collector, or there are more than {MOST_FILES} files"
        return Look("unknown", text, "denied", figures)
    watched = {name: one for found in survey.files.values() for name, one in found.items()}
    count = "one file" if len(watched) == 1 else f"{len(watched)} files"
    text = f"no change of {count} since the last look"
    if unread := sum(one.content is None and one.link is None for one in watched.values()):
        text += f"; of {unread} only owner and mode are seen"
    if long := sum(_length(one.content) > MOST_BYTES for one in watched.values()):
        text += f"; of {long} only the length and the first {size(MOST_BYTES)} are compared"
    if survey.missing:
        text += f"; nothing fits {', '.join(survey.missing)}"
    return Look("ok", text + (f"; the last change: {latest}" if latest else ""), None, figures)


def _differences(old: Print, new: Print) -> Iterator[str]:
    if None not in (old.content, new.content) and old.content != new.content:
        yield f"the content changed (written {new.written_at:%Y-%m-%d %H:%M:%S} UTC)"
    if old.owner != new.owner:
        yield f"the owner was {old.owner} and is {new.owner}"
    if old.mode != new.mode:
        yield f"the mode was {old.mode} and is {new.mode}"
    if old.link != new.link:
        yield f"it pointed to {old.link or 'nothing'} and points to {new.link or 'nothing'}"


def _kept(
    before: Mapping[str, Mapping[str, Print]], after: Mapping[str, Mapping[str, Print]]
) -> dict[str, dict[str, Print]]:
    """Return what is known now; of a file that cannot be read for a while, the content that it had."""
    kept: dict[str, dict[str, Print]] = {}
    for pattern, files in after.items():
        old = before.get(pattern, {})
        kept[pattern] = {
            name: msgspec.structs.replace(one, content=old[name].content)
            if one.content is None and name in old
            else one
            for name, one in files.items()
        }
    return kept


def _length(content: str | None) -> int:
    return int(content.partition(" ")[0]) if content else 0


def _content(path: Path, deadline: float) -> str | None:
    """Return length and hash; None when it may not be read. Raises TimeoutError at the deadline."""
    try:
        # Never waits, should the file have become a pipe since.
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        return None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENXIO, errno.ELOOP):
            return None  # it vanished in this very moment: the next look says so
        raise
    digest, length = sha256(), 0
    with os.fdopen(opened, "rb") as file:
        while length < MOST_BYTES and (chunk := file.read(min(_CHUNK, MOST_BYTES - length))):
            if time.monotonic() > deadline:
                raise TimeoutError
            digest.update(chunk)
            length += len(chunk)
        length = max(length, os.fstat(file.fileno()).st_size)
    return f"{length} {digest.hexdigest()}"

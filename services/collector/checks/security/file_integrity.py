"""Watched files: that content, owner and mode stay what they are.

A change is reported once: that run is a warning, and the new content becomes the baseline.
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

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.saved_state import SavedState
from services.collector.checks.security.file_patterns import (
    MAX_FILES,
    MatchedFile,
    format_mode,
    join_limited,
    match_files,
)
from services.collector.host.watched_host import WatchedHost
from shared.schema.formatting import format_value
from shared.schema.records import CheckType
from shared.schema.units import BYTES

MAX_BYTES = 64 * 2**20
"""So much of a file's content counts, and its length."""
_CHUNK = 2**20
MAX_LISTED = 5


class FileFingerprint(msgspec.Struct, frozen=True):
    """What a file is like."""

    owner: str
    """Numbers of user and group."""
    mode: str
    link: str | None = None
    content: str | None = None
    """Length and hash; None where it may not be read, or is no plain file."""
    written_at: datetime | None = None


class KnownFiles(msgspec.Struct):
    """The files of each pattern, by name."""

    files: dict[str, dict[str, FileFingerprint]] = {}
    latest: str = ""
    """The change that was reported last."""


class FileScan(NamedTuple):
    """What a run finds."""

    files: dict[str, dict[str, FileFingerprint]]
    """Of each pattern, by name."""
    missing: list[str]
    """Patterns that nothing fits."""
    hidden: list[str]
    """Patterns of which not all files may be seen."""


def create_probe(patterns: Sequence[str], timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `patterns`."""
    return FileIntegrityProbe(patterns, timeout_s, place, SavedState(KnownFiles, "files", place.state))


class FileIntegrityProbe:
    """Reads again only files of which length, moments or place on the disk are others."""

    type: CheckType = "file"

    def __init__(
        self, patterns: Sequence[str], timeout_s: float, place: WatchedHost, state: SavedState[KnownFiles]
    ) -> None:
        self._patterns = patterns
        self._timeout_s = timeout_s
        self._root = place.root
        self._state = state
        self._known: KnownFiles | None = None
        self._contents: dict[tuple[int, ...], str | None] = {}
        """By what changes whenever a file is written, the moment of its last change of any kind among it."""

    def run(self, now: datetime) -> CheckResult:
        """Run once; what was read before the timeout is kept for the next run."""
        known = self._known or self._state.load() or KnownFiles()
        try:
            survey = self._scan(known, time.monotonic() + 0.8 * self._timeout_s)
        except TimeoutError:
            text = f"File scan not finished within {self._timeout_s:g} s; continuing with the next run"
            return CheckResult("unknown", text, "timeout")
        files = survey.files
        changes = [
            text for pattern in files for text in describe_changes(known.files.get(pattern), files[pattern])
        ]
        changes = list(dict.fromkeys(changes))  # a file may fit two patterns
        latest = f"{changes[0]} (seen {now:%Y-%m-%d %H:%M} UTC)" if changes else known.latest
        self._known = KnownFiles(_merge_known(known.files, files), latest)
        self._state.save(self._known)
        return evaluate_changes(changes, survey, latest)

    def _scan(self, known: KnownFiles, deadline: float) -> FileScan:
        survey = FileScan({}, [], [])
        used: set[tuple[int, ...]] = set()
        for pattern in self._patterns:
            matches = match_files(self._root, pattern)
            prints = {one.name: self._fingerprint(one, used, deadline) for one in matches.found}
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

    def _fingerprint(self, one: MatchedFile, used: set[tuple[int, ...]], deadline: float) -> FileFingerprint:
        status = one.status
        content = None
        if stat.S_ISREG(status.st_mode):
            key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if key not in self._contents:
                self._contents[key] = _hash_content(one.path, deadline)
            used.add(key)
            content = self._contents[key]
        written_at = datetime.fromtimestamp(status.st_mtime, UTC).replace(microsecond=0)
        return FileFingerprint(
            f"{status.st_uid}:{status.st_gid}", format_mode(status), one.link, content, written_at
        )


def describe_changes(
    before: Mapping[str, FileFingerprint] | None, after: Mapping[str, FileFingerprint]
) -> Iterator[str]:
    """Say what is different, a sentence for each file; a new pattern has nothing to compare."""
    if before is None:
        return
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if new is None:
            yield f"{name} was deleted"
        elif old is None:
            yield f"{name} was created (owner {new.owner}, mode {new.mode})"
        elif differences := list(_differences(old, new)):
            yield f"{name}: {', '.join(differences)}"


def evaluate_changes(changes: Sequence[str], survey: FileScan, latest: str) -> CheckResult:
    """Describe what changed since the last run; ok again in the next one."""
    figures = {"occurrences": len(changes)}
    if changes:
        return CheckResult("warning", join_limited(changes, MAX_LISTED), "changed", figures)
    if survey.hidden:
        names = ", ".join(survey.hidden)
        text = f"Permission denied on some of {names}, or more than {MAX_FILES} files match"
        return CheckResult("unknown", text, "denied", figures)
    watched = {name: one for found in survey.files.values() for name, one in found.items()}
    count = "1 file" if len(watched) == 1 else f"{len(watched)} files"
    text = f"{count} unchanged since the last run"
    if unread := sum(one.content is None and one.link is None for one in watched.values()):
        text += f"; {unread} unreadable (only owner and mode are watched)"
    if long := sum(_length(one.content) > MAX_BYTES for one in watched.values()):
        text += f"; {long} compared by length and the first {format_value(MAX_BYTES, BYTES)} only"
    if survey.missing:
        text += f"; no file matches {', '.join(survey.missing)}"
    return CheckResult("ok", text + (f"; last change: {latest}" if latest else ""), None, figures)


def _differences(old: FileFingerprint, new: FileFingerprint) -> Iterator[str]:
    if None not in (old.content, new.content) and old.content != new.content:
        yield f"content changed (written {new.written_at:%Y-%m-%d %H:%M:%S} UTC)"
    if old.owner != new.owner:
        yield f"owner changed from {old.owner} to {new.owner}"
    if old.mode != new.mode:
        yield f"mode changed from {old.mode} to {new.mode}"
    if old.link != new.link:
        yield f"link changed from {old.link or 'nothing'} to {new.link or 'nothing'}"


def _merge_known(
    before: Mapping[str, Mapping[str, FileFingerprint]], after: Mapping[str, Mapping[str, FileFingerprint]]
) -> dict[str, dict[str, FileFingerprint]]:
    """Return what is known now; of a file that cannot be read for a while, the content that it had."""
    kept: dict[str, dict[str, FileFingerprint]] = {}
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


def _hash_content(path: Path, deadline: float) -> str | None:
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
        while length < MAX_BYTES and (chunk := file.read(min(_CHUNK, MAX_BYTES - length))):
            if time.monotonic() > deadline:
                raise TimeoutError
            digest.update(chunk)
            length += len(chunk)
        length = max(length, os.fstat(file.fileno()).st_size)
    return f"{length} {digest.hexdigest()}"

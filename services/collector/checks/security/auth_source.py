"""The one source of what happens with logins on a host: log files, else the journal, else btmp.

Only one is used, because all of them have the same attempts. Files are the cheapest to read; one that has
not changed for a day may be left over from a syslog that is gone, so the journal is preferred to it.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from services.collector.checks.base import CheckResult
from services.collector.checks.saved_state import SavedState
from services.collector.checks.security import journal, log_tail
from services.collector.checks.security.auth_log import (
    RECORD,
    AuthMessage,
    FailedLogin,
    parse_btmp,
    parse_lines,
)
from services.collector.checks.security.log_tail import FilePosition
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import FailedLoginsSection

STALE = timedelta(days=1)
SourceKind = Literal["files", "journal", "btmp", "none"]


class ReadPosition(msgspec.Struct):
    """How far has been read, and when."""

    at: datetime
    source: SourceKind = "none"
    positions: dict[str, FilePosition] = {}
    cursor: str | None = None


class AuthEvents(NamedTuple):
    """What happened between two runs."""

    since: datetime | None
    """None in the very first run, which reports nothing."""
    where: str
    """The source, for people; empty when there is none."""
    messages: list[AuthMessage]
    failures: list[FailedLogin]
    """Of btmp, which knows nothing but these."""
    skipped: bool
    """There was more than is read at once."""


def read_or_result(source: "AuthSource", now: datetime, about: str) -> AuthEvents | CheckResult:
    """Return what is new `about` logins or sudo, or a result that says why it is unknown."""
    try:
        return source.read(now)
    except PermissionError as error:
        return CheckResult("unknown", f"Permission denied on {error.filename}", "denied")
    except OSError as error:
        return CheckResult("unknown", f"Cannot read the {about} log: {error.strerror or error}", "other")
    except journal.JournalError as error:
        return CheckResult("unknown", f"{error}", "other")


class AuthSource:
    """Reads on from where the last run ended, also over a restart."""

    def __init__(
        self,
        section: FailedLoginsSection,
        place: WatchedHost,
        timeout_s: float,
        state: SavedState[ReadPosition],
        *,
        btmp: bool,
    ) -> None:
        self._section = section
        self._place = place
        self._timeout_s = timeout_s
        self._state = state
        self._btmp = section.btmp if btmp else None
        self._reached: ReadPosition | None = None

    def read(self, now: datetime) -> AuthEvents:
        """Return what is new. Raises OSError for what may not be read, JournalError."""
        before = self._reached or self._state.load()
        reached = ReadPosition(now, self._choose(now))
        if before is None:
            events = self._read(reached, first=True)
        else:
            known = ReadPosition(now, before.source, dict(before.positions), before.cursor)
            events = self._read(known, first=False)
            if before.source in ("none", reached.source):
                known.source, reached = reached.source, known
            else:
                # What the new source has so far came from the previous one.
                self._read(reached, first=True)
        self._reached = reached
        self._state.save(reached)
        return events._replace(since=before.at if before else None)

    def _choose(self, now: datetime) -> SourceKind:
        written = [moment for name in self._section.files if (moment := self._last_written(name))]
        if any(moment > now.timestamp() - STALE.total_seconds() for moment in written):
            return "files"
        if self._section.journal and journal.journal_folder(self._place.root):
            return "journal"
        if written:
            return "files"
        return "btmp" if self._btmp and self._path(self._btmp).exists() else "none"

    def _last_written(self, name: str) -> float | None:
        """Return when a log was written to last; in the moment of rotation only the old one is there."""
        moments = []
        for sibling in log_tail.rotated_files(self._path(name)):
            try:
                moments.append(sibling.stat().st_mtime)
            except FileNotFoundError:
                continue  # it was rotated on in this very moment
        return max(moments, default=None)

    def _read(self, reached: ReadPosition, *, first: bool) -> AuthEvents:
        if reached.source == "journal":
            return self._read_journal(reached)
        if reached.source == "btmp" and self._btmp:
            piece = self._read_file(reached, self._btmp, first=first, record=RECORD.size)
            failures = list(parse_btmp(piece.data)) if piece else []
            return AuthEvents(None, self._btmp, [], failures, bool(piece and piece.skipped))
        messages: list[AuthMessage] = []
        read, skipped = [], False
        for name in self._section.files:
            piece = self._read_file(reached, name, first=first)
            # In the moment of rotation a log is away, and nothing is lost.
            if reached.positions[name] != log_tail.BEGINNING:
                read.append(name)
            if piece:
                messages += parse_lines(piece.data)
                skipped |= piece.skipped
        return AuthEvents(None, " and ".join(read), messages, [], skipped)

    def _read_file(
        self, reached: ReadPosition, name: str, *, first: bool, record: int | None = None
    ) -> log_tail.FileChunk | None:
        known = reached.positions.get(name)
        try:
            piece = log_tail.read_new(self._path(name), None if first else known, record)
        except FileNotFoundError:
            # What will be in it is new.
            reached.positions.setdefault(name, log_tail.BEGINNING)
            return None
        reached.positions[name] = piece.position
        return piece

    def _read_journal(self, reached: ReadPosition) -> AuthEvents:
        folder = journal.journal_folder(self._place.root)
        if folder is None:
            return AuthEvents(None, "", [], [], skipped=False)
        # At most two calls, and time to report.
        extract = journal.read_journal(folder, reached.cursor, self._timeout_s / 3)
        reached.cursor = extract.cursor
        return AuthEvents(None, "the journal", extract.messages, [], extract.skipped)

    def _path(self, name: str) -> Path:
        return self._place.resolve(name)

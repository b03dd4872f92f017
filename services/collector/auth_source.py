"""The one source of what happens with logins on a host: log files, else the journal, else btmp.

One at a time, for all of them tell of the same attempts. Files are the cheapest to read; a file that nobody
has written to for a day may be left over from a syslog that is gone, so a journal comes before it.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from services.collector import journal, tail
from services.collector.auth_log import Failure, Message, parse_lines
from services.collector.btmp import RECORD, parse_btmp
from services.collector.paths import within
from services.collector.place import Place
from services.collector.probe import Look
from services.collector.state import State
from services.collector.tail import Position
from shared.runtime.checks import FailedLoginsSection

STALE = timedelta(days=1)
Source = Literal["files", "journal", "btmp", "none"]


class Reached(msgspec.Struct):
    """How far has been read, and when."""

    at: datetime
    source: Source = "none"
    positions: dict[str, Position] = {}
    cursor: str | None = None


class News(NamedTuple):
    """What happened between two looks."""

    since: datetime | None
    """None at the very first look, which has nothing to tell."""
    where: str
    """The source, for people; empty when there is none."""
    messages: list[Message]
    failures: list[Failure]
    """Of btmp, which knows nothing but these."""
    skipped: bool
    """There was more than is read at once."""


def hear(source: "AuthSource", now: datetime, about: str) -> News | Look:
    """Return what is new `about` logins or sudo, or the look that says why nobody can tell."""
    try:
        return source.read(now)
    except PermissionError as error:
        return Look("unknown", f"{error.filename} may not be read by this collector", "denied")
    except OSError as error:
        return Look("unknown", f"the log of {about} cannot be read: {error.strerror or error}", "other")
    except journal.JournalError as error:
        return Look("unknown", f"{error}", "other")


class AuthSource:
    """Reads on from where the last look ended, also over a restart."""

    def __init__(
        self,
        section: FailedLoginsSection,
        place: Place,
        timeout_s: float,
        state: State[Reached],
        *,
        btmp: bool,
    ) -> None:
        self._section = section
        self._place = place
        self._timeout_s = timeout_s
        self._state = state
        self._btmp = section.btmp if btmp else None
        self._reached: Reached | None = None

    def read(self, now: datetime) -> News:
        """Return what is new. Raises OSError for what may not be read, JournalError."""
        before = self._reached or self._state.load()
        reached = Reached(now, self._choose(now))
        if before is None:
            news = self._read(reached, first=True)
        else:
            known = Reached(now, before.source, dict(before.positions), before.cursor)
            news = self._read(known, first=False)
            if before.source in ("none", reached.source):
                known.source, reached = reached.source, known
            else:
                # What is in the new source until now, the one before has told.
                self._read(reached, first=True)
        self._reached = reached
        self._state.save(reached)
        return news._replace(since=before.at if before else None)

    def _choose(self, now: datetime) -> Source:
        written = [moment for name in self._section.files if (moment := self._written(name))]
        if any(moment > now.timestamp() - STALE.total_seconds() for moment in written):
            return "files"
        if self._section.journal and journal.folder_of(self._place.root):
            return "journal"
        if written:
            return "files"
        return "btmp" if self._btmp and self._path(self._btmp).exists() else "none"

    def _written(self, name: str) -> float | None:
        """Return when a log was written to last; in the moment of rotation only the old one is there."""
        moments = []
        for sibling in tail.siblings(self._path(name)):
            try:
                moments.append(sibling.stat().st_mtime)
            except FileNotFoundError:
                continue  # it was rotated on in this very moment
        return max(moments, default=None)

    def _read(self, reached: Reached, *, first: bool) -> News:
        if reached.source == "journal":
            return self._read_journal(reached)
        if reached.source == "btmp" and self._btmp:
            piece = self._read_file(reached, self._btmp, first=first, record=RECORD.size)
            failures = list(parse_btmp(piece.data)) if piece else []
            return News(None, self._btmp, [], failures, bool(piece and piece.skipped))
        messages: list[Message] = []
        read, skipped = [], False
        for name in self._section.files:
            piece = self._read_file(reached, name, first=first)
            # In the moment of rotation a log is away, and nothing is lost.
            if reached.positions[name] != tail.BEGINNING:
                read.append(name)
            if piece:
                messages += parse_lines(piece.data)
                skipped |= piece.skipped
        return News(None, " and ".join(read), messages, [], skipped)

    def _read_file(
        self, reached: Reached, name: str, *, first: bool, record: int | None = None
    ) -> tail.Piece | None:
        known = reached.positions.get(name)
        try:
            piece = tail.read_new(self._path(name), None if first else known, record)
        except FileNotFoundError:
            # What will be in it is new.
            reached.positions.setdefault(name, tail.BEGINNING)
            return None
        reached.positions[name] = piece.position
        return piece

    def _read_journal(self, reached: Reached) -> News:
        folder = journal.folder_of(self._place.root)
        if folder is None:
            return News(None, "", [], [], skipped=False)
        # At most two calls, and time to report.
        extract = journal.read_journal(folder, reached.cursor, self._timeout_s / 3)
        reached.cursor = extract.cursor
        return News(None, "the journal", extract.messages, [], extract.skipped)

    def _path(self, name: str) -> Path:
        return within(self._place.root, name)

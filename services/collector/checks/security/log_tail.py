"""Tail: what was written to a log file since the last run, over rotation and truncation."""

import glob
import os
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

MAX_BYTES = 8 * 2**20
"""So much is read at once; of more, the newest."""
_MARK_BYTES = 256


class FilePosition(msgspec.Struct, frozen=True):
    """Where reading ended."""

    inode: int = 0
    offset: int = 0
    mark: str = ""
    """A hash of what stands before `offset`: a file that was emptied and has grown again is another."""


BEGINNING = FilePosition()
"""Of a file that is not there yet."""


class FileChunk(NamedTuple):
    """What is new."""

    data: bytes
    """Whole lines or records."""
    position: FilePosition
    skipped: bool = False
    """There was more than is read at once."""


def read_new(path: Path, known: FilePosition | None, record: int | None = None) -> FileChunk:
    """Return what follows `known`; nothing at first (None): what is there already is not new.

    A file that was replaced is read from its beginning, after the rest of the one before, if that still
    stands beside it. `record` is the length of binary records; without it there are lines. Raises OSError.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if known is None:
            end = status.st_size - status.st_size % (record or 1)
            return FileChunk(b"", FilePosition(status.st_ino, end, _mark(file, end)))
        if known.inode == status.st_ino and _is_same_file(file, known):
            return _read(file, known.offset, record)
        rest = _unread(path, known, record)
        piece = _read(file, 0, record)
        return FileChunk(rest.data + piece.data, piece.position, rest.skipped or piece.skipped)


def rotated_files(path: Path) -> list[Path]:
    """Return the file and what it was rotated to: `auth.log`, `auth.log.1`, `secure-20261122`."""
    return sorted(path.parent.glob(glob.escape(path.name) + "*"))


def _unread(path: Path, known: FilePosition, record: int | None) -> FileChunk:
    for sibling in rotated_files(path):
        try:
            if sibling.stat().st_ino != known.inode:
                continue
            with sibling.open("rb") as file:
                if _is_same_file(file, known):
                    return _read(file, known.offset, record)
        except FileNotFoundError:
            continue  # it was rotated on in this very moment
    return FileChunk(b"", known)


def _read(file: BinaryIO, begin: int, record: int | None) -> FileChunk:
    status = os.fstat(file.fileno())
    start = max(begin, status.st_size - MAX_BYTES)
    if record:
        start += -start % record
    file.seek(start)
    data = file.read(MAX_BYTES)
    whole = len(data) - len(data) % record if record else data.rfind(b"\n") + 1
    if not whole and len(data) == MAX_BYTES:
        whole = len(data)  # no line is that long
    end = start + whole
    skipped = start > begin
    # What is skipped ends in the middle of a line.
    first = data.find(b"\n") + 1 if skipped and not record else 0
    return FileChunk(data[first:whole], FilePosition(status.st_ino, end, _mark(file, end)), skipped)


def _is_same_file(file: BinaryIO, known: FilePosition) -> bool:
    return os.fstat(file.fileno()).st_size >= known.offset and _mark(file, known.offset) == known.mark


def _mark(file: BinaryIO, offset: int) -> str:
    begin = max(0, offset - _MARK_BYTES)
    file.seek(begin)
    return sha256(file.read(offset - begin)).hexdigest()[:16]

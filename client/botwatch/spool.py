"""The spool: records that wait to be sent, on disk if possible, so that they survive the bot's crash.

Each process appends to files of its own, in a folder of the bot and of where its records go. A process that
starts takes over what processes left that no longer run. Both the files and the memory are bounded: beyond,
the oldest records are dropped and counted, because alerts depend on the newest.
"""

import fcntl
import hashlib
import os
import shutil
import threading
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

MAX_DISK_BYTES = 64 * 2**20
SEGMENTS = 16
"""Files that the disk's share is divided into; the oldest file is dropped as a whole."""
MAX_MEMORY_RECORDS = 10_000
"""Where no folder can be written."""
MAX_LINE_BYTES = 2**20


def default_folder() -> Path | None:
    """Return BOTWATCH_SPOOL, else `botwatch/spool` in the user's state; None without a home."""
    environ = os.environ
    if given := environ.get("BOTWATCH_SPOOL"):
        return Path(given)
    try:
        state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    except RuntimeError:  # a user without a home, as in containers
        return None
    return Path(state, "botwatch", "spool")


def spool_name(bot: str, address: str) -> str:
    """Return the name of the folder of a bot's records to one Botwatch."""
    return hashlib.sha256(f"{bot}\n{address}".encode()).hexdigest()[:16]


class MemorySpool:
    """Records in memory only."""

    def __init__(self, max_records: int = MAX_MEMORY_RECORDS) -> None:
        self._lines: deque[bytes] = deque()
        self._max = max_records
        self._taken = 0
        self.dropped = 0

    @property
    def pending(self) -> int:
        """Number of records that are not sent."""
        return len(self._lines)

    def append(self, line: bytes) -> None:
        """Add a record; drops the oldest one where there are too many."""
        if len(self._lines) >= self._max:
            self._lines.popleft()
            self._taken = max(self._taken - 1, 0)
            self.dropped += 1
        self._lines.append(line)

    def read(self, max_records: int, max_bytes: int) -> list[bytes]:
        """Return the oldest records that fit, at least one if there is any; `remove` ends their wait."""
        found: list[bytes] = []
        size = 0
        for line in self._lines:
            size += len(line)
            if found and (len(found) >= max_records or size > max_bytes):
                break
            found.append(line)
        self._taken = len(found)
        return found

    def remove(self) -> None:
        """Remove the records that were read last, less those dropped since."""
        for _ in range(self._taken):
            self._lines.popleft()
        self._taken = 0

    def close(self) -> None:
        """Forget the records."""
        self._lines.clear()


class DiskSpool:
    """Records in files of one process: `000001.jsonl`, …, and `sent` with how far they were sent.

    What `append` has returned for is in the file, without fsync: it survives the end of the process, also by
    SIGKILL, but not a power cut. Raises OSError if a file cannot be written.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_DISK_BYTES) -> None:
        self.folder = folder
        self.dropped = 0
        self._segment_bytes = max_bytes // SEGMENTS
        self._lock_file = _locked(folder / "lock") if folder.exists() else _make_locked(folder)
        self._sent = os.open(folder / "sent", os.O_RDWR | os.O_CREAT, 0o600)
        self._counts = {int(path.stem): _count_lines(path) for path in sorted(folder.glob("*.jsonl"))}
        """Records of each file that are not sent, by number."""
        self._offset = 0
        self._begin_with_unsent()
        self._last = max(self._counts, default=0)
        self._file: int | None = None
        self._size = 0
        self._taken: tuple[int, int, int] | None = None

    @property
    def pending(self) -> int:
        """Number of records that are not sent."""
        return sum(self._counts.values())

    def append(self, line: bytes) -> None:
        """Add a record; drops the oldest file where there are too many."""
        file = self._file
        if file is None or self._size >= self._segment_bytes:
            file = self._begin_file()
        written = 0
        try:
            written = os.write(file, line + b"\n")
        finally:
            if written <= len(line):
                os.ftruncate(file, self._size)
        if written <= len(line):
            raise OSError(f"only {written} of {len(line) + 1} bytes were written")
        self._size += written
        self._counts[self._last] += 1

    def read(self, max_records: int, max_bytes: int) -> list[bytes]:
        """Return the oldest records that fit, at least one if there is any; `remove` ends their wait."""
        while self._counts:
            number = min(self._counts)
            try:
                lines = self._read_file(number, max_records, max_bytes)
            except FileNotFoundError:  # somebody deleted it
                self.dropped += self._counts[number]
                self._delete(number)
                continue
            if lines:
                self._taken = number, sum(len(line) + 1 for line in lines), len(lines)
                return lines
            if number == self._last:
                return []
            self._delete(number)
        return []

    def remove(self) -> None:
        """Remove the records that were read last, unless their file was dropped since."""
        taken, self._taken = self._taken, None
        if taken is None or taken[0] not in self._counts:
            return
        number, size, count = taken
        self._offset += size
        self._counts[number] -= count
        if self._counts[number] <= 0 and (number != self._last or self._size >= self._segment_bytes):
            self._delete(number)
        else:
            self._note_sent(number)

    def close(self) -> None:
        """Close the files; the folder is deleted if nothing waits in it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        os.close(self._sent)
        if not self.pending:
            shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock_file)

    def _begin_with_unsent(self) -> None:
        """Go on where an earlier process stopped."""
        number, _, offset = os.pread(self._sent, 64, 0).decode().strip().partition(" ")
        for earlier in [one for one in self._counts if number.isdecimal() and one < int(number)]:
            self._delete(earlier)
        if number.isdecimal() and offset.isdecimal() and int(number) in self._counts:
            self._offset = int(offset)
            self._counts[int(number)] = _count_lines(self._path(int(number)), self._offset)

    def _begin_file(self) -> int:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if len(self._counts) >= SEGMENTS:
            oldest = min(self._counts)
            self.dropped += self._counts[oldest]
            self._delete(oldest)
        number = self._last + 1
        self._file = os.open(self._path(number), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        self._last, self._size, self._counts[number] = number, 0, 0
        return self._file

    def _read_file(self, number: int, max_records: int, max_bytes: int) -> list[bytes]:
        found: list[bytes] = []
        size = 0
        with self._path(number).open("rb") as file:
            file.seek(self._offset)
            while len(found) < max_records:
                line = file.readline(MAX_LINE_BYTES)
                size += len(line)
                # A line without an end was being written when the process ended: `append` did not return.
                if not line.endswith(b"\n") or (found and size > max_bytes):
                    break
                found.append(line[:-1])
        return found

    def _note_sent(self, number: int) -> None:
        os.pwrite(self._sent, f"{number} {self._offset}".ljust(40).encode(), 0)

    def _delete(self, number: int) -> None:
        self._path(number).unlink(missing_ok=True)
        is_first = number == min(self._counts)
        del self._counts[number]
        if is_first:
            self._offset = 0
            self._note_sent(number + 1)
        if number == self._last and self._file is not None:
            os.close(self._file)
            self._file = None

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.jsonl"


class Spool:
    """All records that wait: what earlier processes left, then this process's, on disk or else in memory.

    Safe to use from several threads; after a fork, the child has a spool of its own.
    """

    def __init__(self, folder: Path | None, max_bytes: int = MAX_DISK_BYTES) -> None:
        """Without a folder, records wait in memory."""
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._memory = MemorySpool()
        self._left: list[DiskSpool] = []
        self._disk: DiskSpool | None = None
        self.error: OSError | None = None
        """Why records wait in memory, although there is a folder."""
        if folder is not None:
            with self._fall_back_to_memory():
                self._left = list(_take_over(folder, max_bytes))
                self._disk = DiskSpool(folder / uuid.uuid4().hex, max_bytes)

    @property
    def pending(self) -> int:
        """Number of records that are not sent."""
        with self._lock:
            return sum(part.pending for part in self._parts())

    @property
    def is_on_disk(self) -> bool:
        """Whether all records that wait are on disk."""
        return self._disk is not None and not self._memory.pending

    @property
    def dropped(self) -> int:
        """Number of records that were dropped because too many waited."""
        with self._lock:
            return sum(part.dropped for part in self._parts())

    def append(self, line: bytes) -> None:
        """Add a record as JSON."""
        with self._lock:
            if self._disk is not None and self.error is None:
                with self._fall_back_to_memory():
                    self._disk.append(line)
                    return
            self._memory.append(line)

    def read(self, max_records: int, max_bytes: int) -> Sequence[bytes]:
        """Return the oldest records that fit, at least one if there is any; `remove` ends their wait."""
        with self._lock:
            for part in self._parts():
                with self._fall_back_to_memory():
                    if lines := part.read(max_records, max_bytes):
                        return lines
        return []

    def remove(self) -> None:
        """Remove the records that were read last."""
        with self._lock, self._fall_back_to_memory():
            for part in self._parts():
                part.remove()
            for part in [one for one in self._left if not one.pending]:
                self._left.remove(part)
                part.close()

    def close(self) -> None:
        """Close the files; records that wait on disk are sent by the bot's next process."""
        with self._lock, self._fall_back_to_memory():
            for part in self._parts():
                part.close()
            self._left, self._disk = [], None

    def _parts(self) -> list[DiskSpool | MemorySpool]:
        return [*self._left, *([self._disk] if self._disk else []), self._memory]

    @contextmanager
    def _fall_back_to_memory(self) -> Iterator[None]:
        """Let records wait in memory from now on if a disk is full or read-only: it must not stop a bot."""
        try:
            yield
        except OSError as error:
            self.error = error


def _take_over(folder: Path, max_bytes: int) -> Iterator[DiskSpool]:
    """Yield the spools of processes that no longer run, oldest first."""
    try:
        owners = sorted(folder.glob("[!.]*"), key=lambda path: path.stat().st_mtime)
    except FileNotFoundError:
        return
    for owner in owners:
        try:
            left = DiskSpool(owner, max_bytes)
        except OSError:  # its process runs, or another one has just taken it over
            continue
        if left.pending:
            yield left
        else:
            left.close()


def _locked(path: Path) -> int:
    """Open a file and lock it for this process; BlockingIOError, an OSError, if another process has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who had it may have deleted it meanwhile: it locks nothing then.
        if not os.path.samestat(os.fstat(file), path.stat()):
            raise BlockingIOError(f"{path} is another process's by now")
    except OSError:
        os.close(file)
        raise
    return file


def _make_locked(folder: Path) -> int:
    """Make a spool's folder, and lock it before others find it: they would take it over."""
    hidden = folder.with_name(f".{folder.name}")
    hidden.mkdir(parents=True, mode=0o700)
    lock_file = _locked(hidden / "lock")
    hidden.rename(folder)
    return lock_file


def _count_lines(path: Path, offset: int = 0) -> int:
    with path.open("rb") as file:
        file.seek(offset)
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))

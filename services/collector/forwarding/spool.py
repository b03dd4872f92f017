"""Spool: records on disk, in order, while the sink is unavailable.

A folder of segments `0000000000000001.ndjson`, …, each a batch that is sent as one and removed after it was
taken. Killed at any moment, a process leaves whole lines and at most one torn line at a segment's end, which
is left out; the next process begins a segment of its own. Power that fails may cost the last few seconds.
"""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from os import strerror
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.schema.records import AnyRecord, encode_record

log = structlog.get_logger()

SEGMENT_RECORDS = 500
"""Records of a segment, at most."""
SEGMENT_BYTES = 256 * 1024
"""Bytes of a segment, at most, unless one record is larger: the endpoint takes bodies of 2 MiB."""
MAX_MEMORY_BYTES = 4 * 2**20
"""Bytes of records that wait in memory, at most, while the disk cannot be written."""
MAX_BYTES = 64 * 2**20
MAX_AGE = timedelta(days=7)

DROPPED = Counter("botwatch_collector_records_dropped", "Records that never reached the log.")
SPOOLED = Gauge("botwatch_collector_spool_bytes", "Bytes of records that wait on disk to be sent.")

_decoder: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)


class _SpoolSegment:
    """One file of the spool."""

    def __init__(self, path: Path, size: int, written_at: datetime) -> None:
        self.path = path
        self.size = size
        self.written_at = written_at
        """When its newest record was written."""
        self.count = 0
        """Its records; not counted in a segment of an earlier process."""


class Spool:
    """A folder of records that wait. What it cannot keep it drops, the oldest first, and counts.

    For one process and one thread. What the disk cannot take waits in memory: natively it is the same disk
    that, when it is full, keeps Redis from taking records.
    """

    def __init__(self, folder: Path, *, most_bytes: int = MAX_BYTES, now: Clock = clock.now) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._now = now
        self._last: _SpoolSegment | None = None
        """The segment that is written to; never one of an earlier process, whose last line may be torn."""
        self._failing = False
        self._memory: deque[bytes] = deque()
        """Lines that the disk could not take, behind those that are on it."""
        self._taken = 0
        """How many of them `oldest` returned."""
        self._segments = deque(_existing_segments(folder))
        self._number = int(self._segments[-1].path.stem) if self._segments else 0
        self._drop_excess()

    def __len__(self) -> int:
        return len(self._segments) + bool(self._memory)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    def append(self, records: Sequence[AnyRecord]) -> None:
        """Keep `records` behind those that are there."""
        self._memory.extend(encode_record(record) + b"\n" for record in records)
        self._flush()
        self._drop_excess()

    def _flush(self) -> None:
        """Bring what waits in memory onto the disk, as far as that takes it."""
        while self._memory:
            try:
                self._write(self._memory[0])
            except OSError as error:
                if not self._failing:
                    log.error("cannot write the spool; keeping records in memory", error=str(error))
                self._failing = True
                break
            self._memory.popleft()
            self._failing = False
        dropped = 0
        while sum(map(len, self._memory)) > MAX_MEMORY_BYTES:
            self._memory.popleft()
            dropped += 1
        if dropped:
            DROPPED.inc(dropped)
            log.error("records dropped: the spool cannot be written", records=dropped)

    def oldest(self) -> list[AnyRecord]:
        """Return the records of the oldest segment, none when there is no segment."""
        self._drop_excess()
        while self._segments:
            lines = self._read(self._segments[0])
            records = [record for line in lines if (record := _decode(line))]
            if torn := len(lines) - len(records):
                log.warning("skipping unreadable spool lines", lines=torn)
            if records:
                return records
            self.remove_oldest()
        waiting = list(self._memory)[:SEGMENT_RECORDS]
        self._taken = len(waiting)
        return [record for line in waiting if (record := _decode(line))]

    def remove_oldest(self) -> None:
        """Forget the segment that `oldest` returned: its records were taken."""
        if not self._segments:
            for _ in range(self._taken):
                self._memory.popleft()
            return
        segment = self._segments.popleft()
        if segment is self._last:
            self._last = None
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.error("cannot remove a spool segment", error=str(error))
        SPOOLED.set(self.size)

    def _write(self, line: bytes) -> None:
        last = self._last
        if last is None or last.count >= SEGMENT_RECORDS or last.size + len(line) > SEGMENT_BYTES:
            last = self._new_segment()
        _append(last.path, line, last.size)
        last.size += len(line)
        last.count += 1
        last.written_at = self._now()

    def _new_segment(self) -> _SpoolSegment:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        segment = _SpoolSegment(self._folder / f"{self._number + 1:016d}.ndjson", 0, self._now())
        segment.path.touch(mode=0o600, exist_ok=False)
        self._number += 1
        self._segments.append(segment)
        self._last = segment
        return segment

    def _drop_excess(self) -> None:
        """Drop the oldest segments until the spool is small and young enough."""
        while self._segments and (
            self.size > self._most_bytes or self._now() - self._segments[0].written_at > MAX_AGE
        ):
            dropped = len(self._read(self._segments[0]))
            DROPPED.inc(dropped)
            log.warning("spool full or too old; dropping the oldest records", records=dropped)
            self.remove_oldest()
        SPOOLED.set(self.size)

    def _read(self, segment: _SpoolSegment) -> list[bytes]:
        try:
            return segment.path.read_bytes().splitlines()
        except OSError as error:
            log.error("cannot read a spool segment", error=str(error))
            return []


def _existing_segments(folder: Path) -> list[_SpoolSegment]:
    """Return the segments that an earlier process left, the oldest first."""
    try:
        paths = sorted(path for path in folder.glob("*.ndjson") if path.stem.isdecimal())
        stats = [(path, path.stat()) for path in paths]
    except OSError as error:
        log.error("cannot read the spool", error=str(error))
        return []
    return [
        _SpoolSegment(path, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC)) for path, stat in stats
    ]


def _append(path: Path, line: bytes, size: int) -> None:
    """Append `line` to a file of `size` bytes, or leave that as it is and raise OSError."""
    with path.open("ab", buffering=0) as file:
        written = 0
        try:
            written = file.write(line)
        finally:
            if written < len(line):
                # What follows must not become one line with what was torn.
                file.truncate(size)
    if written < len(line):
        raise OSError(ENOSPC, strerror(ENOSPC))


def _decode(line: bytes) -> AnyRecord | None:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None

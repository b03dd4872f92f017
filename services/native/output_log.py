"""The output log: the new lines of all parts' logs in one file, `logs/monitoring_output.log`."""

import io
import logging
import os
import threading
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

log = structlog.get_logger()

NAME = "monitoring_output.log"
OWN = ("monitoring_output.log", "monitoring_startup.log")
MAX_BYTES = 10_000_000
KEPT = 3
"""Rotated files; the job `log-archive` compresses and keeps them."""
INTERVAL_S = 0.5
STATISTICS_EVERY = 120
"""Intervals between two lines of statistics: a minute."""


class _Followed:
    """One log file that is read to its end again and again, also across its rotation."""

    def __init__(self, path: Path, *, at_end: bool) -> None:
        self.path = path
        self._file = path.open("rb")
        if at_end:
            self._file.seek(0, io.SEEK_END)
        self._rest = b""

    def new_lines(self) -> list[str]:
        """Return the complete lines since the last call."""
        data = self._rest + self._file.read()
        if self._is_rotated():
            self._file.close()
            self._file = self.path.open("rb")
            data += self._file.read()
        *complete, self._rest = data.split(b"\n")
        return [line.decode(errors="replace") for line in complete]

    def _is_rotated(self) -> bool:
        try:
            return self.path.stat().st_ino != self._inode()
        except FileNotFoundError:
            return False

    def _inode(self) -> int:
        return os.fstat(self._file.fileno()).st_ino

    def close(self) -> None:
        self._file.close()


class OutputLog:
    """Copies lines in a thread until its block ends; `statistics` makes one line a minute."""

    def __init__(self, logs: Path, statistics: Callable[[], str]) -> None:
        self._logs = logs
        self._statistics = statistics
        self._handler = RotatingFileHandler(
            logs / NAME, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8"
        )
        self._followed: dict[Path, _Followed] = {}
        self._follow_new(at_end=True)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="output-log", daemon=True)

    def write(self, source: str, line: str) -> None:
        """Append one line of `source`."""
        self._handler.emit(logging.makeLogRecord({"msg": f"[{source}] {line}"}))

    def __enter__(self) -> Self:
        """Start copying."""
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Copy what is left, and stop."""
        self._closed.set()
        self._thread.join()
        self._copy()
        for followed in self._followed.values():
            followed.close()
        self._handler.close()

    def _run(self) -> None:
        intervals = 0
        while not self._closed.wait(INTERVAL_S):
            self._copy()
            intervals += 1
            if intervals % STATISTICS_EVERY == 0:
                self.write("monitoring", self._statistics())

    def _follow_new(self, *, at_end: bool) -> None:
        for path in self._logs.glob("*.log"):
            if path not in self._followed and path.name not in OWN:
                self._followed[path] = _Followed(path, at_end=at_end)

    def _copy(self) -> None:
        try:
            self._follow_new(at_end=False)
            for path, followed in sorted(self._followed.items()):
                for line in followed.new_lines():
                    self.write(path.stem, line)
        except (
            OSError
        ) as error:  # a full disk, or files that are moved meanwhile: the parts' own logs have it
            log.warning("cannot copy the parts' logs", error=str(error))


class Lines(io.TextIOBase):
    """A text stream that passes complete lines on."""

    def __init__(self, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._rest = ""

    def write(self, text: str, /) -> int:
        """Pass on the lines that `text` completes."""
        *complete, self._rest = (self._rest + text).split("\n")
        for line in complete:
            self._write_line(line)
        return len(text)

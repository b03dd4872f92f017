"""The startup log: what a production start prints, on the terminal and in `logs/monitoring_startup.log`."""

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from services.native.output_log import Lines
from shared.runtime import clock

NAME = "monitoring_startup.log"
MAX_BYTES = 1_000_000
"""A start appends some twenty lines; past this size the file is renamed for the job `log-archive`."""


class Console:
    """The terminal of the process that started this one; it may be closed at any time."""

    def __init__(self, stream: TextIO, *, is_starter: bool = False) -> None:
        """`is_starter`: the process at the other end goes on once everything is healthy."""
        self._stream: TextIO | None = stream
        self.is_starter = is_starter

    def print(self, line: str) -> None:
        """Print one line."""
        if self._stream:
            try:
                self._stream.write(f"{line}\n")
                self._stream.flush()
            except OSError:  # the process that started us has ended
                self.close()

    def close(self) -> None:
        """Let the starter go: it waits for the end of this stream."""
        if self._stream:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._stream = None


def detach() -> Console:
    """Take standard output as the console, and give this process and its children none."""
    console = os.fdopen(os.dup(1), "w", encoding="utf-8")  # not inherited by children
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
    return Console(console, is_starter=True)


@contextmanager
def startup_log(logs: Path, console: Console) -> Iterator[None]:
    """Send what the block prints to the console and, with the time, to the file."""
    path = logs / NAME
    if path.exists() and path.stat().st_size > MAX_BYTES:
        path.replace(path.with_name(f"{NAME}.1"))

    def write(line: str) -> None:
        console.print(line)
        # Not kept open: between the start and the stop, weeks later, it may be compressed.
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{clock.now().isoformat(timespec='milliseconds')} {line}\n")

    lines = Lines(write)
    with contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines):
        yield
    sys.stdout.flush()

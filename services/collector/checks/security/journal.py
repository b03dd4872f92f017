"""Journal: what systemd's journal has of authentication since a cursor, by journalctl."""

import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from services.collector.checks.security.auth_log import MAX_LINE, AuthMessage, parse_message

MAX_BYTES = 8 * 2**20
"""So much of its output is read at once."""
_FACILITIES = ("SYSLOG_FACILITY=4", "SYSLOG_FACILITY=10")
"""auth and authpriv: sshd writes to the one or the other."""


_Field = str | list[Any] | None
"""A text; bytes that are no text, as numbers; or a list of either, where an entry has a field twice."""


class _Entry(msgspec.Struct):
    cursor: str = msgspec.field(name="__CURSOR", default="")
    identifier: _Field = msgspec.field(name="SYSLOG_IDENTIFIER", default=None)
    process: _Field = msgspec.field(name="_PID", default=None)
    text: _Field = msgspec.field(name="MESSAGE", default=None)


class JournalExtract(NamedTuple):
    """What is new."""

    messages: list[AuthMessage]
    cursor: str
    """Of the last entry; empty while there is none."""
    skipped: bool = False
    """There was more than is read at once."""


class JournalError(Exception):
    """The journal cannot be asked; the text says why."""


def journal_folder(root: Path) -> Path | None:
    """Return where the host keeps its journal, None when it has none or there is no journalctl here.

    Raises PermissionError when it may not be read: journalctl would silently leave out what is not ours.
    """
    if shutil.which("journalctl") is None:
        return None
    for folder in (root / "var/log/journal", root / "run/log/journal"):
        if journals := list(folder.glob("*/*.journal")):
            if not any(os.access(journal, os.R_OK) for journal in journals):
                raise PermissionError(None, "Permission denied", str(folder))
            return folder
    return None


def read_journal(folder: Path, cursor: str | None, timeout_s: float) -> JournalExtract:
    """Return what follows `cursor`; nothing at first (None). Raises JournalError."""
    if cursor is None:
        return JournalExtract([], _newest(folder, timeout_s))
    after = [f"--after-cursor={cursor}"] if cursor else []
    output, whole = _run_journalctl(folder, timeout_s, *after)
    entries = parse_entries(output)
    last = entries[-1].cursor if entries else cursor
    messages = [found for entry in entries if (found := _message(entry))]
    return JournalExtract(messages, last if whole else _newest(folder, timeout_s), not whole)


def parse_entries(output: bytes) -> list[_Entry]:
    """Read journalctl's JSON, an object on each line; a torn last line is left out."""
    lines = output.split(b"\n")[:-1]
    try:
        return [msgspec.json.decode(line, type=_Entry) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise JournalError("journalctl printed invalid JSON") from error


def _newest(folder: Path, timeout_s: float) -> str:
    output, _ = _run_journalctl(folder, timeout_s, "--lines=1")
    entries = parse_entries(output)
    return entries[-1].cursor if entries else ""


def _run_journalctl(folder: Path, timeout_s: float, *options: str) -> tuple[bytes, bool]:
    """Return what journalctl prints and whether that is all of it."""
    command = [
        *("journalctl", f"--directory={folder}", "--quiet", "--no-pager", "--all", "--output=json"),
        *("--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_PID", *options, *_FACILITIES),
    ]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise JournalError(f"journalctl cannot be run: {error.strerror}") from error
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout_s, end)
    timer.start()
    with process:
        output = process.stdout.read(MAX_BYTES) if process.stdout else b""
        whole = len(output) < MAX_BYTES
        if not whole:
            process.kill()
    timer.cancel()
    if late.is_set():
        raise JournalError(f"journalctl timed out after {timeout_s:g} s")
    if whole and process.returncode:
        raise JournalError(f"journalctl failed with exit code {process.returncode}")
    return output, whole


def _message(entry: _Entry) -> AuthMessage | None:
    program, text = _text(entry.identifier), _text(entry.text)
    if not program or not text:
        return None
    # An entry of several lines is one message: what follows a line's end must not begin another. Any user may
    # write a very long one, and to look for words in it would take hours.
    return parse_message(program, _text(entry.process), text[:MAX_LINE].replace("\n", " "))


def _text(field: _Field) -> str:
    if not isinstance(field, list):
        return field or ""
    if field and isinstance(field[0], int):
        return bytes(field).decode(errors="replace")
    return _text(field[0]) if field else ""

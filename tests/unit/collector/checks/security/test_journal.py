"""The journal: real ones that systemd-journal-remote makes, and a journalctl that does as told."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from services.collector.checks.security import journal
from services.collector.checks.security.auth_log import AuthMessage, FailedLogins
from services.collector.checks.security.journal import (
    JournalError,
    journal_folder,
    parse_entries,
    read_journal,
)
from services.collector.checks.security.sudo_log import parse_uses
from tests.support import require_program

REMOTE = Path("/lib/systemd/systemd-journal-remote")
MACHINE = "0123456789abcdef0123456789abcdef"
FAILED = "Failed password for root from 203.0.113.7 port 5 ssh2"


class Journal:
    """A host's journal that grows by whole files."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "var/log/journal" / MACHINE
        self.folder.mkdir(parents=True)
        self._entries = 0

    def write(self, *texts: str, facility: int = 4, program: str = "sshd") -> None:
        """Write entries in a new file, later than all before."""
        export = "".join(self._entry(text, facility, program) for text in texts)
        name = self.folder / f"system@{self._entries:04d}.journal"
        subprocess.run(
            [REMOTE, "-o", name, "--split-mode=none", "-"],
            input=export.encode(),
            check=True,
            capture_output=True,
            timeout=30,
        )

    def _entry(self, text: str, facility: int, program: str) -> str:
        self._entries += 1
        moment = 1_795_000_000_000_000 + self._entries
        return (
            f"__CURSOR=s={MACHINE};i={self._entries:x};b={MACHINE};m=1;t={moment:x};x=1\n"
            f"__REALTIME_TIMESTAMP={moment}\n__MONOTONIC_TIMESTAMP={self._entries}\n"
            f"_BOOT_ID={MACHINE}\n_MACHINE_ID={MACHINE}\n_PID=812\nSYSLOG_FACILITY={facility}\n"
            f"SYSLOG_IDENTIFIER={program}\nMESSAGE={text}\n\n"
        )


@pytest.fixture
def real(tmp_path: Path) -> Journal:
    require_program(str(REMOTE))
    return Journal(tmp_path)


def pretend(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a journalctl before all others."""
    program = folder / "bin" / "journalctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


def test_only_what_follows_the_cursor_is_read(tmp_path: Path, real: Journal) -> None:
    real.write(FAILED, "old")
    folder = journal_folder(tmp_path)
    assert folder == tmp_path / "var/log/journal"
    first = read_journal(folder, None, 30)
    assert (first.messages, bool(first.cursor)) == ([], True)
    real.write(FAILED)
    second = read_journal(folder, first.cursor, 30)
    assert second.messages == [AuthMessage("sshd", "812", FAILED)]
    assert read_journal(folder, second.cursor, 30).messages == []


def test_what_does_not_concern_authentication_is_left_out(real: Journal) -> None:
    real.write(FAILED, facility=3)
    folder = real.folder.parent
    cursor = read_journal(folder, None, 30).cursor
    real.write("x : TTY=pts/0", facility=10, program="sudo")
    assert cursor == ""
    assert [one.program for one in read_journal(folder, cursor, 30).messages] == ["sudo"]


def test_of_more_than_is_read_at_once_the_rest_is_left(
    real: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    real.write("first")
    folder = real.folder.parent
    cursor = read_journal(folder, None, 30).cursor
    real.write(*[FAILED] * 50)
    monkeypatch.setattr(journal, "MAX_BYTES", 2_000)
    extract = read_journal(folder, cursor, 30)
    assert extract.skipped
    assert 0 < len(extract.messages) < 50
    assert read_journal(folder, extract.cursor, 30).messages == []


def test_a_host_without_a_journal_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, "exit 0")
    assert journal_folder(tmp_path) is None
    (tmp_path / "var/log/journal" / MACHINE).mkdir(parents=True)
    assert journal_folder(tmp_path) is None


def test_a_journal_without_journalctl_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run/log/journal" / MACHINE
    folder.mkdir(parents=True)
    (folder / "system.journal").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert journal_folder(tmp_path) is None


def test_a_journal_that_may_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(tmp_path, monkeypatch, "exit 0")
    folder = tmp_path / "run/log/journal" / MACHINE
    folder.mkdir(parents=True)
    (folder / "system.journal").touch()
    # These tests may run as root, who may read all.
    monkeypatch.setattr(os, "access", lambda path, _mode: not str(path).endswith(".journal"))
    with pytest.raises(PermissionError):
        journal_folder(tmp_path)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exec sleep 60", "journalctl timed out after 0.2 s"),
        ("exit 3", "journalctl failed with exit code 3"),
        ("echo hello", "journalctl printed invalid JSON"),
    ],
)
def test_a_journalctl_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    pretend(tmp_path, monkeypatch, script)
    with pytest.raises(JournalError, match=says):
        read_journal(tmp_path, "", 0.2 if "sleep" in script else 30)


def test_a_text_that_is_no_text_and_one_that_is_there_twice_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries: list[dict[str, object]] = [
        {"MESSAGE": list(b"Invalid user \xff\nx from 203.0.113.7 port 5"), "SYSLOG_IDENTIFIER": "sshd"},
        {"MESSAGE": ["first", "second"], "SYSLOG_IDENTIFIER": ["sshd", "x"], "_PID": "1"},
        {"MESSAGE": None, "SYSLOG_IDENTIFIER": "sshd"},
    ]
    lines = "\n".join(json.dumps({"__CURSOR": "c", **entry}) for entry in entries)
    pretend(tmp_path, monkeypatch, f"cat <<'END'\n{lines}\nEND")
    assert read_journal(tmp_path, "a", 30).messages == [
        AuthMessage("sshd", "", "Invalid user \ufffd x from 203.0.113.7 port 5"),
        AuthMessage("sshd", "1", "first"),
    ]


def test_of_a_very_long_text_the_beginning_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any user may write one; looking for words in all of it would stop the collector for hours."""
    texts = [
        "Failed password for " * 200_000,
        "anna : TTY=pts/0 ; USER=root ; COMMAND=/bin/sh " + "x" * 500_000,
    ]
    entries = [json.dumps({"__CURSOR": "c", "SYSLOG_IDENTIFIER": "sudo", "MESSAGE": text}) for text in texts]
    (tmp_path / "output").write_text("\n".join(entries) + "\n")
    pretend(tmp_path, monkeypatch, f"cat {tmp_path}/output")
    long, sudo = read_journal(tmp_path, "a", 30).messages
    assert len(long.text) == len(sudo.text) == 16_384
    assert list(FailedLogins().count_new([long._replace(program="sshd")])) == []
    assert [(use.user, use.target) for use in parse_uses([sudo])] == [("anna", "root")]


def test_a_torn_last_line_is_left_out() -> None:
    assert [entry.cursor for entry in parse_entries(b'{"__CURSOR":"a"}\n{"__CURS')] == ["a"]

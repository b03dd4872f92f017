"""Watched files: each change is told once, over restarts, links and rotations; real files."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.security import file_integrity as module
from services.collector.checks.security.file_integrity import create_probe
from services.collector.host.watched_host import WatchedHost

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Host:
    """A host with files that are watched."""

    def __init__(self, folder: Path, *patterns: str) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.state = folder / "state"
        self.patterns = list(patterns)
        self.now = NOON
        self.restart()

    def restart(self) -> None:
        """Begin a collector."""
        self.probe = create_probe(self.patterns, 10, WatchedHost("box", self.root, self.root, self.state))

    def write(self, name: str, text: str = "one", mode: int = 0o644) -> Path:
        """Write a file."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def look(self) -> CheckResult:
        """Look a minute later."""
        self.now += timedelta(minutes=1)
        return self.probe.run(self.now)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path, "/etc/ssh/*")
    made.write("/etc/ssh/sshd_config")
    made.write("/etc/ssh/moduli")
    assert made.look()[:2] == ("ok", "2 files unchanged since the last run")
    return made


def test_a_change_of_the_content_is_told_once_and_remembered(host: Host) -> None:
    path = host.write("/etc/ssh/sshd_config", "two")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    seen = host.look()
    changed = "/etc/ssh/sshd_config: content changed (written 2026-11-22 12:00:00 UTC)"
    assert seen == ("warning", changed, "changed", {"occurrences": 1})
    after = "2 files unchanged since the last run; last change: "
    assert [host.look()[:2] for _ in range(2)] == [
        ("ok", f"{after}{changed} (seen 2026-11-22 12:02 UTC)")
    ] * 2


def test_a_second_change_is_told_again(host: Host) -> None:
    statuses = []
    for text in ("two", "two", "one"):
        host.write("/etc/ssh/moduli", text)
        statuses.append(host.look().status)
    assert statuses == ["warning", "ok", "warning"]


def test_a_change_that_keeps_length_and_moment_is_seen(host: Host) -> None:
    path = host.root / "etc/ssh/moduli"
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert host.look().status == "warning"


def test_a_file_with_the_same_content_has_not_changed(
    host: Host,
) -> None:
    path = host.root / "etc/ssh/moduli"
    os.utime(path, (0, 0))
    assert host.look().status == "ok"
    path.unlink()
    host.write("/etc/ssh/moduli")
    assert host.look().status == "ok"


def test_a_change_of_the_mode_is_told(host: Host) -> None:
    (host.root / "etc/ssh/moduli").chmod(0o4666)
    assert host.look().text == "/etc/ssh/moduli: mode changed from 0644 to 4666"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_a_change_of_the_owner_is_told(host: Host) -> None:
    os.chown(host.root / "etc/ssh/moduli", 1000, 1001)
    assert host.look().text == "/etc/ssh/moduli: owner changed from 0:0 to 1000:1001"


def test_files_that_vanish_and_appear_are_told(host: Host) -> None:
    (host.root / "etc/ssh/moduli").unlink()
    host.write("/etc/ssh/.evil", mode=0o600)
    text = host.look().text
    assert text.startswith("/etc/ssh/.evil was created (owner ")
    assert "mode 0600); /etc/ssh/moduli was deleted" in text
    assert host.look().status == "ok"


def test_a_change_while_the_collector_was_away_is_told(host: Host) -> None:
    host.write("/etc/ssh/moduli", "two")
    host.restart()
    assert host.look().status == "warning"
    host.restart()
    assert host.look().status == "ok"


def test_a_pattern_that_is_watched_only_now_has_nothing_to_tell(host: Host) -> None:
    host.write("/etc/passwd")
    host.patterns.append("/etc/passwd")
    host.restart()
    assert host.look()[:2] == ("ok", "3 files unchanged since the last run")
    host.write("/etc/passwd", "root::0:0")
    assert host.look().status == "warning"


def test_a_link_that_points_elsewhere_and_a_change_behind_it_are_told(tmp_path: Path) -> None:
    host = Host(tmp_path, "/etc/localtime")
    host.write("/zones/utc")
    host.write("/zones/berlin")
    link = host.root / "etc" / "localtime"
    link.parent.mkdir()
    link.symlink_to("/zones/utc")
    host.look()
    link.unlink()
    link.symlink_to("/zones/berlin")
    says = "/etc/localtime: link changed from /zones/utc to /zones/berlin"
    assert host.look().text == says
    host.write("/zones/berlin", "two")
    assert host.look().text.startswith("/etc/localtime: content changed")


def test_many_changes_are_counted(tmp_path: Path) -> None:
    host = Host(tmp_path, "/etc/*", "/etc/x*")
    for text in ("one", "two"):
        for number in range(8):
            host.write(f"/etc/x{number}", text)
        seen = host.look()
    assert seen.figures == {"occurrences": 8}
    assert seen.text.endswith("; and 3 more")


def test_of_a_large_file_the_beginning_and_the_length_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 4)
    host = Host(tmp_path, "/big")
    statuses = []
    for text in ("12345", "1234x", "123456", "x23456"):
        host.write("/big", text)
        statuses.append(host.look().status)
    assert statuses == ["ok", "ok", "warning", "warning"]
    assert "1 compared by length and the first 4 B only" in host.look().text


def test_pipes_sockets_and_folders_are_not_read(tmp_path: Path) -> None:
    host = Host(tmp_path, "/*")
    os.mkfifo(host.root / "pipe", 0o600)
    (host.root / "folder").mkdir()
    says = "2 files unchanged since the last run; 2 unreadable (only owner and mode are watched)"
    assert host.look()[:2] == ("ok", says)
    (host.root / "pipe").chmod(0o666)
    assert host.look().status == "warning"


def test_a_file_is_read_again_only_when_it_was_written(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    read = module._hash_content  # noqa: SLF001 - how often it is read shows nowhere else
    names: list[str] = []

    def listen(path: Path, deadline: float) -> str | None:
        names.append(path.name)
        return read(path, deadline)

    monkeypatch.setattr(module, "_hash_content", listen)
    host.look()
    host.write("/etc/ssh/moduli", "two")
    host.look()
    assert names == ["moduli"]


def test_a_file_that_cannot_be_read_for_a_while_has_not_changed(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = host.root / "etc/ssh/moduli"
    with monkeypatch.context() as patch:
        patch.setattr(
            module, "_hash_content", lambda *_: None
        )  # these tests may run as root, who may read all
        os.utime(path, (0, 0))
        assert host.look()[:2] == (
            "ok", "2 files unchanged since the last run; 1 unreadable (only owner and mode are watched)"
        )  # fmt: skip
        os.utime(path, (1, 1))
        assert host.look().status == "ok"
    # What it was before is still known.
    host.write("/etc/ssh/moduli", "two")
    assert host.look().status == "warning"


def test_what_cannot_be_read_in_time_is_unknown_and_loses_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("/etc/ssh/moduli", "two")

    def late(*_: object) -> str:
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(module, "_hash_content", late)
        assert host.look()[:3:2] == ("unknown", "timeout")
    assert host.look().status == "warning"


def test_files_in_a_folder_that_may_not_be_read_are_not_gone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.write("/etc/passwd")
    host.patterns.append("/etc/passwd")
    host.restart()
    host.look()
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)
        assert host.look()[:3:2] == ("unknown", "denied")
        host.write("/etc/passwd", "two")
        assert host.look().text.startswith("/etc/passwd: content changed")
    host.write("/etc/ssh/moduli", "two")
    assert host.look().text.startswith("/etc/ssh/moduli: content changed")


def test_a_pattern_that_nothing_fits_is_said(host: Host) -> None:
    host.patterns.append("/etc/sshd/sshd_config")
    host.restart()
    assert host.look().text.endswith("; no file matches /etc/sshd/sshd_config")


def test_a_single_file_is_told_as_one(tmp_path: Path) -> None:
    host = Host(tmp_path, "/etc/passwd")
    host.write("/etc/passwd")
    assert host.look().text == "1 file unchanged since the last run"


def test_a_state_that_cannot_be_written_is_logged_and_the_changes_are_told(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    host.write("/etc/ssh/moduli", "two")
    assert [host.look().status for _ in range(2)] == ["warning", "ok"]

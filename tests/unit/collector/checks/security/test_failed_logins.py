"""Failed logins: from log files, the journal and btmp, one of them at a time; and from a real sshd."""

import getpass
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.security import journal
from services.collector.checks.security.auth_log import AuthMessage
from services.collector.checks.security.failed_logins import create_probe
from services.collector.checks.security.journal import JournalExtract
from services.collector.checks.security.log_tail import MAX_BYTES
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import FailedLoginsSection
from tests.support import free_port, require_program, wait_until
from tests.unit.collector.checks.security.test_btmp import record

START = datetime.now(UTC).replace(microsecond=0)
"""Logs that nobody writes to are left over, and theirs is the real time."""


class Host:
    """A host with a log, whose logins are watched once a minute."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.log = self.root / "var/log/auth.log"
        self.log.parent.mkdir(parents=True)
        self.state = folder / "state"
        self.now = START
        self.section = FailedLoginsSection()
        self.restart()

    def restart(self) -> None:
        """Begin a collector."""
        place = WatchedHost("box", self.root / "proc", self.root, self.state)
        self.probe = create_probe(self.section, 10, place)

    def look(self, after_s: float = 60) -> CheckResult:
        """Look a minute later."""
        self.now += timedelta(seconds=after_s)
        return self.probe.run(self.now)

    def fail(self, times: int = 1, user: str = "root", source: str = "203.0.113.7", pid: int = 0) -> None:
        """Let logins fail."""
        with self.log.open("a", encoding="utf-8") as log:
            for number in range(times):
                line = f"Failed password for {user} from {source} port 5 ssh2"
                log.write(f"Nov 22 16:08:12 box sshd[{pid or 1000 + number}]: {line}\n")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path)
    made.fail(50)
    assert made.look().text == "No failed logins in the last minute (source: /var/log/auth.log)"
    return made


def test_who_tries_and_from_where_is_told(host: Host) -> None:
    host.fail(20)
    host.fail(17, "admin")
    host.fail(1, "x y")
    host.fail(1, "oracle")
    host.fail(3, "bob", "198.51.100.9")
    seen = host.look()
    assert seen.text == (
        "42 failed logins in the last minute, 39 of them from 203.0.113.7 (root, admin, 'x y', …) "
        "(limit 30/min)"
    )
    assert (seen.status, seen.reason) == ("critical", "too_many")
    assert seen.figures == {"per_minute": 42.0, "occurrences": 42}


@pytest.mark.parametrize(
    ("times", "status"), [(1, "ok"), (4, "ok"), (5, "warning"), (29, "warning"), (30, "critical")]
)
def test_the_limits_are_those_of_the_section(host: Host, times: int, status: str) -> None:
    host.fail(times)
    assert host.look().status == status


def test_it_is_well_again_when_it_ends(host: Host) -> None:
    host.fail(30)
    assert [host.look().status for _ in range(2)] == ["critical", "ok"]


def test_a_single_one_is_told_and_no_trouble(host: Host) -> None:
    host.fail()
    assert host.look().text == "1 failed login in the last minute, from 203.0.113.7 (root)"


def test_of_looks_that_come_often_a_minute_counts(host: Host) -> None:
    rates = []
    for second in range(0, 100, 10):
        if second < 30:
            host.fail(10)
        rates.append(host.look(10).figures["per_minute"])
    assert rates == [10, 20, 30, 30, 30, 30, 20, 10, 0, 0]


def test_what_happened_while_the_collector_was_away_is_of_that_time(host: Host) -> None:
    host.fail(60)
    host.restart()
    seen = host.look(6 * 3600)
    assert seen.text == "60 failed logins in the last 6 h, from 203.0.113.7 (root)"
    assert (seen.status, round(seen.figures["per_minute"], 2)) == ("ok", 0.17)


def test_nothing_is_told_twice_over_a_restart_and_a_rotation(host: Host) -> None:
    host.fail(7)
    assert host.look().figures["occurrences"] == 7
    host.fail(2)
    host.log.rename(host.log.with_name("auth.log.1"))
    # In this very moment there is no log.
    assert host.look().status == "ok"
    host.fail(3)
    host.restart()
    assert host.look().figures["occurrences"] == 5


def test_a_log_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    host = Host(tmp_path)
    first = host.look()
    assert (first.status, first.reason) == ("unknown", "other")
    assert first.text == (
        "No login log found: neither /var/log/auth.log, /var/log/secure, /var/log/btmp nor a readable journal"
    )
    host.fail(6)
    assert host.look().status == "warning"


def test_a_burst_is_bounded_and_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.collector.checks.security.log_tail.MAX_BYTES", MAX_BYTES // 16)
    host.fail(10_000)
    seen = host.look()
    assert seen.status == "critical"
    assert "failed logins in the last minute (log read only in part), from" in seen.text
    assert 5_000 < seen.figures["per_minute"] < 10_000


def test_a_log_that_may_not_be_read_is_unknown(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("services.collector.checks.security.log_tail.read_new", refuse)
    seen = host.look()
    assert (seen.status, seen.reason) == ("unknown", "denied")
    assert seen.text == f"Permission denied on {host.log}"


def test_a_state_that_cannot_be_read_is_a_first_look(host: Host) -> None:
    (host.state / "logins.json").write_text("{")
    host.fail(50)
    host.restart()
    assert host.look().status == "ok"


def test_btmp_counts_only_where_there_is_no_log(host: Host) -> None:
    btmp = host.root / "var/log/btmp"
    btmp.write_bytes(b"")
    host.look()
    host.fail(6)
    btmp.write_bytes(record("root", "203.0.113.7") * 6)
    assert host.look().figures["occurrences"] == 6


def test_without_a_log_btmp_tells(tmp_path: Path) -> None:
    host = Host(tmp_path)
    btmp = host.root / "var/log/btmp"
    btmp.write_bytes(record("root") * 100)
    assert host.look().text == "No failed logins in the last minute (source: /var/log/btmp)"
    with btmp.open("ab") as file:
        file.write(record("root", "203.0.113.7") * 6 + b"torn")
    seen = host.look()
    assert seen.text.startswith("6 failed logins in the last minute, from 203.0.113.7 (root) (limit ")


def test_when_a_log_takes_the_place_of_btmp_nothing_is_lost_or_told_twice(tmp_path: Path) -> None:
    host = Host(tmp_path)
    btmp = host.root / "var/log/btmp"
    btmp.write_bytes(b"")
    host.look()
    host.fail(6)
    btmp.write_bytes(record("root") * 6)
    assert host.look().figures["occurrences"] == 6
    host.fail(2)
    btmp.write_bytes(record("root") * 8)
    assert host.look().figures["occurrences"] == 2


@pytest.fixture
def journalled(host: Host, monkeypatch: pytest.MonkeyPatch) -> list[AuthMessage]:
    """Give the host a journal, too, with what is returned in it."""
    messages: list[AuthMessage] = []

    def read(_folder: Path, cursor: str | None, _timeout_s: float) -> JournalExtract:
        return JournalExtract(messages[int(cursor or len(messages)) :], str(len(messages)))

    monkeypatch.setattr(journal, "journal_folder", lambda root: root)
    monkeypatch.setattr(journal, "read_journal", read)
    assert host.look().status == "ok"
    return messages


def test_the_journal_counts_only_where_nobody_writes_a_log(host: Host, journalled: list[AuthMessage]) -> None:
    text = "Failed password for root from 203.0.113.7 port 5 ssh2"
    host.fail(6)
    journalled += [AuthMessage("sshd", str(n), text) for n in range(6)]
    assert host.look().figures["occurrences"] == 6
    # A day later the log is left over from a syslog that is gone.
    assert host.look(90_000).status == "ok"
    journalled += [AuthMessage("sshd", str(n), text) for n in range(7)]
    seen = host.look()
    assert seen.figures["occurrences"] == 7
    assert host.look().text == "No failed logins in the last minute (source: the journal)"


def test_a_journal_that_fails_is_unknown_and_loses_nothing(
    host: Host, journalled: list[AuthMessage], monkeypatch: pytest.MonkeyPatch
) -> None:
    host.look(90_000)
    host.look()
    read = journal.read_journal

    def fail(*_: object) -> JournalExtract:
        raise journal.JournalError("journalctl timed out after 3 s")

    monkeypatch.setattr(journal, "read_journal", fail)
    journalled += [AuthMessage("sshd", "1", "Invalid user bob from 203.0.113.7 port 5")]
    assert host.look()[:2] == ("unknown", "journalctl timed out after 3 s")
    monkeypatch.setattr(journal, "read_journal", read)
    assert host.look().figures["occurrences"] == 1


@contextmanager
def sshd(folder: Path) -> Iterator[tuple[int, Path]]:
    """Run a private sshd that logs to a file; yield its port and what it writes."""
    program = require_program("sshd")
    key, written = folder / "key", folder / "sshd.out"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=30)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it separates its privileges
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile none\nLogLevel INFO\n"
    )
    with written.open("wb") as output:
        process = subprocess.Popen([program, "-D", "-e", "-f", config], stderr=output)
    try:
        wait_until(lambda: _answers(port), "sshd answers")
        yield port, written
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("user", [getpass.getuser(), "root from 198.51.100.66 port 22 ssh2"])
def test_a_login_that_a_real_sshd_refuses_is_counted_with_its_address(
    host: Host, tmp_path: Path, user: str
) -> None:
    client = require_program("ssh")
    host.section = FailedLoginsSection(warning=1)
    host.restart()
    with sshd(tmp_path) as (port, written):
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", f"UserKnownHostsFile={tmp_path / 'known'}"]
        command = [client, "-F", "none", *(f"-o{option}" for option in options), "-p", str(port), "-l", user]
        result = subprocess.run(
            [*command, "127.0.0.1", "true"], check=False, timeout=60, capture_output=True, text=True
        )
        assert "Permission denied" in result.stderr
        wait_until(lambda: written.read_text().endswith("[preauth]\n"), "it is logged")
        said = [line for line in written.read_text().splitlines() if "127.0.0.1" in line]
    with host.log.open("a", encoding="utf-8") as log:
        # What syslog puts before it; sshd itself was told to write to a file.
        log.writelines(f"Nov 22 16:08:12 box sshd[812]: {line}\n" for line in said)
    seen = host.look()
    assert seen.text.startswith("1 failed login in the last minute, from 127.0.0.1 (")
    assert user[:30] in seen.text
    assert seen.status == "warning"

"""Uses of sudo: told once each, refused ones always; and what a real sudo logs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.security.sudo import create_probe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import FailedLoginsSection, SecuritySection, SudoSection

NOW = datetime.now(UTC)
REST = "TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/apt update"


class Host:
    """A host whose log of authentication is watched."""

    def __init__(self, folder: Path, allow: list[str]) -> None:
        self.root = folder / "root"
        self.log = self.root / "var/log/auth.log"
        self.log.parent.mkdir(parents=True)
        self.log.touch()
        self._place = WatchedHost("box", self.root / "proc", self.root)
        self._section = SecuritySection(sudo=SudoSection(allow=allow))
        self._state = folder / "state"
        self.restart()
        self.look()

    def restart(self) -> None:
        """Begin a collector."""
        self.probe = create_probe(self._section, 10, self._place._replace(state=self._state))

    def write(self, *texts: str) -> None:
        """Let sudo log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.writelines(f"Nov 22 16:08:12 box sudo[9]: {text}\n" for text in texts)

    def look(self) -> CheckResult:
        """Look a minute later."""
        return self.probe.run(NOW + timedelta(minutes=1))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path, ["deploy"])


def test_a_use_is_told_once(host: Host) -> None:
    host.write(f"bob : {REST}")
    seen = host.look()
    assert seen == ("warning", "bob ran /usr/bin/apt update as root", "other", {"occurrences": 1})
    assert host.look()[:2] == ("ok", "No sudo use since the last run (source: /var/log/auth.log)")


def test_a_use_while_the_collector_was_away_is_told(host: Host) -> None:
    host.write(f"bob : {REST}")
    host.restart()
    assert host.look().status == "warning"
    host.restart()
    assert host.look().status == "ok"


def test_people_who_are_allowed_are_no_news_unless_they_are_refused(host: Host) -> None:
    host.write(f"deploy : {REST}")
    assert host.look().status == "ok"
    host.write(f"deploy : 3 incorrect password attempts ; {REST}")
    seen = host.look()
    assert (seen.status, seen.reason) == ("warning", "failed")
    assert seen.text == "deploy was denied /usr/bin/apt update as root: 3 incorrect password attempts"


def test_a_name_that_only_begins_like_one_that_is_allowed_is_news(host: Host) -> None:
    host.write(f"deploy2 : {REST}")
    assert host.look().status == "warning"


def test_of_many_the_refused_come_first_and_the_rest_is_counted(host: Host) -> None:
    host.write(*[f"bob : {REST}"] * 8, f"eve : user NOT in sudoers ; {REST}")
    seen = host.look()
    assert seen.text.startswith("eve was denied /usr/bin/apt update as root: user NOT in sudoers; bob ran")
    assert seen.text.endswith("; and 4 more")
    assert seen.figures == {"occurrences": 9}


def test_a_password_in_an_argument_is_not_told(host: Host) -> None:
    host.write(
        "bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/mysql --password=hunter2 -e 'select 1'"
    )
    assert host.look().text == "bob ran /usr/bin/mysql --password=*** -e 'select 1' as root"


def test_without_a_log_it_is_unknown(tmp_path: Path) -> None:
    section = SecuritySection(sudo=SudoSection(), failed_logins=FailedLoginsSection(files=["/var/log/other"]))
    seen = create_probe(section, 10, WatchedHost("box", tmp_path, tmp_path, tmp_path)).run(NOW)
    assert seen[:2] == ("unknown", "No sudo log found: neither syslog nor journal")


def test_the_log_is_that_of_failed_logins(tmp_path: Path) -> None:
    (tmp_path / "other.log").touch()
    section = SecuritySection(sudo=SudoSection(), failed_logins=FailedLoginsSection(files=["/other.log"]))
    seen = create_probe(section, 10, WatchedHost("box", tmp_path, tmp_path, tmp_path / "state")).run(NOW)
    assert seen.text == "No sudo use since the last run (source: /other.log)"


def test_logins_and_sudo_have_each_read_the_log_for_itself(host: Host, tmp_path: Path) -> None:
    host.write(f"bob : {REST}")
    host.look()
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["sudo.json"]

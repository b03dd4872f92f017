"""The probe of systemd units: a real systemd in a namespace of its own, and what others wrote."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.systemd import create_probe, evaluate_unit, parse_properties
from services.collector.host.watched_host import WatchedHost
from tests.support import unavailable, wait_until

pytestmark = pytest.mark.slow  # starts processes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SYSTEMD = Path("/lib/systemd/systemd")
UNITS = {
    "bot": "[Service]\nExecStart=/bin/sleep 600\nRestart=always\nRestartSec=50ms\n",
    "bad": "[Service]\nExecStart=/bin/sh -c 'exit 7'\n",
    "loop": "[Unit]\nStartLimitIntervalSec=0\n"
    "[Service]\nExecStart=/bin/sh -c 'exit 7'\nRestart=always\nRestartSec=600s\n",
    "slow": "[Service]\nType=oneshot\nExecStart=/bin/sleep 600\n",
}
# A manager of a user's own services, where systemctl finds that of the system.
STARTED = """
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/system /run/own/systemd
chmod 700 /run/own
ln -s /run/own/systemd/private /run/systemd/private
exec env HOME=/run/own XDG_RUNTIME_DIR=/run/own XDG_CONFIG_HOME="$1" {systemd} --user --unit=basic.target
"""


class Manager:
    """A systemd, the place it manages, and a `systemctl` that asks it."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.place = WatchedHost("there", Path("/proc"), Path(f"/proc/{pid}/root"))
        self.folder = folder / "bin"
        self.folder.mkdir()
        self._enter = ["nsenter", "-t", str(pid), "-m", "systemctl"]
        script = self.folder / "systemctl"
        script.write_text(f'#!/bin/sh\nexec {" ".join(self._enter[:-1])} /usr/bin/systemctl "$@"\n')
        script.chmod(0o755)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run systemctl with `words`."""
        return subprocess.run([*self._enter, *words], check=False, capture_output=True, text=True, timeout=30)

    def show(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.run("show", "--value", f"--property={name}", unit).stdout.strip()


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """Run a systemd and yield it; skipped where that cannot be (CI: fails)."""
    if os.geteuid() or not SYSTEMD.exists() or not shutil.which("unshare"):
        unavailable("needs root, systemd and unshare")
    folder = tmp_path_factory.mktemp("systemd")
    units = folder / "systemd" / "user"
    units.mkdir(parents=True)
    for name, text in UNITS.items():
        (units / f"{name}.service").write_text(text)
    script = STARTED.format(systemd=SYSTEMD)
    process = subprocess.Popen(["unshare", "-m", "sh", "-c", script, "sh", folder], stderr=subprocess.DEVNULL)
    try:
        there = Manager(process.pid, folder)
        wait_until(lambda: there.show("basic.target", "ActiveState") == "active", "systemd runs")
        yield there
    finally:
        process.terminate()
        process.wait(timeout=30)


def watching(manager: Manager, unit: str, monkeypatch: pytest.MonkeyPatch) -> Probe:
    monkeypatch.setenv("PATH", f"{manager.folder}:{os.environ['PATH']}")
    return create_probe(unit, 10.0, manager.place)


def test_a_unit_that_runs_is_fine_and_one_that_is_killed_was_restarted(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.run("start", "bot.service")
    watched = watching(manager, "bot.service", monkeypatch)
    seen = watched.run(NOON)
    assert (seen.status, seen.text.startswith("bot.service is active (running) for ")) == ("ok", True)
    assert seen.figures["restarts"] == 0
    assert 0 <= seen.figures["process_uptime_seconds"] < 60
    os.kill(int(manager.show("bot.service", "MainPID")), 9)
    wait_until(lambda: manager.show("bot.service", "NRestarts") == "1", "it was restarted")
    wait_until(lambda: watched.run(NOON).status == "ok", "it runs again")
    assert watched.run(NOON).figures["restarts"] == 1


def test_a_unit_that_was_stopped_is_told(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.run("start", "bot.service")
    manager.run("stop", "bot.service")
    seen = watching(manager, "bot.service", monkeypatch).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "not_running")
    assert seen.text == "bot.service is inactive (dead), expected active"


def test_a_unit_that_failed_is_told_with_its_code(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.run("start", "bad.service")
    wait_until(lambda: manager.show("bad.service", "ActiveState") == "failed", "it failed")
    seen = watching(manager, "bad.service", monkeypatch).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "failed")
    assert seen.text.startswith("bad.service is failed for ")
    assert seen.text.endswith(" (exit-code, status 7), expected active")


def test_a_unit_that_fails_again_and_again_is_told(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.run("start", "loop.service")
    wait_until(lambda: manager.show("loop.service", "SubState") == "auto-restart", "it failed")
    seen = watching(manager, "loop.service", monkeypatch).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "failed")
    assert seen.text == ("loop.service exited (exit-code, status 7); restarting (0 restarts)")


def test_a_unit_that_is_still_starting_is_a_warning(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.run("start", "--no-block", "slow.service")
    wait_until(lambda: manager.show("slow.service", "SubState") == "start", "it starts")
    seen = watching(manager, "slow.service", monkeypatch).run(NOON)
    assert (seen.status, seen.text.startswith("slow.service is still starting (start)")) == ("warning", True)


def test_a_unit_that_does_not_exist_is_told(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watching(manager, "nothing.service", monkeypatch).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "not_running")
    assert seen.text == "Unit nothing.service does not exist"


def test_a_units_name_is_never_an_option(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = watching(manager, "--version", monkeypatch).run(NOON)
    assert seen.text == "Unit --version does not exist"


def test_a_host_without_systemd_is_unknown(tmp_path: Path) -> None:
    seen = create_probe("x.service", 1.0, WatchedHost("far", tmp_path, tmp_path)).run(NOON)
    assert (seen.status, seen.text) == ("unknown", "systemd is not running on this host")


def answering(
    folder: Path, script: str, monkeypatch: pytest.MonkeyPatch, timeout_s: float = 10.0
) -> CheckResult:
    """Look with a systemctl that does as the script says."""
    (folder / "run" / "systemd" / "system").mkdir(parents=True)
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return create_probe("x.service", timeout_s, WatchedHost("far", folder, folder)).run(NOON)


def test_a_systemd_that_hangs_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = answering(tmp_path, "exec sleep 60", monkeypatch, 0.3)
    assert (seen.status, seen.reason) == ("critical", "timeout")
    assert seen.text == "systemd timed out after 0.3 s"


def test_a_systemd_that_refuses_is_unknown_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = answering(tmp_path, "echo 'Failed to connect to bus: Host is down' >&2; exit 1", monkeypatch)
    assert seen.status == "unknown"
    assert seen.text == "systemctl show x.service failed: Failed to connect to bus: Host is down"


def test_without_systemctl_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run" / "systemd" / "system").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    seen = create_probe("x.service", 1.0, WatchedHost("far", tmp_path, tmp_path)).run(NOON)
    assert (seen.status, "systemctl is not installed" in seen.text) == ("unknown", True)


@pytest.mark.parametrize(
    ("found", "status", "expected"),
    [
        ("LoadState=masked\nActiveState=inactive\nSubState=dead", "critical",
         "x is masked and inactive (dead)"),
        ("ActiveState=active\nSubState=exited\nStateChangeTimestampMonotonic=40000000", "ok",
         "x is active (exited) for 1 min"),
        ("ActiveState=reloading\nSubState=reload", "ok", "x is reloading (reload)"),
        ("ActiveState=deactivating\nSubState=stop-sigterm", "critical", "x is deactivating (stop-sigterm)"),
        ("", "critical", "x is in no state ()"),
    ],
)  # fmt: skip
def test_what_systemd_tells_is_judged(found: str, status: str, expected: str) -> None:
    seen = evaluate_unit("x", parse_properties(found), 100.0)
    assert (seen.status, seen.text.startswith(expected)) == (status, True)


def test_properties_may_have_equals_signs_in_their_values() -> None:
    found: Any = parse_properties("Result=a=b\nSubState=\n")
    assert found == {"Result": "a=b", "SubState": ""}

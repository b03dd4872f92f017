"""A production start without containers: the commands of the guide work as they are printed.

One Botwatch for all of this module; the last test stops it.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from services.native.pid_file import PidFile
from shared.runtime.settings import REPOSITORY
from tests.support import HANG_S, free_port, require_program, wait_until

pytestmark = pytest.mark.integration

PORTS = ("INGESTION_PORT", "DASHBOARD_PORT", "WEBSOCKET_PORT", "REDIS_PORT")
SCRIPT = REPOSITORY / "deploy" / "start_monitoring.sh"


@dataclass
class Production:
    """A Botwatch that runs in the background."""

    home: Path
    environ: dict[str, str]
    printed: str

    @property
    def here(self) -> Path:
        """The folder that the guide's commands start from."""
        return self.home / "enterprise" / "monitoring"

    def shell(self, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the guide, in its folder."""
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.here,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=HANG_S,
            check=False,
        )

    def pid(self) -> int:
        """Return the process that the pid file names."""
        return int((self.home / "logs" / "monitoring.pid").read_text())


def kill_a_start(environ: dict[str, str], home: Path) -> None:
    """Start, and end the process with SIGKILL as soon as it has started supervisord."""

    def supervisord() -> psutil.Process | None:
        holder = PidFile(home).holder()
        children = psutil.Process(holder.pid).children() if holder else []
        return next((one for one in children if "services.native.supervisord" in one.cmdline()), None)

    command = [str(SCRIPT), "--production", "--native"]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as starter:
        wait_until(supervisord, "supervisord is started", timeout_s=120)
        holder = PidFile(home).holder()
        assert holder
        assert holder.state == "starting"
        os.kill(holder.pid, signal.SIGKILL)
        assert starter.wait(HANG_S) == 1


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Start Botwatch as the guide says, with a umask that gives everything to everybody.

    An earlier start was killed before the parts ran: this one recovers.
    """
    home = tmp_path_factory.mktemp("production") / "home"
    hidden = ("REDIS_URL", "BOTWATCH_HOME", "COLUMNS")  # ps cuts lines at COLUMNS, which pytest-xdist sets
    environ = {name: text for name, text in os.environ.items() if name not in hidden}
    environ |= {name: str(free_port()) for name in PORTS}
    kill_a_start({**environ, "BOTWATCH_HOME": str(home)}, home)
    done = subprocess.run(
        ["sh", "-c", f"umask 000; exec '{SCRIPT}' --production --native"],
        env={**environ, "BOTWATCH_HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Production(home, environ, done.stdout)
    finally:
        if holder := PidFile(home).holder():
            os.kill(holder.pid, signal.SIGTERM)
            PidFile(home).wait_until_free()


def test_the_start_prints_where_everything_is(production: Production) -> None:
    """The guide's four addresses, and how to stop it; no password but that of the first admin."""
    ports = production.environ
    for address in (
        f"http://localhost:{ports['INGESTION_PORT']}/metrics",
        f"http://localhost:{ports['INGESTION_PORT']}/health",
        f"http://localhost:{ports['DASHBOARD_PORT']}/api/monitoring",
        f"ws://localhost:{ports['WEBSOCKET_PORT']}/monitoring",
        f"kill $(cat {production.home}/logs/monitoring.pid)",
    ):
        assert address in production.printed
    password = (production.home / "secrets" / "bot" / "redis-url").read_text().split(":")[2].split("@")[0]
    assert password not in production.printed


def test_the_password_of_the_first_admin_is_shown_once(production: Production) -> None:
    """On the terminal of the first start, and in no file of the home."""
    assert "User admin added as admin." in production.printed
    [password] = [
        line.removeprefix("Password: ") for line in production.printed.splitlines() if "Password: " in line
    ]
    for path in production.home.rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ps aux | grep monitoring", "services.native.monitoring"),
        ("ls -la ../../data/monitoring/", "performance_metrics.db"),
        ("ls -la ../../config/monitoring/", "health_monitor.json"),
        ("tail ../../logs/monitoring_startup.log", "Stop it: kill $(cat "),
        ("tail -n 1000 ../../logs/monitoring_output.log", "[recorder]"),
        ("grep -i error ../../logs/monitoring_output.log; test $? -lt 2", ""),
        ('grep -i "performance" ../../logs/monitoring_output.log | tail -20', ""),
        ("cp ../../data/monitoring/*.db ../../backups/monitoring/", ""),
        ("du -h ../../data/monitoring/*.db", "system_health.db"),
        ("rm -rf ../../tmp/monitoring/*", ""),
        ("find ../../results -mtime +30 -type f -delete", ""),
        (r'find ../../logs -name "*.log" -mtime +30 -exec gzip {} \;', ""),
        ('ps aux | grep -E "(monitoring|defunct)"', "services.native.monitoring"),
    ],
)
def test_a_command_of_the_guide_works_as_printed(command: str, expected: str, production: Production) -> None:
    """From `enterprise/monitoring`, while everything runs."""
    require_program("ps")
    done = production.shell(command)
    assert (done.returncode, done.stderr) == (0, "")
    assert expected in done.stdout


def test_the_port_is_found_by_lsof(production: Production) -> None:
    """`lsof -i :9090` names the part that listens."""
    require_program("lsof")
    done = production.shell(f"lsof -i :{production.environ['INGESTION_PORT']}")
    assert "LISTEN" in done.stdout


def test_a_second_start_is_harmless(production: Production) -> None:
    """It says that Botwatch runs already, with the process ID, also through the link in the home."""
    done = production.shell("./start_monitoring.sh --production --native")
    assert done.returncode == 0
    assert done.stdout == f"Botwatch is already running, pid {production.pid()} (native).\n"


def test_the_status_names_every_part(production: Production) -> None:
    """Each with its process."""
    done = production.shell("./start_monitoring.sh --status")
    assert done.returncode == 0, done.stdout
    assert f"Botwatch is running (pid {production.pid()})" in done.stdout
    assert done.stdout.count(" up ") == 10


def test_nothing_is_open_without_an_identity(production: Production) -> None:
    """Production asks everybody who they are."""
    url = f"http://127.0.0.1:{production.environ['DASHBOARD_PORT']}/api/monitoring"
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(url, timeout=10)
    refused.value.close()


def test_the_doctor_finds_nothing_critical(production: Production, tmp_path: Path) -> None:
    """It knows the running parts, Redis and the databases; modes are right in spite of the umask."""
    bundle = tmp_path / "bundle.tar.gz"
    doctor = f"'{sys.executable}' -m botwatch.cli doctor --json --bundle '{bundle}'"
    done = production.shell(doctor, BOTWATCH_HOME=str(production.home))
    found = json.loads(done.stdout)
    assert [one for one in found if one["status"] == "critical"] == []
    assert done.returncode == 1, "a home without a channel has a warning"
    healthy = {one["what"].split()[0] for one in found if one["diagnostic"] == "parts"}
    assert len(healthy) == 10
    assert {one["status"] for one in found if one["diagnostic"] in ("modes", "ports", "redis")} == {"ok"}
    assert bundle.exists()


def test_a_start_on_taken_ports_leaves_nothing(production: Production, tmp_path: Path) -> None:
    """Another home cannot use the same ports: it says which process has them, and what to do."""
    home = tmp_path / "other"
    done = production.shell(f"'{SCRIPT}' --production --native", BOTWATCH_HOME=str(home))
    assert done.returncode == 1
    assert f"port {production.environ['DASHBOARD_PORT']} (DASHBOARD_PORT) is taken by" in done.stdout
    assert "set DASHBOARD_PORT to another port" in done.stdout
    assert "Nothing was started." in done.stdout
    assert not [one for one in psutil.process_iter(["environ"]) if str(home) in str(one.info["environ"])]


def test_kill_stops_everything(production: Production) -> None:
    """`kill $(cat ../../logs/monitoring.pid)` leaves no process and no pid file; the logs have it."""
    main = psutil.Process(production.pid())
    family = [main, *main.children(recursive=True)]
    assert os.getsid(main.pid) == main.pid, "the end of a terminal does not reach it"
    assert production.shell("kill $(cat ../../logs/monitoring.pid)").returncode == 0
    wait_until(lambda: PidFile(production.home).holder() is None, "it has stopped")
    wait_until(lambda: not psutil.wait_procs(family, timeout=0)[1], "every process has ended")
    assert not (production.home / "logs" / "monitoring.pid").exists()
    assert "Botwatch has stopped." in (production.home / "logs" / "monitoring_startup.log").read_text()
    output = (production.home / "logs" / "monitoring_output.log").read_text()
    assert "[recorder]" in output
    assert "stopped" in output
    assert production.shell("rm -f ../../logs/monitoring.pid").returncode == 0
    done = production.shell("./start_monitoring.sh --status")
    assert (done.returncode, "is not running" in done.stdout) == (1, True)

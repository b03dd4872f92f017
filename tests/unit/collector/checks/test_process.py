"""The probe of processes, against real processes; the container's view against a /proc made by hand."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.process import create_probe, is_viewer
from services.collector.host import process_table
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import ProcessSection
from tests.support import wait_until

pytestmark = pytest.mark.slow  # starts processes

HERE = WatchedHost("here", Path("/proc"), Path("/"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NAME = f"bot-{os.getpid()}"


def watching(place: WatchedHost = HERE, **what: Any) -> Probe:
    return create_probe(ProcessSection(**what), 1.0, place)


def look(place: WatchedHost = HERE, **what: Any) -> CheckResult:
    return watching(place, **what).run(NOON)


@contextmanager
def running(program: Path, *further: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that sleeps, and wait until it does."""
    process = subprocess.Popen([program, "600", *further])
    try:
        # It has its name before it has all of its memory.
        wait_until(
            lambda: name_of(process.pid) == program.name[:15] and state_of(process.pid) == "S",
            "the program sleeps",
        )
        yield process
    finally:
        process.kill()
        process.wait()


def name_of(pid: int) -> str:
    process = process_table.read_process(Path("/proc"), pid)
    return process.name if process else ""


def state_of(pid: int) -> str:
    process = process_table.read_process(Path("/proc"), pid)
    return process.state if process else ""


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    """Return a program of a name that nothing else has; it sleeps."""
    return Path(shutil.copy(shutil.which("sleep") or "/bin/sleep", tmp_path / NAME))


def test_a_process_that_runs_is_named_and_measured(bot: Path) -> None:
    with running(bot) as process:
        seen = look(name=NAME)
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.text.startswith(f"{NAME} ({process.pid}) running for ")
    assert (seen.figures["instances"], seen.figures["process_threads"], seen.figures["restarts"]) == (1, 1, 0)
    assert seen.figures["process_memory_bytes"] > 100_000
    assert seen.figures["process_open_files"] >= 3
    assert 0 <= seen.figures["process_uptime_seconds"] < 60


def test_a_killed_process_is_told_with_what_was_expected(bot: Path) -> None:
    with running(bot):
        watched = watching(name=NAME)
        assert watched.run(NOON).status == "ok"
    seen = watched.run(NOON)
    assert (seen.status, seen.reason) == ("critical", "not_running")
    assert seen.text == f"No process matches name {NAME} (expected at least 1)"
    assert seen.figures == {"instances": 0, "restarts": 0}


def test_all_that_is_given_must_fit(bot: Path) -> None:
    with running(bot, "0.5"):
        assert look(name=NAME, command=r"600 0\.5").status == "ok"
        assert look(name=NAME, command=r"600 0\.7").status == "critical"
        assert look(name=NAME, user="root" if os.geteuid() == 0 else str(os.geteuid())).status == "ok"
        assert look(name=NAME, user="4242").status == "critical"


def test_a_name_longer_than_the_kernel_keeps_fits(tmp_path: Path) -> None:
    program = shutil.copy(shutil.which("sleep") or "/bin/sleep", tmp_path / f"a-very-long-{NAME}-name")
    with running(Path(program)):
        assert look(name=Path(program).name).status == "ok"


def test_a_name_that_is_cut_alike_is_another_program(tmp_path: Path) -> None:
    """Only the whole name counts: a dead bot must not look alive because of its neighbour."""
    program = Path(shutil.copy(shutil.which("sleep") or "/bin/sleep", tmp_path / "trading-bot-main-loop"))
    with running(program) as process:
        assert name_of(process.pid) == "trading-bot-mai"
        seen = look(name="trading-bot-mainframe")
        assert (seen.status, seen.reason) == ("critical", "not_running")
        assert look(name="trading-bot-main-loop").status == "ok"
        # What `ps -o comm` shows is all that is known of some.
        assert look(name="trading-bot-mai").status == "ok"


def test_a_script_of_a_long_name_is_found_by_its_whole_name(tmp_path: Path) -> None:
    """The kernel names a script after its file, which is the second word of the command line."""
    script = tmp_path / "trading-bot-script-one.sh"
    script.write_text("#!/bin/bash\nread\n")
    script.chmod(0o755)
    process = subprocess.Popen([script], stdin=subprocess.PIPE)
    try:
        wait_until(lambda: name_of(process.pid) == script.name[:15], "the script runs")
        assert look(name=script.name).status == "ok"
        assert look(name="trading-bot-script-two.sh").status == "critical"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("command", "file", "name", "expected"),
    [
        ("trading-bot-mainframe: worker 1", None, "trading-bot-mainframe", True),
        ("trading-bot-mainframe2: worker 1", None, "trading-bot-mainframe", False),
        ("./loop", "/opt/trading-bot-main-loop (deleted)", "trading-bot-main-loop", True),
        ("./loop", "/opt/trading-bot-main-loop (deleted)", "trading-bot-mainframe", False),
        ("python\0bot.py", "/usr/bin/python3", "trading-bot-mainframe", True),
        (None, None, "trading-bot-mainframe", True),
    ],
)
def test_the_whole_name_is_found_in_the_command_line_or_the_file(
    tmp_path: Path, command: str | None, file: str | None, name: str, expected: bool
) -> None:
    """Titles that programs write and replaced files count; where nothing tells more, the kept part does."""
    folder = tmp_path / "7"
    folder.mkdir()
    if command is not None:
        (folder / "cmdline").write_text(command)
    if file is not None:
        (folder / "exe").symlink_to(file)
    process = process_table.parse_process_stat("7 (trading-bot-mai) S 1" + " 0" * 30)
    assert process_table.has_name(tmp_path, process, name) is expected


def test_an_unknown_user_is_no_failure_of_the_process() -> None:
    seen = look(name=NAME, user="nobody-of-that-name")
    assert seen.status == "unknown"
    assert "user nobody-of-that-name not found in /etc/passwd" in seen.text


def test_the_collector_does_not_fit_though_the_pattern_fits_it() -> None:
    script = (
        "from datetime import UTC, datetime; from pathlib import Path\n"
        "from services.collector.checks.process import create_probe\n"
        "from services.collector.host.watched_host import WatchedHost\n"
        "from shared.runtime.config.check_sections import ProcessSection\n"
        f"section = ProcessSection(command='{NAME}-itself')\n"
        "host = WatchedHost('here', Path('/proc'), Path('/'))\n"
        "print(create_probe(section, 1.0, host).run(datetime.now(UTC)).status)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=60)
    assert done.stdout == b"critical\n"


def test_a_shell_or_a_grep_with_the_pattern_does_not_fit(bot: Path) -> None:
    pattern = f"{NAME}-in-a-command-line"
    shell = subprocess.Popen(["/bin/sh", "-c", f"read waits; echo {pattern}"], stdin=subprocess.PIPE)
    grep = subprocess.Popen(["grep", pattern], stdin=subprocess.PIPE)
    try:
        wait_until(lambda: name_of(grep.pid) == "grep" and name_of(shell.pid) != "", "both run")
        assert look(command=pattern).status == "critical"
    finally:
        for one in (shell, grep):
            one.kill()
            one.communicate()
    with running(bot, "0.1"):
        assert look(command=rf"{NAME} 600 0\.1").status == "ok"


@pytest.mark.parametrize(
    ("name", "command", "expected"),
    [
        ("bash", "bash -c while pgrep bot; do :; done", True),
        ("sh", "/bin/sh -ec bot", True),
        ("bash", "bash /opt/bot.sh -c config", False),
        ("bash", "bash --config bot", False),
        ("tail", "tail -f /var/log/bot.log", True),
        ("python3", "python3 -c bot", False),
    ],
)
def test_who_only_looks_is_told_from_who_is_meant(name: str, command: str, expected: bool) -> None:
    assert is_viewer(name, command) is expected


def test_a_second_instance_is_one_too_many(bot: Path) -> None:
    with running(bot) as one, running(bot) as two:
        seen = look(name=NAME, at_most=1)
    assert (seen.status, seen.reason) == ("critical", "too_many")
    assert seen.text.startswith("2 processes running, expected at most 1: ")
    assert f"{NAME} ({one.pid})" in seen.text
    assert f"{NAME} ({two.pid})" in seen.text


def test_fewer_than_expected_are_counted(bot: Path) -> None:
    with running(bot):
        seen = look(name=NAME, at_least=3)
    assert seen.text == f"Only 1 running, expected at least 3 (name {NAME})"


def test_a_process_that_must_not_run_is_fine_while_it_does_not(bot: Path) -> None:
    assert look(name=NAME, at_least=0, at_most=0).status == "ok"
    with running(bot):
        assert look(name=NAME, at_least=0, at_most=0).reason == "too_many"


def test_a_zombie_does_not_run_though_it_is_listed(bot: Path) -> None:
    with running(bot) as process:
        by_command = watching(command=f"{NAME} 600")
        assert by_command.run(NOON).status == "ok"
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: state_of(process.pid) == "Z", "it is a zombie")
        for seen in (look(name=NAME), by_command.run(NOON)):
            assert (seen.status, seen.reason, seen.figures["instances"]) == ("critical", "zombie", 0)
            assert f"its parent {os.getpid()} has not reaped it" in seen.text


def test_a_stopped_process_does_nothing(bot: Path) -> None:
    with running(bot) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(process.pid) == "T", "it is stopped")
        seen = look(name=NAME)
    assert (seen.status, seen.reason) == ("critical", "not_running")
    assert f"`kill -CONT {process.pid}`" in seen.text


def test_the_process_of_a_pid_file_is_found(bot: Path, tmp_path: Path) -> None:
    file = tmp_path / "bot.pid"
    with running(bot) as process:
        file.write_text(f"{process.pid}\nfurther lines as PostgreSQL writes\n")
        assert look(pid_file=str(file)).figures["instances"] == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "does not exist"),
        ("", "contains no process ID"),
        ("-1", "contains no process ID"),
        ("9" * 400, "contains no process ID"),
        ("4194305", "names 4194305, which is not running"),
    ],
)
def test_a_pid_file_that_names_nobody_is_told(tmp_path: Path, content: str | None, expected: str) -> None:
    file = tmp_path / "bot.pid"
    if content is not None:
        file.write_text(content)
    seen = look(pid_file=str(file))
    assert (seen.status, seen.reason) == ("critical", "not_running")
    assert seen.text == f"PID file {file} {expected}; expected at least 1"


def test_a_pid_that_went_to_another_process_is_told(bot: Path, tmp_path: Path) -> None:
    file = tmp_path / "bot.pid"
    with running(bot) as process:
        file.write_text(str(process.pid))
        os.utime(file, (1_700_000_000, 1_700_000_000))
        by_age = look(pid_file=str(file))
        by_name = look(pid_file=str(file), name="postgres")
        sure = look(pid_file=str(file), name=NAME)
    assert (by_age.status, by_age.reason) == ("critical", "not_running")
    assert f"({NAME}, started after the file was written)" in by_age.text
    assert f"now used by another process ({NAME})" in by_name.text
    assert sure.status == "ok"


def test_a_younger_instance_is_a_restart(bot: Path) -> None:
    watched = watching(name=NAME)
    with running(bot):
        watched.run(NOON)
    watched.run(NOON)
    with running(bot):
        assert watched.run(NOON).figures["restarts"] == 1
        with running(bot):
            assert watched.run(NOON).figures["restarts"] == 1


def test_workers_that_come_and_go_are_no_restarts(tmp_path: Path) -> None:
    script = tmp_path / f"{NAME}.py"
    script.write_text(
        "import os, sys\n"
        "for line in sys.stdin:\n"
        "    if os.fork() == 0:\n"
        "        os.read(0, 1)\n"
        "        os._exit(0)\n"
        "    print('forked', flush=True)\n"
        "    os.wait()\n"
        "    print('ended', flush=True)\n"
    )
    master = subprocess.Popen([sys.executable, "-u", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert master.stdin
    assert master.stdout
    watched = watching(command=script.name)
    try:
        for _ in range(2):
            master.stdin.write(b"go\n")
            master.stdin.flush()
            assert master.stdout.readline() == b"forked\n"
            seen = watched.run(NOON)
            assert (seen.figures["instances"], seen.figures["restarts"]) == (2, 0)
            master.stdin.write(b".")
            master.stdin.flush()
            assert master.stdout.readline() == b"ended\n"
    finally:
        master.kill()
        master.communicate()


def test_cpu_is_of_the_time_between_two_looks() -> None:
    command = f"import os; '{NAME}-busy'\nwhile True: pass"
    busy = subprocess.Popen([sys.executable, "-c", command])
    try:
        watched = watching(command=f"{NAME}-busy")
        wait_until(lambda: watched.run(NOON).status == "ok", "it runs")
        assert "process_cpu_usage" not in look(command=f"{NAME}-busy").figures
        # The kernel counts in hundredths of a second: over less than some of them a share says nothing.
        threading.Event().wait(0.3)
        used = wait_until(
            lambda: watched.run(NOON).figures.get("process_cpu_usage", 0), "it is busy", every_s=0.3
        )
        assert used < 150
    finally:
        busy.kill()
        busy.wait()


def test_a_container_finds_the_hosts_processes_and_pid_files(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "root"
    (proc / "77" / "fd").mkdir(parents=True)
    (root / "var").mkdir(parents=True)
    (root / "run").mkdir()
    (root / "var" / "run").symlink_to("/run")
    (root / "run" / "bot.pid").write_text("77")
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text(f"bot:x:{os.geteuid()}:1001::/:/bin/sh\n")
    (proc / "uptime").write_text("5000.00 1.00\n")
    (proc / "stat").write_text("cpu 1 2 3\nbtime 1000000000\n")
    (proc / "77" / "cmdline").write_bytes(b"python3\0-m\0bot\0")
    columns = "S 1 77 77 0 -1 0 0 0 0 0 150 50 0 0 20 0 3 0 440000 0 1000"
    (proc / "77" / "stat").write_text(f"77 (python3) {columns}\n")
    place = WatchedHost("far", proc, root)
    seen = look(place, pid_file="/var/run/bot.pid", command="-m bot", user="bot")
    assert seen.text == "python3 (77) running for 10 min"
    assert seen.figures["process_threads"] == 3


def test_a_table_that_cannot_be_read_is_no_failure_of_the_process(tmp_path: Path) -> None:
    seen = look(WatchedHost("far", tmp_path / "nothing", tmp_path), name=NAME)
    assert (seen.status, seen.reason) == ("unknown", "other")

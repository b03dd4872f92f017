"""supervisord that forks the parts: what the process of a part has, and what becomes of it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.native.part_environment import CREDENTIALS, PRIVATE_FILES, supervisor_environment
from shared.runtime.settings import REPOSITORY
from tests.support import HANG_S, wait_until

pytestmark = pytest.mark.slow  # starts processes

TOKEN = "1:telegram-token"
PROGRAMS = {
    "recorder": "probe wait",
    "notifier": "probe wait",
    "evaluator": "probe refuse",
    "jobs": "missing",
    "redis": "",
}
PROBE = """
import gc
gc.disable()  # it could end supervisord's objects before the first file is open
import atexit, json, os, sys, tempfile, time
if sys.argv[1] == "refuse":
    sys.exit(78)
atexit.register(print, "ended")
files = [tempfile.TemporaryFile() for _ in range(99)]
gc.collect()
lowest = min(os.fstat(file.fileno()) and file.fileno() for file in files)
report = {"environ": dict(os.environ), "argv": sys.argv, "main": __name__, "pid": os.getpid()}
print(json.dumps({**report, "lowest": lowest}), flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    sys.exit("interrupted")
"""
WITHOUT_PRELOADING = "from services.native import supervisord as s; s.preload = lambda: None; s.main()"


class Running:
    """A supervisord with the programs of PROGRAMS, each of which reports what it has to its log."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.process = psutil.Process(process.pid)

    def log(self, name: str) -> str:
        """Return what a program has written so far."""
        path = self.folder / f"{name}.log"
        return path.read_text() if path.exists() else ""

    def report(self, part: str) -> dict[str, Any]:
        """Return the last report of a part."""
        lines = [line for line in self.log(part).splitlines() if line.startswith("{")]
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {}
        return found


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Yield a running supervisord, without the modules that it would import for the parts."""
    folder = tmp_path_factory.mktemp("supervisord")
    (folder / "probe.py").write_text(PROBE)
    programs = [
        f"[program:{name}]\ncommand = "
        + (f"{sys.executable} -m {module}" if module else "/bin/sh -c 'env; sleep 600'")
        + f"\nstdout_logfile = {folder}/{name}.log\nredirect_stderr = true\nexitcodes = 78\n"
        + "autorestart = unexpected\nstartsecs = 0\n"
        for name, module in PROGRAMS.items()
    ]
    (folder / "supervisord.conf").write_text(
        f"[supervisord]\nnodaemon = true\nsilent = true\nlogfile = {folder}/supervisord.log\n"
        f"pidfile = {folder}/pid\nchildlogdir = {folder}\n" + "\n".join(programs)
    )
    environ = {
        **os.environ,
        "PYTHONPATH": f"{folder}:{REPOSITORY}",
        "TELEGRAM_TOKEN": TOKEN,
        CREDENTIALS: "/credentials",
        "EMBEDDED_REDIS": "true",
    }
    with supervisor_environment(environ, {"TELEGRAM_TOKEN": ["notifier"]}) as (public, descriptors):
        command = [sys.executable, "-c", WITHOUT_PRELOADING, "-c", str(folder / "supervisord.conf")]
        process = subprocess.Popen(command, env=public, pass_fds=descriptors, cwd=folder)
    found = Running(folder, process)
    try:
        wait_until(lambda: found.report("recorder") and found.report("notifier"), "the parts run")
        yield found
    finally:
        process.terminate()
        assert process.wait(timeout=HANG_S) == 0
    assert found.log("recorder").endswith("}\n"), "SIGTERM ends what has no handler at once"


def test_a_part_has_no_secret_of_another(running: Running) -> None:
    """Only the notifier has its token, and nobody has it where other processes could read it."""
    recorder, notifier = running.report("recorder"), running.report("notifier")
    assert "TELEGRAM_TOKEN" not in recorder["environ"]
    assert notifier["environ"]["TELEGRAM_TOKEN"] == TOKEN
    assert "TELEGRAM_TOKEN" not in wait_until(lambda: running.log("redis"), "the program runs")
    for process in (running.process, *(psutil.Process(part["pid"]) for part in (recorder, notifier))):
        assert not any(TOKEN in word for word in (*process.environ().values(), *process.cmdline()))
    for part in (recorder, notifier):
        assert {PRIVATE_FILES, CREDENTIALS}.isdisjoint(part["environ"])
    assert recorder["environ"]["REDIS_URL_FILE"] == "/credentials/recorder/redis-url"


def test_a_part_is_a_process_with_its_own_command_line(running: Running) -> None:
    """`ps` shows the module, which runs as the main module with its arguments."""
    report = running.report("recorder")
    process = psutil.Process(report["pid"])
    assert process.ppid() == running.process.pid
    assert " ".join(process.cmdline()).split() == [sys.executable, "-m", "probe", "wait"]
    assert (report["main"], report["argv"][1:]) == ("__main__", ["wait"])


def test_a_part_inherits_no_descriptor(running: Running) -> None:
    """Its first file is number 3, and remains open when supervisord's objects are collected."""
    assert running.report("recorder")["lowest"] == 3
    assert "Bad file descriptor" not in running.log("recorder")


def test_a_killed_part_is_started_again(running: Running) -> None:
    """Alone, and with its secrets."""
    before, other = running.report("notifier"), running.report("recorder")
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: running.report("notifier")["pid"] != before["pid"], "it runs again")
    assert running.report("notifier")["environ"] == before["environ"]
    assert running.report("recorder") == other


def test_a_log_that_gzip_took_is_begun_again(running: Running) -> None:
    """What a part writes after `gzip` has removed its log, as the guide does, is in a new one."""
    before = running.report("notifier")
    subprocess.run(["gzip", running.folder / "notifier.log"], check=True, timeout=HANG_S)
    os.kill(before["pid"], signal.SIGKILL)
    wait_until(lambda: running.report("notifier").get("pid", before["pid"]) != before["pid"], "it is logged")


def test_a_part_ends_as_a_python_process_does(running: Running) -> None:
    """Its exit functions run, and its last words are printed."""
    before = running.report("recorder")["pid"]
    os.kill(before, signal.SIGINT)
    wait_until(lambda: running.report("recorder")["pid"] != before, "it is started again")
    assert "interrupted\n" in running.log("recorder")
    assert "ended\n" in running.log("recorder")


def test_a_part_that_cannot_run_stops_no_other(running: Running) -> None:
    """One that rejects its configuration is not started again; one without its module says so in its log."""
    refused = "exited: evaluator (exit status 78; expected)"
    wait_until(lambda: refused in running.log("supervisord"), "it has exited")
    assert running.log("supervisord").count("spawned: 'evaluator'") == 1
    wait_until(lambda: "No module named missing" in running.log("jobs"), "it says what is missing")


def test_what_parts_share_is_imported_without_metrics() -> None:
    """A process that has imported it has no value of a metric but the version."""
    code = (
        "from services.native.supervisord import preload; preload(); import prometheus_client as p; "
        "print(p.generate_latest().decode())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stderr
    values = [line for line in done.stdout.splitlines() if line.startswith("botwatch_")]
    assert [line.partition("{")[0] for line in values] == ["botwatch_build_info"]

"""The process of supervisord, which starts, restarts and stops the parts."""

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import psutil

from services.native.part_environment import supervisor_environment
from shared.runtime.settings import REPOSITORY
from shared.schema.terminal_escaping import escape_controls

REDIS_BINARY = "valkey-server"
CONFIG_EXIT_LINE = "exited: {part} (exit status 78"
"""What supervisor logs of a part that refuses its configuration: it is not started again."""
STOP_TIMEOUT_S = 25.0
STALLED_AFTER_S = 60.0
"""After so long without a further part the start may have failed, …"""
STARTUP_CPU_S = 60.0
"""… if the parts have used so much CPU time since, …"""
IDLE_CORES = 0.2
"""… or hardly any: they wait. In between the machine is slow or busy: they are still starting."""
PR_SET_PDEATHSIG = 1


class StartupProgress:
    """Whether parts are still starting; time is an argument, in seconds."""

    def __init__(self, now_s: float) -> None:
        self._progress_at = now_s
        self._missing = 0
        self._cpu_s = 0.0

    def has_stalled(self, missing: int, cpu_s: float, now_s: float) -> bool:
        """Return whether no further part is to be expected, given how many are missing and their CPU time."""
        if missing != self._missing:
            self._missing, self._progress_at, self._cpu_s = missing, now_s, cpu_s
        waited, used = now_s - self._progress_at, cpu_s - self._cpu_s
        return waited > STALLED_AFTER_S and not IDLE_CORES * waited < used < STARTUP_CPU_S


class Supervisor:
    """supervisord in a session of its own: Ctrl-C reaches only `botwatch up`, and the parts stop in order."""

    def __init__(
        self, home: Path, environ: Mapping[str, str], private: Mapping[str, Collection[str]]
    ) -> None:
        """Start it; `private` has further secrets: names of variables to the parts that need them."""
        self._logs = home / "logs"
        self._log = self._logs / "supervisord.log"
        self._log.touch()
        self._logged_before = self._log.stat().st_size
        self._children: list[psutil.Process] = []
        self._sizes_before = {path.name: path.stat().st_size for path in self._logs.glob("*.log")}
        with supervisor_environment(environ, private) as (public, descriptors):
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.native.supervisord", "-c", "deploy/supervisord.conf"],
                env=public,
                pass_fds=descriptors,
                cwd=REPOSITORY,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509
            )

    def is_running(self) -> bool:
        """Return whether supervisord runs."""
        return self._process.poll() is None

    def exit_code(self) -> int | None:
        """Return the code that supervisord ended with, negative for a signal; None while it runs."""
        return self._process.poll()

    def remember_children(self) -> None:
        """Note which processes it has, to stop them should it be killed."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._children = psutil.Process(self._process.pid).children(recursive=True)

    def stop(self) -> None:
        """Stop all parts, then supervisord; kill what is left after STOP_TIMEOUT_S."""
        self.remember_children()
        if self.is_running():
            self._process.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self.is_running():
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                self._resend_stop()
            if time.monotonic() > deadline:
                self._process.kill()
        # Anything is left only if supervisord itself was killed.
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for child in psutil.wait_procs(self._children, timeout=0)[1]:
                end(child)
            psutil.wait_procs(self._children, timeout=STOP_TIMEOUT_S / 2)

    def _resend_stop(self) -> None:
        """Send SIGTERM to the parts again: one that supervisord sends between fork and exec is lost."""
        self.remember_children()
        for child in self._children:
            with contextlib.suppress(psutil.NoSuchProcess):
                if REDIS_BINARY not in child.name():
                    child.terminate()

    def misconfigured(self, parts: Iterable[str]) -> set[str]:
        """Return which of `parts` have exited, in this run, because of their configuration."""
        with self._log.open(errors="replace") as file:
            file.seek(self._logged_before)
            text = file.read()
        return {part for part in parts if CONFIG_EXIT_LINE.format(part=part) in text}

    def cpu_s(self) -> float:
        """Return the CPU time that the parts have used, those that ended included, in seconds."""
        try:
            supervisor = psutil.Process(self._process.pid)
            children = supervisor.children(recursive=True)
            used = sum(supervisor.cpu_times()[:4])
        except psutil.Error:
            return 0.0
        for child in children:
            with contextlib.suppress(psutil.Error):
                used += sum(child.cpu_times()[:2])
        return used

    def log_tail(self, part: str) -> str:
        """Return the last lines of a part's log, of this run only."""
        name = f"{part}.log"
        return read_tail(self._logs / name, self._sizes_before.get(name, 0))


def describe_exit(code: int | None) -> str:
    """Return how a process ended: `exited with code 1`, `was killed by SIGKILL`."""
    if code is None or code >= 0:
        return f"exited with code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def read_tail(log: Path, begin: int, lines: int = 15) -> str:
    """Return the last lines of a log after its first `begin` bytes, of all of it if it is shorter."""
    try:
        with log.open("rb") as file:
            file.seek(begin if begin <= log.stat().st_size else 0)  # it was rotated
            text = file.read().decode(errors="replace")
    except OSError as error:
        return f"(no log: {error.strerror})"
    return "\n".join(map(escape_controls, text.splitlines()[-lines:]))


def _die_with_parent() -> None:
    """Have the kernel stop supervisord if `botwatch up` is killed (Linux; elsewhere it stays)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

"""Processes that must run: found by pid file, name, command line and user; with what they use."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from services.collector.checks.base import CheckResult, Probe
from services.collector.host import process_table
from services.collector.host.process_table import Process
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import ProcessSection
from shared.schema.durations import format_rough
from shared.schema.patterns import Regex
from shared.schema.records import CheckType

EXITED_STATES = "ZX"
STOPPED_STATES = "Tt"
START_TIME_TOLERANCE_S = 2.0
"""A pid file may seem so much older than its process: both moments are rounded."""
SHELLS = frozenset(("ash", "bash", "busybox", "dash", "fish", "ksh", "sh", "zsh"))
VIEWERS = frozenset(
    (
        *("ag", "cat", "egrep", "emacs", "fgrep", "grep", "less", "more", "nano", "pgrep", "pkill"),
        *("ps", "rg", "tail", "vi", "vim", "watch"),
    )
)
"""Programs whose command line names another program that somebody searches for or views."""
_GIVEN_SCRIPT = re.compile(r"\S+ +-[a-z]*c\b")
MAX_NAMED = 5


def create_probe(section: ProcessSection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section`."""
    del timeout_s  # /proc answers at once.
    return ProcessProbe(section, place)


class ProcessProbe:
    """Counts the matching processes and measures them; rates are of the time since the previous run."""

    type: CheckType = "process"

    def __init__(self, section: ProcessSection, place: WatchedHost) -> None:
        self._section = section
        self._place = place
        self._command = Regex(section.command) if section.command is not None else None
        self._looked_at: float | None = None
        self._cpu: dict[tuple[int, float], float] = {}
        self._roots: set[tuple[int, float]] | None = None
        self._vacant = 0
        self._restarts = 0

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if the processes cannot be read."""
        del now  # The host's own clock since its boot cannot be set.
        complaint = ""
        try:
            uid = self._required_uid()
            if self._section.pid_file is None:
                fitting = list(self._find(uid))
            else:
                fitting, complaint = self._by_pid_file(self._section.pid_file, uid)
            uptime = process_table.uptime(self._place.proc)
        except PermissionError as error:
            return CheckResult("unknown", f"Permission denied on {error.filename}", "denied")
        except (OSError, LookupError) as error:
            return CheckResult("unknown", f"Cannot read the process table: {error}", "other")
        living = [one for one in fitting if one.state not in EXITED_STATES]
        result = evaluate_processes(self._section, fitting, complaint, uptime)
        return result._replace(figures=self._measure(living, uptime))

    def _required_uid(self) -> int | None:
        user = self._section.user
        if user is None:
            return None
        passwd = self._place.resolve("/etc/passwd").read_text(encoding="utf-8", errors="replace")
        number = process_table.uid_of(passwd, user)
        if number is None:
            raise LookupError(f"user {user} not found in /etc/passwd; use a numeric user ID")
        return number

    def _find(self, uid: int | None) -> Iterator[Process]:
        proc, own = self._place.proc, process_table.collector_pid(self._place.proc)
        for pid in process_table.pids(proc):
            process = process_table.read_process(proc, pid)
            if process is None or pid == own or not self._matches(process, uid):
                continue
            yield process

    def _matches(self, process: Process, uid: int | None) -> bool:
        name = self._section.name
        if name is not None and not process_table.has_name(self._place.proc, process, name):
            return False
        if uid is not None and process_table.user_id_of(self._place.proc, process.pid) != uid:
            return False
        if self._command is None:
            return True
        if process.state in EXITED_STATES:
            # It has no command line any more: it fits when it did.
            return process.key in self._cpu
        command = process_table.read_command(self._place.proc, process.pid)
        if name is None and self._section.pid_file is None and is_viewer(process.name, command):
            return False
        return self._command.search(command)

    def _by_pid_file(self, path: str, uid: int | None) -> tuple[list[Process], str]:
        """Find the process that a pid file names; none, and why, when it is not the one."""
        file = self._place.resolve(path)
        try:
            text, written = file.read_text(errors="replace"), file.stat().st_mtime
        except FileNotFoundError:
            return [], f"PID file {path} does not exist"
        first = (text.split() or [""])[0]
        # Beyond ten digits nothing is a pid.
        if not re.fullmatch(r"[0-9]{1,10}", first):
            return [], f"PID file {path} contains no process ID"
        process = process_table.read_process(self._place.proc, int(first))
        if process is None:
            return [], f"PID file {path} names {first}, which is not running"
        if not self._matches(process, uid):
            return [], f"PID file {path} names {first}, now used by another process ({process.name})"
        if (
            self._section.name is None
            and self._command is None
            and self._start_time(process) > written + START_TIME_TOLERANCE_S
        ):
            return [], (
                f"PID file {path} names {first}, now used by another process ({process.name}, started after "
                "the file was written)"
            )
        return [process], ""

    def _start_time(self, process: Process) -> float:
        """Return when it began, in seconds of the clock that stamps files."""
        for line in (self._place.proc / "stat").read_text().splitlines():
            if line.startswith("btime "):
                return int(line.split()[1]) + process.start
        raise LookupError("/proc/stat has no btime")

    def _measure(self, living: Sequence[Process], uptime: float) -> dict[str, float | int]:
        self._count_restarts(living)
        figures: dict[str, float | int] = {"instances": len(living), "restarts": self._restarts}
        before, since = self._cpu, self._looked_at
        self._cpu, self._looked_at = {one.key: one.cpu_seconds for one in living}, uptime
        if not living:
            return figures
        figures["process_memory_bytes"] = sum(one.memory_bytes for one in living)
        figures["process_threads"] = sum(one.threads for one in living)
        figures["process_uptime_seconds"] = max(uptime - max(one.start for one in living), 0.0)
        files = [process_table.count_open_files(self._place.proc, one.pid) for one in living]
        counted = [count for count in files if count is not None]
        if len(counted) == len(files):
            figures["process_open_files"] = sum(counted)
        if since is not None and uptime > since:
            used = sum(cpu_since(one, before, since) for one in living)
            figures["process_cpu_usage"] = round(100 * used / (uptime - since), 2)
        return figures

    def _count_restarts(self, living: Sequence[Process]) -> None:
        """Count the new that take the place of the gone; children of an instance come and go with work."""
        pids = {one.pid for one in living}
        roots = {one.key for one in living if one.parent not in pids}
        if self._roots is not None:
            self._vacant += len(self._roots - roots)
            replaced = min(len(roots - self._roots), self._vacant)
            self._vacant -= replaced
            self._restarts += replaced
        self._roots = roots


def is_viewer(name: str, command: str) -> bool:
    """Tell whether a program has a pattern in its command line without being what the pattern means.

    A shell that was given a script with -c is not the program which the script runs.
    """
    return name in VIEWERS or (name in SHELLS and _GIVEN_SCRIPT.match(command) is not None)


def cpu_since(process: Process, before: dict[tuple[int, float], float], since: float) -> float:
    """Return the CPU seconds since the previous run; all of a process that started after it."""
    known = before.get(process.key, 0.0 if process.start >= since else process.cpu_seconds)
    return process.cpu_seconds - known


def evaluate_processes(
    section: ProcessSection, fitting: Sequence[Process], complaint: str, uptime: float
) -> CheckResult:
    """Compare how many run with how many should. Pure."""
    running = [one for one in fitting if one.state not in EXITED_STATES + STOPPED_STATES]
    if len(running) < section.at_least:
        return _too_few_result(section, fitting, len(running), complaint)
    if section.at_most is not None and len(running) > section.at_most:
        count = f"{len(running)} processes running" if len(running) > 1 else "1 process running"
        text = (
            f"{count}, expected at most {section.at_most}: {_format_processes(running)} "
            f"({describe_criteria(section)})"
        )
        return CheckResult("critical", text, "too_many")
    if not running:
        return CheckResult("ok", f"No process running, as expected ({describe_criteria(section)})")
    since = format_rough(uptime - max(one.start for one in running))
    if len(running) == 1:
        return CheckResult("ok", f"{running[0]} running for {since}")
    return CheckResult(
        "ok", f"{len(running)} processes running, the youngest for {since}: {_format_processes(running)}"
    )


def _too_few_result(
    section: ProcessSection, fitting: Sequence[Process], running: int, complaint: str
) -> CheckResult:
    stopped = [one for one in fitting if one.state in STOPPED_STATES]
    if stopped:
        verb = "is" if len(stopped) == 1 else "are"
        text = f"{_format_processes(stopped)} {verb} stopped by a signal; run `kill -CONT {stopped[0].pid}`"
        return CheckResult("critical", text, "not_running")
    ended = [one for one in fitting if one.state in EXITED_STATES]
    if ended:
        text = (
            f"{_format_processes(ended)} is a zombie: its parent {ended[0].parent} has not reaped it; "
            f"{_format_expected(section)}"
        )
        return CheckResult("critical", text, "zombie")
    if complaint:
        return CheckResult("critical", f"{complaint}; {_format_expected(section)}", "not_running")
    if running:
        text = f"Only {running} running, {_format_expected(section)} ({describe_criteria(section)})"
        return CheckResult("critical", text, "not_running")
    return CheckResult(
        "critical",
        f"No process matches {describe_criteria(section)} ({_format_expected(section)})",
        "not_running",
    )


def _format_expected(section: ProcessSection) -> str:
    return f"expected at least {section.at_least}"


def describe_criteria(section: ProcessSection) -> str:
    """Say what a process must have to fit."""
    parts = {
        "name": section.name,
        "command line": section.command,
        "PID file": section.pid_file,
        "user": section.user,
    }
    return " and ".join(f"{what} {value}" for what, value in parts.items() if value is not None)


def _format_processes(found: Sequence[Process]) -> str:
    beyond = len(found) - MAX_NAMED
    names = ", ".join(map(str, found[:MAX_NAMED]))
    return f"{names} and {beyond} more" if beyond > 0 else names

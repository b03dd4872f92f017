"""A systemd unit that must be active."""

import shutil
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime

from services.collector.checks.base import CheckResult, Probe, RestartCounter
from services.collector.host.watched_host import WatchedHost
from shared.schema.durations import format_rough
from shared.schema.records import CheckType

PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts",
    "ActiveEnterTimestampMonotonic", "StateChangeTimestampMonotonic",
)  # fmt: skip
MAX_QUOTED = 200


def create_probe(unit: str, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `unit`."""
    return SystemdProbe(unit, timeout_s, place)


class SystemdProbe:
    """Queries systemctl; `unknown` if systemd does not run or cannot be reached, as in most containers."""

    type: CheckType = "systemd"

    def __init__(self, unit: str, timeout_s: float, place: WatchedHost) -> None:
        self._unit = unit
        self._timeout_s = timeout_s
        self._place = place
        self._restarts = RestartCounter()

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now  # systemd's times are of the monotonic clock.
        systemctl = shutil.which("systemctl")
        if unable := self._unavailable_reason(systemctl):
            return CheckResult("unknown", unable, "other")
        command = [systemctl or "", "show", f"--property={','.join(PROPERTIES)}", "--", self._unit]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=self._timeout_s, check=False,
                text=True, errors="replace",
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return CheckResult("critical", f"systemd timed out after {self._timeout_s:g} s", "timeout")
        except OSError as error:
            return CheckResult("unknown", f"systemctl cannot be run: {error.strerror}", "other")
        if done.returncode:
            errors = " ".join(done.stderr.split())[:MAX_QUOTED]
            return CheckResult("unknown", f"systemctl show {self._unit} failed: {errors}", "other")
        return self._evaluate(parse_properties(done.stdout), time.monotonic())

    def _unavailable_reason(self, systemctl: str | None) -> str:
        """Say why systemd cannot be asked; empty when it can."""
        try:
            # As sd_booted(3) has it.
            if not self._place.resolve("/run/systemd/system").is_dir():
                return "systemd is not running on this host"
        except OSError as error:
            return f"/run cannot be read: {error}"
        return "" if systemctl else "systemctl is not installed where the collector runs"

    def _evaluate(self, found: Mapping[str, str], monotonic: float) -> CheckResult:
        figures: dict[str, float | int] = {}
        began = found.get("ActiveEnterTimestampMonotonic", "0")
        # The very first start is none; a unit that is not loaded has forgotten when it began.
        if began != "0":
            figures["restarts"] = self._restarts.update(began, int(found.get("NRestarts", 0)))
        if found.get("ActiveState") == "active" and began != "0":
            figures["process_uptime_seconds"] = max(monotonic - int(began) / 1e6, 0.0)
        return evaluate_unit(self._unit, found, monotonic)._replace(figures=figures)


def parse_properties(text: str) -> dict[str, str]:
    """Read what `systemctl show` writes."""
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value for name, _, value in pairs}


def evaluate_unit(unit: str, found: Mapping[str, str], monotonic: float) -> CheckResult:
    """Evaluate a unit by its properties, at a time of the monotonic clock in seconds. Pure."""
    active, sub = found.get("ActiveState", ""), found.get("SubState", "")
    if found.get("LoadState") == "not-found":
        return CheckResult("critical", f"Unit {unit} does not exist", "not_running")
    changed = int(found.get("StateChangeTimestampMonotonic", 0)) / 1e6
    since = f" for {format_rough(monotonic - changed)}" if changed else ""
    if active in ("active", "reloading", "refreshing"):
        return CheckResult("ok", f"{unit} is {active} ({sub}){since}")
    ended = f"{found.get('Result')}, status {found.get('ExecMainStatus', '0')}"
    if sub == "auto-restart":
        text = f"{unit} exited ({ended}); restarting ({found.get('NRestarts', '0')} restarts)"
        return CheckResult("critical", text, "failed")
    if active == "activating":
        return CheckResult("warning", f"{unit} is still starting ({sub}){since}", "not_running")
    if active == "failed":
        return CheckResult("critical", f"{unit} is failed{since} ({ended}), expected active", "failed")
    masked = "masked and " if found.get("LoadState") == "masked" else ""
    text = f"{unit} is {masked}{active or 'in no state'} ({sub}){since}, expected active"
    return CheckResult("critical", text, "not_running")

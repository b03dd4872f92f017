"""`python -m services.native.monitoring [--compose] [--detached]`: the process of a production Botwatch.

It holds `logs/monitoring.pid`, starts the parts (natively or in containers), follows their logs, and stops
them when it gets SIGTERM. systemd runs it in the foreground; `start_monitoring.sh` runs it `--detached`, in a
session of its own, and prints what it prints until the parts are ready.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from shlex import quote

import psutil

from services.native import upgrade
from services.native.compose import ComposeStack, public_addresses
from services.native.diagnostics.finding import lines, summary
from services.native.diagnostics.machine import in_mb
from services.native.diagnostics.site import Site, production_site
from services.native.first_admin import has_users
from services.native.output_log import Lines, OutputLog
from services.native.pid_file import AlreadyRunningError, PidFile
from services.native.preflight import create_folders, require_ready
from services.native.preparation import prepare
from services.native.stack import NativeStack
from services.native.start_error import StartError
from services.native.startup_log import Console, detach, startup_log
from services.native.terminal import AlertPrinter
from shared.runtime.file_modes import restrict_umask
from shared.runtime.signals import stop_on
from shared.schema.faults import InvalidError
from shared.version import VERSION


def main() -> int:
    """Run Botwatch until SIGTERM; return 0, or 1 if it did not start."""
    parser = argparse.ArgumentParser(prog="monitoring")
    parser.add_argument("--compose", action="store_true")
    parser.add_argument("--detached", action="store_true")
    options = parser.parse_args()
    console = detach() if options.detached else Console(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    restrict_umask()
    try:
        site = production_site(os.environ, "compose" if options.compose else "native")
    except InvalidError as error:
        for fault in error.faults:
            console.print(f"{fault}")
        return 1
    logs = site.home / "logs"
    with contextlib.suppress(OSError):  # reported by the checks
        logs.mkdir(parents=True, exist_ok=True)
    with startup_log(logs, console):
        return run(site, console)


def run(site: Site, console: Console) -> int:
    """Check, start, wait until healthy, follow, stop; return the exit code."""
    started = time.monotonic()
    print(f"Botwatch {VERSION} starts in {site.home} ({site.way}, pid {os.getpid()})", flush=True)
    stopping = threading.Event()
    stop_on((signal.SIGINT, signal.SIGTERM), stopping, hangup=threading.Event())
    try:
        findings = require_ready(site)
        print("\n".join([*lines(findings), summary(findings)]), flush=True)
        create_folders(site.home, site.settings.botwatch_config)
        with PidFile(site.home, site.way) as pid_file:
            run_stack = _run_compose if site.way == "compose" else _run_native
            code = run_stack(site, console, pid_file, stopping, started)
    except AlreadyRunningError:
        print("Botwatch is already running.", flush=True)
        return 0
    except (StartError, InvalidError) as error:
        faults = error.faults if isinstance(error, InvalidError) else error.args
        print("\n".join(f"✗ {fault}" for fault in faults))
        print("Nothing was started.", flush=True)
        return 1
    stopped = "Botwatch has stopped." if code == 0 else "Botwatch did not stay up; nothing is left running."
    print(stopped, flush=True)
    return code


def _run_native(
    site: Site, console: Console, pid_file: PidFile, stopping: threading.Event, started: float
) -> int:
    upgrade.back_up(site, site.environ)
    stack = NativeStack(prepare(site.environ, demo=False))
    with OutputLog(site.home / "logs", Statistics()) as output, stack:
        code = stack.wait_until_ready(stopping)
        if code == 0 and not stopping.is_set():
            addresses = dict(stack.addresses)
            addresses["Redis (bots)"] = f"URL in {site.credentials}/bot/redis-url"  # it has a password
            _announce(site, addresses, pid_file, console, time.monotonic() - started)
            with contextlib.redirect_stdout(Lines(partial(output.write, "alerts"))):
                code = stack.follow(AlertPrinter(stack.redis), stopping)
        pid_file.mark("stopping")
        print("Botwatch is stopping …", flush=True)
    return code


def _run_compose(
    site: Site, console: Console, pid_file: PidFile, stopping: threading.Event, started: float
) -> int:
    upgrade.back_up(site, site.environ)
    with OutputLog(site.home / "logs", Statistics()) as output, ComposeStack(site.environ) as stack:
        code = stack.wait_until_ready(stopping)
        if code == 0 and not stopping.is_set():
            addresses = public_addresses(site.environ)
            _announce(site, addresses, pid_file, console, time.monotonic() - started)
            code = stack.follow(partial(output.write, "compose"), stopping)
        pid_file.mark("stopping")
        print("Botwatch is stopping …", flush=True)
    return code


def _announce(
    site: Site, addresses: Mapping[str, str], pid_file: PidFile, console: Console, took_s: float
) -> None:
    """Print that all parts are healthy, and let the starter go."""
    upgrade.remember_version(site)
    print(f"Botwatch is up ({took_s:.1f} s).\n")
    print("\n".join(f"  {name:<15} {address}" for name, address in addresses.items()))
    print(f"\nStop it: kill $(cat {quote(str(pid_file.path))})", flush=True)
    pid_file.mark("running")
    if console.is_starter:
        console.close()
    elif not has_users(site):  # no password here: it would end in systemd's journal
        print("Nobody can sign in yet: botwatch user add admin --role admin --generate", flush=True)


class Statistics:
    """Makes a line on what this process and its children use."""

    def __init__(self) -> None:
        self._cpu_s, self._at = 0.0, time.monotonic()

    def __call__(self) -> str:
        """Return the CPU share since the last call, and the memory now."""
        own = psutil.Process()
        memory, cpu_s, count = 0, 0.0, 0
        for process in (own, *own.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                memory += process.memory_info().rss
                cpu_s += sum(process.cpu_times()[:2])
                count += 1
        now = time.monotonic()
        share = 100 * max(0.0, cpu_s - self._cpu_s) / (now - self._at)
        self._cpu_s, self._at = cpu_s, now
        return f"performance: {count} processes, CPU {share:.1f}% of one core, memory {in_mb(memory)}"


if __name__ == "__main__":
    sys.exit(main())

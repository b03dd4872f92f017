"""`start_monitoring.sh` finds Python and runs this: start, stop and show a production Botwatch."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing

import psutil
from redis.exceptions import RedisError

from services.native import upgrade
from services.native.compose import COMPOSE, ComposeStack, is_running
from services.native.diagnostics.finding import exit_code, lines, summary
from services.native.diagnostics.registry import PREFLIGHT, diagnose
from services.native.diagnostics.site import Site, Way, production_site
from services.native.first_admin import create_first_admin
from services.native.pid_file import STOP_TIMEOUT_S, PidFile
from shared.runtime import clock
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import EXPECTED_PARTS, read_presence
from shared.runtime.settings import REPOSITORY
from shared.runtime.supervisor_pid import running_supervisor
from shared.schema.faults import InvalidError

PROG = "start_monitoring.sh"
DESCRIPTION = "Start, stop or show Botwatch in production. To try it with a demo bot: make run."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one action; return 0, 1 if it failed, 2 for a wrong command line, 141 if its output is not read."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `start_monitoring.sh --status | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(arguments: Sequence[str] | None) -> int:
    options = _parser().parse_args(arguments)
    way: Way = "native" if options.native else "compose"
    try:
        site = production_site(os.environ, way)
    except InvalidError as error:
        sys.stderr.writelines(f"{PROG}: {fault}\n" for fault in error.faults)
        return 1
    if options.status:
        return show_status(site)
    if options.stop:
        return stop(site)
    return show_plan(site) if options.dry_run else start(site)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROG, description=DESCRIPTION, allow_abbrev=False)
    actions = parser.add_mutually_exclusive_group(required=True)
    actions.add_argument("--production", action="store_true", help="start in the background, in containers")
    actions.add_argument("--status", action="store_true", help="show what runs; exit 1 if a part is down")
    actions.add_argument("--stop", action="store_true", help="stop everything and wait until it has stopped")
    parser.add_argument("--native", action="store_true", help="with --production: without containers")
    parser.add_argument(
        "--dry-run", action="store_true", help="with --production: run the checks and change nothing"
    )
    return parser


def show_plan(site: Site) -> int:
    """Run the checks and print what a start would do; return 1 if it would fail."""
    findings = list(diagnose(site, PREFLIGHT))
    print("\n".join([*lines(findings), summary(findings)]))
    steps = []
    if not site.credentials.exists() and site.way == "native":
        steps.append(f"create folders and secrets in {site.home}")
    if reason := upgrade.upgrade_reason(site):
        steps.append(f"back up, then upgrade ({reason})")
    started = "every part under supervisor" if site.way == "native" else " ".join(ComposeStack.UP)
    steps.append(f"start {started}")
    steps.append(f"write {site.home}/logs/monitoring.pid, monitoring_startup.log and monitoring_output.log")
    print("Nothing was changed. A start would:\n" + "\n".join(f"  - {step}" for step in steps))
    return 1 if exit_code(findings) > 1 else 0


def start(site: Site) -> int:
    """Start Botwatch in a session of its own and wait until it is healthy; harmless if it runs already."""
    pid_file = PidFile(site.home)
    holder = pid_file.holder()
    if holder and holder.state != "stopping":
        print(f"Botwatch is already {holder.state}, pid {holder.pid} ({holder.way}).")
        return 0
    if not _wait_for_earlier(site, pid_file):
        return 1
    mode = ["--compose"] if site.way == "compose" else []
    process = subprocess.Popen(
        [sys.executable, "-m", "services.native.monitoring", "--detached", *mode],
        env={**os.environ, "BOTWATCH_HOME": str(site.home)},
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # it survives the end of this terminal
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - as asked for
    try:
        for line in process.stdout:  # ends when everything is healthy, or with the process
            print(line, end="", flush=True)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 128 + signal.SIGINT
    holder = pid_file.holder()
    if holder and holder.pid == process.pid and holder.state == "running":
        create_first_admin(site)
        return 0
    code = process.wait()
    if code:
        sys.stderr.write(f"{PROG}: Botwatch was not started; see {site.home}/logs/monitoring_startup.log\n")
    return 1 if code else 0


def _wait_for_earlier(site: Site, pid_file: PidFile) -> bool:
    """Wait until an earlier Botwatch that got a signal to stop, or was killed, has stopped."""
    earlier = pid_file.holder() or site.supervisor
    if earlier is None:
        return True
    print(f"Waiting for the earlier Botwatch (pid {earlier.pid}) to stop …", flush=True)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while time.monotonic() < deadline:
        if pid_file.holder() is None and running_supervisor(site.home) is None:
            return True
        time.sleep(0.2)
    fix = f"stop it with Ctrl-C where it was started, or: kill {earlier.pid}"
    sys.stderr.write(f"{PROG}: Botwatch is already running in {site.home} (pid {earlier.pid}); {fix}\n")
    return False


def stop(site: Site) -> int:
    """Stop Botwatch and wait until it has stopped."""
    pid_file = PidFile(site.home)
    holder = pid_file.holder()
    if holder is None:
        return _stop_without_holder(site)
    started = time.monotonic()
    try:
        os.kill(holder.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass  # it has just ended
    except PermissionError:
        sys.stderr.write(f"{PROG}: pid {holder.pid} belongs to another user: sudo kill {holder.pid}\n")
        return 1
    if not pid_file.wait_until_free(2 * STOP_TIMEOUT_S):
        sys.stderr.write(f"{PROG}: pid {holder.pid} has not stopped; kill -9 {holder.pid} loses no record\n")
        return 1
    print(f"Botwatch has stopped ({time.monotonic() - started:.1f} s).")
    return 0


def _stop_without_holder(site: Site) -> int:
    if site.supervisor:
        parent = site.supervisor.ppid()
        sys.stderr.write(f"{PROG}: `botwatch up` runs it (pid {parent}): Ctrl-C there, or kill {parent}\n")
        return 1
    if is_running(os.environ):
        return subprocess.run(ComposeStack.DOWN, cwd=REPOSITORY, check=False).returncode
    print(f"Botwatch is not running in {site.home}.")
    return 0


def show_status(site: Site) -> int:
    """Print what runs; return 0 if every part is up, else 1."""
    holder = PidFile(site.home).holder()
    if holder and holder.way == "compose":
        print(f"Botwatch is {holder.state} in containers (pid {holder.pid}).")
        return subprocess.run([*COMPOSE, "ps"], cwd=REPOSITORY, check=False).returncode
    process = holder or site.supervisor
    if process is None:
        print(f"Botwatch is not running in {site.home}. Start it: {PROG} --production [--native]")
        return 1
    since = psutil.Process(process.pid).create_time()
    print(f"Botwatch is {holder.state if holder else 'running'} (pid {process.pid}), since {_clock(since)}")
    return _show_parts(Site(site.environ))


def _show_parts(site: Site) -> int:
    with closing(connect_redis(site.redis_url, call_timeout_s=2.0, retries=0)) as redis:
        try:
            found = read_presence(redis, clock.now())
        except RedisError as error:
            print(f"Redis does not answer: {error}")
            return 1
    down = set(EXPECTED_PARTS)
    for name in sorted(EXPECTED_PARTS | found.keys()):
        part, is_up = found.get(name, (None, False))
        if part and is_up:
            down.discard(name)
            print(f"  {name:<16} up    pid {part.pid:<8} since {_clock(part.started_at.timestamp())}")
        elif name in EXPECTED_PARTS:
            print(f"  {name:<16} DOWN  see {site.home}/logs/{name}.log")
    print(f"Page: http://localhost:{site.public_ports['DASHBOARD_PORT']}/  Details: botwatch doctor")
    return 1 if down else 0


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


if __name__ == "__main__":
    sys.exit(main())

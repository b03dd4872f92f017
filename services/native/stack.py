"""The parts of one home as processes: start, readiness, and end."""

import sys
import threading
import time
from collections.abc import Set as AbstractSet
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from services.native.prepared_stack import PreparedStack
from services.native.supervisor import StartupProgress, Supervisor, describe_exit
from services.native.terminal import AlertPrinter
from shared.runtime import clock
from shared.runtime.redis import presence
from shared.runtime.redis.connection import connect_redis, describe_redis_error

PROGRESS_INTERVAL_S = 10.0
"""How often to print what the start waits for."""


class NativeStack:
    """The parts of one home as processes of one supervisor; a context manager that runs them."""

    redis: Redis
    """Inside the context: all rights."""

    def __init__(self, prepared: PreparedStack) -> None:
        self._prepared = prepared
        self._home = prepared.home
        self.addresses = prepared.addresses
        self._created_at = clock.now()
        self._redis_fault = ""
        """Why Redis does not answer."""

    def __enter__(self) -> Self:
        self._supervisor = Supervisor(self._home, self._prepared.environ, self._prepared.private)
        self.redis = connect_redis(self._prepared.redis_url)
        return self

    def __exit__(self, *_: object) -> None:
        self.redis.close()
        self._supervisor.stop()
        # Imported now: SQLAlchemy would double the memory of this process for as long as the parts run.
        from services.native.stop_audit import audit_stop  # noqa: PLC0415

        audit_stop(self._prepared)

    def wait_until_ready(self, stopping: threading.Event) -> int:
        """Wait until every part is up; if the start has failed, print why and return 1."""
        start = StartupProgress(time.monotonic())
        print_at = time.monotonic() + PROGRESS_INTERVAL_S
        while not stopping.is_set():
            if not self._supervisor.is_running():
                how = describe_exit(self._supervisor.exit_code())
                sys.stderr.write(f"botwatch up: supervisor {how}; see {self._home}/logs/supervisord.log\n")
                return 1
            missing = self.missing_parts()
            if not missing:
                return 0
            now = time.monotonic()
            if now >= print_at:
                print(self.describe_wait(missing), flush=True)
                print_at = now + PROGRESS_INTERVAL_S
            has_stalled = start.has_stalled(len(missing), self._supervisor.cpu_s(), now)
            if has_stalled and self._redis_fault:
                where = f"check REDIS_URL, or {self._home}/logs/redis.log"
                sys.stderr.write(f"botwatch up: {self._redis_fault}: no part can start; {where}\n")
                return 1
            failed = missing if has_stalled else self._supervisor.misconfigured(missing)
            for part in sorted(failed):
                tail = self._supervisor.log_tail(part)
                sys.stderr.write(f"botwatch up: {part} failed to start. Last log lines:\n{tail}\n")
            if failed:
                return 1
            stopping.wait(0.1)
        return 0

    def describe_wait(self, missing: AbstractSet[str]) -> str:
        """Return what a start waits for, and why if Redis is the reason."""
        return " ".join(["Waiting for", ", ".join(sorted(missing)), "…", self._redis_fault]).rstrip()

    def missing_parts(self) -> AbstractSet[str]:
        """Return the parts that are not up."""
        try:
            found = presence.read_presence(self.redis, clock.now()).items()
        except RedisError as error:
            self._redis_fault = describe_redis_error(error)
            return presence.EXPECTED_PARTS
        self._redis_fault = ""
        # The entries of an earlier run that was just killed look alive for ten seconds.
        return presence.EXPECTED_PARTS - {
            name for name, (part, up) in found if up and part.started_at >= self._created_at
        }

    def follow(self, alerts: AlertPrinter, stopping: threading.Event) -> int:
        """Print alerts until `stopping` is set; return 1 if supervisor exits before that."""
        while not stopping.is_set():
            if not self._supervisor.is_running():
                how = describe_exit(self._supervisor.exit_code())
                sys.stderr.write(f"botwatch up: supervisor {how}; see {self._home}/logs/supervisord.log\n")
                return 1
            self._supervisor.remember_children()
            try:
                alerts.print_new()
            except RedisError:
                stopping.wait(0.5)  # it is being restarted
        return 0

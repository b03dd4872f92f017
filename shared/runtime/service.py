"""The frame of every part: settings, logging, signals, Redis, the internal port, presence."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol, TypeVar

import structlog
from redis import Redis

from shared.runtime import health, logging_setup
from shared.runtime.access import create_authenticator
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.environment import load_settings
from shared.runtime.file_modes import restrict_umask
from shared.runtime.health import HealthChecks, Pulse
from shared.runtime.liveness import StallGuard
from shared.runtime.redis.connection import (
    UNAVAILABLE_ERRORS,
    connect_redis,
    describe_redis_error,
    wait_until_ready,
)
from shared.runtime.redis.lease import LeaderLease
from shared.runtime.redis.presence import PresencePublisher, server_url
from shared.runtime.settings import PartSettings
from shared.runtime.signals import stop_on
from shared.schema.faults import InvalidError
from shared.store.fenced_error import FencedError

log = structlog.get_logger()

GC_THRESHOLDS = (10_000, 20, 20)
"""How often Python looks for cycles: rarely, as what passes through a part has hardly any."""

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: a restart would not help."""

EXIT_FENCED = 75
"""EX_TEMPFAIL: another process has taken over; restarted, this one is on standby."""

STOP_LIMIT_S = 7.0
"""Limit of a graceful stop after SIGTERM; then the process is ended."""

S = TypeVar("S", bound=PartSettings)


class DatabaseLike(Protocol):
    """A database, for parts without SQLAlchemy."""

    damage: str | None

    @property
    def name(self) -> str:
        """The name of the file."""


class PartContext:
    """What a running part gets.

    `redis`, `health`, `stopping` (set on SIGTERM or SIGINT), `hangup` (set on SIGHUP: reload the config
    documents), `pulse`, and the `lease` of a part that runs once.
    """

    def __init__(self, redis: Redis, health: HealthChecks, lease: LeaderLease | None = None) -> None:
        self.redis = redis
        self.lease = lease
        self.health = health
        self.stopping = threading.Event()
        self.hangup = threading.Event()
        self.pulse = Pulse()
        self.databases: Sequence[DatabaseLike] = ()
        """Databases whose damage is reported with the part's presence."""

    def damaged(self) -> dict[str, str]:
        """Return the damaged databases: name → SQLite's error."""
        return {database.name: database.damage for database in self.databases if database.damage}


def configure_part(part: str, kind: type[S]) -> S:
    """Load the settings of `part`, configure logging and file modes; exit with a line per invalid setting."""
    restrict_umask()
    gc.set_threshold(*GC_THRESHOLDS)
    with exit_on_invalid_config(part):
        settings = load_settings(kind, os.environ)
    logging_setup.configure_logging(part, settings)
    return settings


@contextmanager
def exit_on_invalid_config(part: str) -> Iterator[None]:
    """Exit with a line per fault if the block raises InvalidError or OSError."""
    try:
        yield
    except (InvalidError, OSError) as error:
        exit_invalid_config(part, error)


def exit_invalid_config(part: str, error: Exception) -> NoReturn:
    """Print the faults of the configuration and exit with EXIT_CONFIG."""
    faults = error.faults if isinstance(error, InvalidError) else [error]
    for fault in faults:
        sys.stderr.write(f"botwatch {part}: {fault}\n")
    sys.exit(EXIT_CONFIG)


@contextmanager
def running_part(
    part: str,
    settings: PartSettings,
    *,
    needs_redis: bool = True,
    has_redis: bool = True,
    single: bool = False,
) -> Iterator[PartContext]:
    """Run a part: wait for Redis, serve /metrics and /health, publish presence, and clean up at the end.

    Exits without running the block if the part is stopped while it waits for Redis. `needs_redis=False`: do
    not wait for Redis; `has_redis=False`: no presence. `single`: a second process is on standby until the
    first one ends; a process that lost its lease exits with EXIT_FENCED.
    """
    redis = connect_redis(settings.redis_url)
    lease = LeaderLease(redis, part) if single else None
    frame = PartContext(redis, HealthChecks(part, {"redis": redis.ping} if has_redis else {}), lease)
    if lease:
        frame.health.add("lease", lease.check)
    frame.health.add("loop", frame.pulse.check)
    stop_on((signal.SIGTERM, signal.SIGINT), frame.stopping, STOP_LIMIT_S, frame.hangup)
    with exit_on_invalid_config(part):
        access = create_authenticator(part, settings, redis if has_redis else None)
    server = health.serve_health(
        frame.health, settings.health_host, settings.health_port, AllowedHosts(settings), access
    )
    access.start()
    url = server_url(settings.health_host, server.server_port)
    presence = liveness = None
    try:
        if needs_redis and has_redis and not wait_until_ready(redis, frame.stopping):
            sys.exit()
        if lease:
            if not lease.acquire(frame.stopping, frame.pulse.touch):
                sys.exit()
            lease.start_renewing(frame.stopping.set)
            frame.pulse.beats = 0  # the first iteration after standby may take longer than others
        presence = PresencePublisher(redis, part, url, frame.damaged) if has_redis else None
        liveness = StallGuard(frame.pulse)
        log.info("started", health=f"{url}/health")
        yield frame
        if lease and lease.lost:
            sys.exit(EXIT_FENCED)
    except FencedError as error:
        log.error("stopping: lease taken over by another process", reason=str(error))
        sys.exit(EXIT_FENCED)
    finally:
        log.info("stopping")
        if liveness:
            liveness.close()
        if presence:
            presence.close()
        if lease:
            lease.release()
        access.close()
        server.shutdown()
        server.server_close()
        redis.close()
        log.info("stopped")


def run_loop(frame: PartContext, step: Callable[[], None], retry_s: float = 0.2) -> None:
    """Call `step` until the part is stopped; while Redis is down, log it once and retry every `retry_s`."""
    away = False
    while not frame.stopping.is_set():
        try:
            step()
        except UNAVAILABLE_ERRORS as error:
            if not away:
                log.warning("redis is down", reason=describe_redis_error(error), error=str(error))
            away = True
            frame.stopping.wait(retry_s)
        else:
            if away:
                log.info("redis is up")
            away = False
        frame.pulse.touch()

"""The frame of every part: settings, logs, signals, Redis, the internal port, the sign of life."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol, TypeVar

import structlog
from redis import Redis

from shared.runtime import health, logs
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.health import Health, Pulse
from shared.runtime.lease import Lease
from shared.runtime.liveness import Liveness
from shared.runtime.parts import Presence, address
from shared.runtime.redis import UNAVAILABLE, connect, reason, wait_until_ready
from shared.runtime.settings import Settings, load_settings
from shared.runtime.signals import stop_on
from shared.schema.faults import InvalidError
from shared.store.fenced import FencedError

log = structlog.get_logger()

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: starting again would not help."""

EXIT_FENCED = 75
"""EX_TEMPFAIL: another process has taken over; started again, this one stands by."""

STOP_LIMIT_S = 7.0
"""Within that long after SIGTERM a part has ended, one way or the other."""

S = TypeVar("S", bound=Settings)


class Store(Protocol):
    """A database, for parts that have none and no SQLAlchemy either."""

    damage: str | None

    @property
    def name(self) -> str:
        """The name of its file."""


class Service:
    """What `service` gives a part.

    `redis`, `health`, `stopping` (set on SIGTERM or SIGINT), `hangup` (set on SIGHUP: read the config
    documents again), `pulse`, and the `lease` of a part that runs once.
    """

    def __init__(self, redis: Redis, health: Health, lease: Lease | None = None) -> None:
        self.redis = redis
        self.lease = lease
        self.health = health
        self.stopping = threading.Event()
        self.hangup = threading.Event()
        self.pulse = Pulse()
        self.databases: Sequence[Store] = ()
        """What the part's sign of life says the damage of."""

    def damaged(self) -> dict[str, str]:
        """Return the databases that are known to be damaged: name → what SQLite says."""
        return {one.name: one.damage for one in self.databases if one.damage}


def start(part: str, kind: type[S]) -> S:
    """Read the settings of `part` and configure its logs; wrong settings end the process, a line each."""
    with refusing(part):
        settings = load_settings(kind, os.environ)
    logs.configure(part, settings)
    return settings


@contextmanager
def refusing(part: str) -> Iterator[None]:
    """End the process, a line per fault, when the block finds that the configuration is wrong."""
    try:
        yield
    except (InvalidError, OSError) as error:
        refuse(part, error)


def refuse(part: str, error: Exception) -> NoReturn:
    """End the process because its configuration is wrong."""
    faults = error.faults if isinstance(error, InvalidError) else [error]
    for fault in faults:
        sys.stderr.write(f"botwatch {part}: {fault}\n")
    sys.exit(EXIT_CONFIG)


@contextmanager
def service(
    part: str,
    settings: Settings,
    *,
    needs_redis: bool = True,
    has_redis: bool = True,
    single: bool = False,
) -> Iterator[Service]:
    """Run a part: wait for Redis, serve /metrics and /health, announce, and take everything down at the end.

    A part that is told to stop while it still waits for Redis ends without running; one that does not need
    Redis does not wait; one that has none is not announced. Of a part that is `single` a second process
    stands by until the first one ends; one that another has overtaken ends with EXIT_FENCED.
    """
    redis = connect(settings.redis_url)
    lease = Lease(redis, part) if single else None
    frame = Service(redis, Health(part, {"redis": redis.ping} if has_redis else {}), lease)
    if lease:
        frame.health.add("lease", lease.check)
    frame.health.add("loop", frame.pulse.check)
    stop_on((signal.SIGTERM, signal.SIGINT), frame.stopping, STOP_LIMIT_S, frame.hangup)
    server = health.serve(frame.health, settings.health_host, settings.health_port, AllowedHosts(settings))
    url = address(settings.health_host, server.server_port)
    presence = liveness = None
    try:
        if needs_redis and has_redis and not wait_until_ready(redis, frame.stopping):
            sys.exit()
        if lease:
            if not lease.wait(frame.stopping, frame.pulse.beat):
                sys.exit()
            lease.keep(frame.stopping.set)
            frame.pulse.beats = 0  # what a standby has still to read may take longer than a turn of its loop
        presence = Presence(redis, part, url, frame.damaged) if has_redis else None
        liveness = Liveness(frame.pulse)
        log.info("started", health=f"{url}/health")
        yield frame
        if lease and lease.lost:
            sys.exit(EXIT_FENCED)
    except FencedError as error:
        log.error("stopping: another process does this part's work", reason=str(error))
        sys.exit(EXIT_FENCED)
    finally:
        log.info("stopping")
        if liveness:
            liveness.close()
        if presence:
            presence.close()
        if lease:
            lease.release()
        server.shutdown()
        server.server_close()
        redis.close()
        log.info("stopped")


def run(frame: Service, step: Callable[[], None]) -> None:
    """Call `step` until the part is to stop. While Redis is away, say so once and try again."""
    away = False
    while not frame.stopping.is_set():
        try:
            step()
        except UNAVAILABLE as error:
            if not away:
                log.warning("redis is away", reason=reason(error), error=str(error))
            away = True
            frame.stopping.wait(0.2)
        else:
            if away:
                log.info("redis is back")
            away = False
        frame.pulse.beat()

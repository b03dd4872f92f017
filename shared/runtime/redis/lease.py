"""Leases: of each part that must run once, one process works and the others stand by.

The lease is a key in Redis that expires unless its holder renews it. A holder that was killed on this machine
is recognized by its process id, so that a restarted part need not wait for the expiry. A lease alone does not
keep a suspended process from writing: databases have a fence for that (`shared.store.fencing`); a stream is
read only in the step that checks the lease (`shared.runtime.redis.stream_reader`).
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import structlog
from redis import Redis
from redis.exceptions import RedisError

from shared.schema import redis_keys

log = structlog.get_logger()

LEASE_MS = 5_000
"""After that long without renewal another process takes over."""
RENEW_S = 1.0
POLL_INTERVAL_S = 0.5
"""How often a standby looks whether the lease is free."""

_ACQUIRE = """
-- KEYS: lease. ARGV: this process, milliseconds, a holder that is known to be dead ('' for none).
-- Returns who holds it now. What never expires is no lease.
local holder = redis.call('PTTL', KEYS[1]) > 0 and redis.pcall('GET', KEYS[1])
if type(holder) == 'string' and holder ~= ARGV[1] and holder ~= ARGV[3] then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class LeaderLease:
    """The lease of one part, from waiting for it to releasing it."""

    def __init__(self, redis: Redis, part: str) -> None:
        self.key = redis_keys.lease_key(part)
        self.owner = f"{_process_location()}/{os.getpid()}/{uuid4().hex[:8]}"
        self.lost = False
        """Whether another process took over while this one believed to hold it."""
        self._part = part
        self._take = redis.register_script(_ACQUIRE)
        self._release = redis.register_script(_RELEASE)
        self._held = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def acquire(self, stopping: threading.Event, pulse: Callable[[], None]) -> bool:
        """Stand by until the lease is free and take it; False when `stopping` came first.

        `pulse` is called on every look, so that a standby counts as alive.
        """
        said = ""
        while not stopping.is_set():
            try:
                holder = self.try_acquire()
            except RedisError as error:
                holder = str(error)
            else:
                if holder == self.owner:
                    log.info("lease taken", part=self._part)
                    self._held = True
                    return True
            if holder != said:
                log.info("standing by", part=self._part, reason=holder)
                said = holder
            pulse()
            stopping.wait(POLL_INTERVAL_S)
        return False

    def try_acquire(self) -> str:
        """Take or renew the lease if it is free, this process's own or a dead one's; return its holder."""
        holder = self._try_script("")
        return self._try_script(holder) if holder != self.owner and _is_dead(holder) else holder

    def start_renewing(self, on_loss: Callable[[], None]) -> None:
        """Renew the lease from a thread until `release`; `on_loss` is called once, from that thread."""
        self._on_loss = on_loss
        self._thread.start()

    def check(self) -> str:
        """Say for /health whether this process works or stands by."""
        return "held" if self._held else "standby: another process holds the lease"

    def release(self) -> None:
        """Let a standby take over at once."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)
        if not self._held:
            return
        self._held = False
        try:
            self._release(keys=[self.key], args=[self.owner])
        except RedisError as error:
            log.info("could not release the lease; it expires", part=self._part, error=str(error))

    def _try_script(self, dead: str) -> str:
        return str(self._take(keys=[self.key], args=[self.owner, LEASE_MS, dead]).decode())

    def _renew(self) -> None:
        while not self._closed.wait(RENEW_S):
            try:
                holder = self._try_script("")
            except RedisError as error:
                log.debug("could not renew the lease", part=self._part, error=str(error))
                continue
            if holder != self.owner:
                self._held, self.lost = False, True
                log.error("lease taken over by another process", part=self._part, holder=holder)
                self._on_loss()
                return


def _process_location() -> str:
    """Name where this process's id means something: the machine since its boot, and the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return uuid4().hex


def _is_dead(holder: str) -> bool:
    """Say whether a holder is known to be dead: it ran here and its process is gone."""
    place, _, rest = holder.partition("/")
    pid = rest.partition("/")[0]
    if place != _process_location() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False

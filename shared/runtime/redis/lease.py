"""Leases: of each part that must run once, one process is active and the others are on standby.

The lease is a key in Redis that expires unless its holder renews it. A holder that was killed on this machine
is recognised by its process ID, so that a restarted part need not wait for the expiry. A lease alone does not
prevent a suspended process from writing: databases have fencing tokens for that (`shared.store.fencing`); a
stream is read only in the script that checks the lease (`shared.runtime.redis.stream_reader`).
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
"""Time to live of the lease: without renewal, another process takes over after it."""
RENEW_S = 1.0
POLL_INTERVAL_S = 0.5
"""How often a standby tries to take the lease."""

_ACQUIRE = """
-- KEYS: lease. ARGV: this process, milliseconds, a holder that is known to be dead ('' for none).
-- Returns the current holder. A key without expiry is not a lease.
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
    """The lease of one part: acquire, renew, release."""

    def __init__(self, redis: Redis, part: str) -> None:
        self.key = redis_keys.lease_key(part)
        self.owner = f"{process_location()}/{os.getpid()}/{uuid4().hex[:8]}"
        self.lost = False
        """Whether another process took the lease over while this one held it."""
        self._part = part
        self._take = redis.register_script(_ACQUIRE)
        self._release = redis.register_script(_RELEASE)
        self._held = False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def acquire(self, stopping: threading.Event, pulse: Callable[[], None]) -> bool:
        """Wait on standby until the lease is free and take it; False if `stopping` is set first.

        `pulse` is called after every attempt, so that a standby counts as alive.
        """
        logged = ""
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
            if holder != logged:
                log.info("standby: another process holds the lease", part=self._part, holder=holder)
                logged = holder
            pulse()
            stopping.wait(POLL_INTERVAL_S)
        return False

    def try_acquire(self) -> str:
        """Take or renew the lease if it is free, held by this process or by a dead one; return its holder."""
        holder = self._try_script("")
        return self._try_script(holder) if holder != self.owner and _is_dead(holder) else holder

    def start_renewing(self, on_loss: Callable[[], None]) -> None:
        """Renew the lease in a thread until `release`; on loss, call `on_loss` once from that thread."""
        self._on_loss = on_loss
        self._thread.start()

    def check(self) -> str:
        """Return for /health whether this process is active or on standby."""
        return "held" if self._held else "standby: another process holds the lease"

    def release(self) -> None:
        """Release the lease, so that a standby takes over at once."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)
        if not self._held:
            return
        self._held = False
        try:
            self._release(keys=[self.key], args=[self.owner])
        except RedisError as error:
            log.info("could not release the lease; it will expire", part=self._part, error=str(error))

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


def process_location() -> str:
    """Return the scope of this process's ID: the boot of the machine and the PID namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return uuid4().hex


def _is_dead(holder: str) -> bool:
    """Return whether a holder is known to be dead: it ran on this machine and its process is gone."""
    place, _, rest = holder.partition("/")
    pid = rest.partition("/")[0]
    if place != process_location() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False

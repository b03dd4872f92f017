"""Access events: when tokens were used and what was refused, from every part to the database.

Most parts may not write the audit log. Each collects its events in memory and appends them to a list in Redis
every few seconds; the dashboard stores them. Both are bounded: a flood of refusals is one event with a count.
"""

import threading
from datetime import datetime
from typing import cast

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from shared.access.refusals import DenialReason
from shared.schema.redis_keys import ACCESS_EVENTS

log = structlog.get_logger()

MAX_DENIALS = 20
"""Limit of different denials per flush; further ones are counted under the address `others`."""
MAX_QUEUED = 500
"""Limit of reports that wait in Redis."""
OTHERS = "others"


class Denials(msgspec.Struct):
    """How often requests were refused for one reason."""

    reason: DenialReason
    address: str
    name: str
    """The identity, blank if unknown."""
    count: int


class AccessReport(msgspec.Struct):
    """The events of one part since its last report."""

    part: str
    used: dict[str, datetime]
    """Token ID → time."""
    denied: list[Denials]


class AccessEvents:
    """The events of this process."""

    def __init__(self, part: str) -> None:
        self._part = part
        self.redis: Redis | None = None
        """Where to report; None: nowhere."""
        self._lock = threading.Lock()
        self._used: dict[str, datetime] = {}
        self._denied: dict[tuple[DenialReason, str, str], Denials] = {}

    def note_use(self, credential: str, now: datetime) -> None:
        """Note that a token was used."""
        self._used[credential] = now

    def note_denial(self, reason: DenialReason, address: str, name: str) -> None:
        """Note that a request was refused."""
        with self._lock:
            if len(self._denied) >= MAX_DENIALS and (reason, address, name) not in self._denied:
                address, name = OTHERS, ""
            denial = self._denied.setdefault((reason, address, name), Denials(reason, address, name, 0))
            denial.count += 1

    def flush(self) -> None:
        """Report the events; they are lost if Redis is down."""
        with self._lock:
            used, self._used = self._used, {}
            denied, self._denied = list(self._denied.values()), {}
        used = dict(used)  # a request may still add to it
        used = {key.removeprefix("token:"): at for key, at in used.items() if "internal-" not in key}
        if self.redis is None or not (used or denied):
            return
        try:
            self.redis.rpush(ACCESS_EVENTS, msgspec.json.encode(AccessReport(self._part, used, denied)))
            self.redis.ltrim(ACCESS_EVENTS, -MAX_QUEUED, -1)
        except RedisError as error:
            log.debug("access events are lost", error=str(error))


def take_reports(redis: Redis, most: int) -> list[AccessReport]:
    """Remove and return up to `most` reports. Raises RedisError; unreadable ones are skipped."""
    found = []
    for data in cast("list[bytes]", redis.lpop(ACCESS_EVENTS, most) or []):
        try:
            found.append(msgspec.json.decode(data, type=AccessReport))
        except msgspec.DecodeError:
            log.warning("skipping an unreadable access report")
    return found

"""Announcing alerts: every event on an alert's timeline reaches the stream `botwatch:alerts`, in order.

The events are written in the transaction that changes the alert; announcing happens after the commit and
may be repeated by whoever comes next, so that a process killed in between loses nothing. The cursor in Redis
moves together with the stream, so that no event is announced twice.
"""

from collections.abc import Sequence
from functools import partial

import msgspec
from redis import Redis

from shared.runtime.read_back import read_back
from shared.schema import streams
from shared.schema.alerts import Alert, AlertMessage
from shared.schema.watchdog import WATCHDOG
from shared.store.alerts import events_after, last_event, open_alerts
from shared.store.database import Database

KEPT = 10_000
"""About how many messages stay on the stream, for clients that resume."""
BATCH = 500

_ANNOUNCE = """
-- KEYS: cursor, stream, open alerts. ARGV: cursor as read, kept,
-- then (event, alert id, is open, alert, message)…; an empty message is not announced
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
local i = 3
while i < #ARGV do
  if ARGV[i + 4] ~= '' then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], '*', 'data', ARGV[i + 4])
    if ARGV[i + 2] == '1' then
      redis.call('HSET', KEYS[3], ARGV[i + 1], ARGV[i + 3])
    else
      redis.call('HDEL', KEYS[3], ARGV[i + 1])
    end
  end
  redis.call('SET', KEYS[1], ARGV[i])
  i = i + 5
end
return 1
"""


class Announcer:
    """Brings the stream and the hash of open alerts up to what the store says."""

    def __init__(self, redis: Redis, database: Database) -> None:
        self._redis = redis
        self._database = database
        self._script = redis.register_script(_ANNOUNCE)

    def announce(self) -> int:
        """Announce every event that has not been, and return how many this call announced."""
        announced = 0
        while True:
            cursor = self._redis.get(streams.ALERTS_CURSOR)
            if cursor is None:
                self._begin()
                continue
            reached = read_back(streams.ALERTS_CURSOR, partial(_event, cursor))
            if reached is None:
                self._redis.delete(streams.ALERTS_CURSOR)
                continue
            with self._database.read() as connection:
                events = events_after(connection, reached, BATCH)
                ahead = not events and reached > last_event(connection)
            if ahead:
                # The store is another, or older, than the one that was announced: say how it stands.
                self._redis.delete(streams.ALERTS_CURSOR)
                continue
            if not events:
                return announced
            arguments: list[bytes | str | int] = [cursor, KEPT]
            for event, change, alert in events:
                message = msgspec.json.encode(AlertMessage(change=change, alert=alert))
                if alert.id == WATCHDOG:
                    message = b""
                is_open = int(alert.status != "RESOLVED")
                arguments += [event, alert.id, is_open, msgspec.json.encode(alert), message]
            keys = [streams.ALERTS_CURSOR, streams.ALERTS, streams.ALERTS_OPEN]
            if self._script(keys=keys, args=arguments):
                announced += len(events)
                if len(events) < BATCH:
                    return announced

    def refresh(self, alerts: Sequence[Alert]) -> None:
        """Show new values of open alerts; nothing on their timeline, and lost without harm."""
        if not alerts:
            return
        with self._redis.pipeline(transaction=True) as pipe:
            for alert in alerts:
                message = msgspec.json.encode(AlertMessage(change="updated", alert=alert))
                pipe.xadd(streams.ALERTS, {streams.FIELD: message}, maxlen=KEPT, approximate=True)
                pipe.hset(streams.ALERTS_OPEN, alert.id, msgspec.json.encode(alert))
            pipe.execute()

    def _begin(self) -> None:
        """Start in a Redis that knows nothing: fill the hash of open alerts, leave history alone."""
        with self._database.read() as connection:
            newest = last_event(connection)
            alerts = open_alerts(connection)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(streams.ALERTS_OPEN)
            for alert in alerts:
                pipe.hset(streams.ALERTS_OPEN, alert.id, msgspec.json.encode(alert))
            pipe.set(streams.ALERTS_CURSOR, newest, nx=True)
            pipe.execute()


def _event(cursor: bytes | str) -> int:
    """Return the event that a cursor names; ValueError when SQLite could not count so far."""
    event = int(cursor)
    if not 0 <= event < 2**63:
        raise ValueError(f"expected the id of an event, got {event}")
    return event

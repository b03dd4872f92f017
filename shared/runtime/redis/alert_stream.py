"""Publish every event of the alerts' timelines on the stream `botwatch:alerts`, in order.

The events are written in the transaction that changes the alert; publishing happens after the commit and can
be repeated by any process, so that one killed in between loses nothing. The cursor in Redis moves together
with the stream, so that no event is published twice.
"""

from collections.abc import Sequence
from functools import partial

import msgspec
from redis import Redis

from shared.runtime.redis.decoding import decode_or_none
from shared.schema import redis_keys
from shared.schema.alerts import Alert, AlertMessage
from shared.schema.watchdog import WATCHDOG
from shared.store.alerts import events_after, last_event, open_alerts
from shared.store.database import Database

MAX_ENTRIES = 10_000
"""About how many messages are kept on the stream, for clients that resume."""
BATCH = 500

_PUBLISH_SCRIPT = """
-- KEYS: cursor, stream, open alerts. ARGV: cursor as read, kept,
-- then (event, alert id, is open, alert, message)…; an empty message is not published
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
-- A key of the wrong type ends the script here, before anything is published.
redis.call('XLEN', KEYS[2])
redis.call('HLEN', KEYS[3])
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


class AlertStreamPublisher:
    """Brings the stream and the hash of open alerts up to date with the store."""

    def __init__(self, redis: Redis, database: Database) -> None:
        self._redis = redis
        self._database = database
        self._script = redis.register_script(_PUBLISH_SCRIPT)

    def publish(self) -> int:
        """Publish every event that was not published yet; return how many this call published."""
        published = 0
        while True:
            cursor = self._redis.get(redis_keys.ALERTS_CURSOR)
            if cursor is None:
                self._initialize()
                continue
            reached = decode_or_none(redis_keys.ALERTS_CURSOR, partial(_parse_cursor, cursor))
            if reached is None:
                self._redis.delete(redis_keys.ALERTS_CURSOR)
                continue
            with self._database.read() as connection:
                events = events_after(connection, reached, BATCH)
                ahead = not events and reached > last_event(connection)
            if ahead:
                # The store was replaced, or restored from a backup: start again from its current state.
                self._redis.delete(redis_keys.ALERTS_CURSOR)
                continue
            if not events:
                return published
            arguments: list[bytes | str | int] = [cursor, MAX_ENTRIES]
            for event, change, alert in events:
                message = msgspec.json.encode(AlertMessage(change=change, alert=alert))
                if alert.id == WATCHDOG:
                    message = b""
                is_open = int(alert.status != "RESOLVED")
                arguments += [event, alert.id, is_open, msgspec.json.encode(alert), message]
            keys = [redis_keys.ALERTS_CURSOR, redis_keys.ALERTS, redis_keys.ALERTS_OPEN]
            if self._script(keys=keys, args=arguments):
                published += len(events)
                if len(events) < BATCH:
                    return published

    def refresh(self, alerts: Sequence[Alert]) -> None:
        """Publish new values of open alerts; these are not timeline events, and may be lost."""
        if not alerts:
            return
        with self._redis.pipeline(transaction=True) as pipe:
            for alert in alerts:
                message = msgspec.json.encode(AlertMessage(change="updated", alert=alert))
                pipe.xadd(
                    redis_keys.ALERTS, {redis_keys.FIELD: message}, maxlen=MAX_ENTRIES, approximate=True
                )
                pipe.hset(redis_keys.ALERTS_OPEN, alert.id, msgspec.json.encode(alert))
            pipe.execute()

    def _initialize(self) -> None:
        """Initialise an empty Redis: fill the hash of open alerts; past events are not published."""
        with self._database.read() as connection:
            newest = last_event(connection)
            alerts = open_alerts(connection)
        with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(redis_keys.ALERTS_OPEN)
            for alert in alerts:
                pipe.hset(redis_keys.ALERTS_OPEN, alert.id, msgspec.json.encode(alert))
            pipe.set(redis_keys.ALERTS_CURSOR, newest, nx=True)
            pipe.execute()


def _parse_cursor(cursor: bytes | str) -> int:
    """Return the event ID of a cursor; ValueError when it is out of SQLite's range."""
    event = int(cursor)
    if not 0 <= event < 2**63:
        raise ValueError(f"expected an event ID, got {event}")
    return event

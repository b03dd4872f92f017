"""Postponed writes: what Redis has accepted, but not yet written to its append-only file.

With `appendfsync everysec` Redis answers first and writes later, by up to two seconds, while it still syncs
what it wrote before (`flushAppendOnlyFile` in its aof.c). A kill meanwhile loses what it accepted.
So records and pings are acknowledged once they are in the file; the parts read them from the log at once.
"""

import time

from redis import Redis
from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - redis's own

LUA = """
-- Returns the run ID of Redis if it may postpone what this script writes, else ''.
-- A Redis of the user's own may deny INFO.
local function postponing()
  local found = redis.pcall('INFO', 'persistence')
  if type(found) ~= 'string' or not string.find(found, 'aof_pending_bio_fsync:[1-9]') then return '' end
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end
"""
"""A function for scripts that write; `wait_until_written` takes what it returns."""
MAX_WAIT_S = 5.0
"""Redis postpones for two seconds at most."""
INTERVAL_S = 0.002


def wait_until_written(redis: Redis, run_id: str) -> None:
    """Wait until the Redis with this run ID has written what it accepted before this call.

    Raises ConnectionError if it was restarted, which may have lost it, and TimeoutError after `MAX_WAIT_S`.
    """
    deadline = time.monotonic() + MAX_WAIT_S
    before = None
    while True:
        found = redis.info()
        if found["run_id"] != run_id:
            raise ConnectionError("Redis was restarted before it had written what it accepted")
        size = found["aof_current_size"]
        # Without a sync under way it writes before it answers; when the size changes it has just written.
        if not found["aof_pending_bio_fsync"] or before not in (None, size):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"Redis has not written what it accepted within {MAX_WAIT_S:g} s")
        before = size
        time.sleep(INTERVAL_S)

"""The clock of the log, which never goes back: readers know an entry by its time.

Redis numbers entries by the clock of its machine. When that is set back, further entries would all get the
time of the newest one until the machine has caught up: for rules no time would pass, and every record would
be history. So the log's clock continues ahead of the machine's. `redis_keys.LOG_CLOCK` has by how much, and
the machine's time of the newest entry, both in milliseconds. An entry written meanwhile has it too (`AHEAD`):
the times of its records are the machine's.
"""

from typing import cast

from redis import Redis

from shared.schema import redis_keys

TOLERANCE_MS = 1_000
"""A clock set back by less is waited for."""

LUA = f"""
local function machine_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Returns by how much the log is ahead of the machine, milliseconds.
-- It is 0 once the machine's clock was set forward by as much.
local function log_ahead(key, now)
  local found = redis.pcall('GET', key)
  local ahead, newest = string.match(type(found) == 'string' and found or '', '^(%d+) (%d+)$')
  ahead = tonumber(ahead) or 0
  if ahead > 0 and now - newest >= ahead then
    redis.call('DEL', key)
    return 0
  end
  return ahead
end

local function newest_ms(log)
  local found = redis.call('XINFO', 'STREAM', log)
  for i = 1, #found, 2 do
    if found[i] == 'last-generated-id' then return tonumber(string.match(found[i + 1], '^%d+')) end
  end
end

-- Adds an entry to the log and returns its ID.
local function add_entry(log, key, data)
  local now = machine_ms()
  local ahead = log_ahead(key, now)
  local entry
  if ahead == 0 then
    entry = redis.pcall('XADD', log, now .. '-*', 'data', data)
    if type(entry) == 'string' then return entry end
  else
    entry = redis.pcall('XADD', log, now + ahead .. '-*', 'data', data, 'ahead', ahead)
  end
  if type(entry) ~= 'string' then
    -- The machine's clock was set back, or Redis refuses to write: then the second call raises that.
    ahead = string.find(entry.err, 'smaller') and newest_ms(log) - now or 0
    if ahead <= {TOLERANCE_MS} then return redis.call('XADD', log, '*', 'data', data) end
    entry = redis.call('XADD', log, now + ahead .. '-*', 'data', data, 'ahead', ahead)
  end
  redis.call('SET', key, ahead .. ' ' .. now)
  return entry
end
"""
"""Functions for scripts that add entries to the log."""

_NOW = f"""{LUA}
local now = machine_ms()
return {{now, log_ahead(KEYS[1], now)}}
"""


class LogClock:
    """Reads the clock of the log."""

    def __init__(self, redis: Redis) -> None:
        self._now = redis.register_script(_NOW)

    def now_ms(self) -> int:
        """Return the log's time, epoch milliseconds."""
        return sum(self._read())

    def ahead_ms(self) -> int:
        """Return by how much it is ahead of the machine's clock, milliseconds."""
        return self._read()[1]

    def _read(self) -> tuple[int, int]:
        now, ahead = cast("list[int]", self._now(keys=[redis_keys.LOG_CLOCK]))
        return now, ahead

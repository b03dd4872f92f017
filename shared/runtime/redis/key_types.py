"""Move keys in Redis aside whose value has the wrong type.

Every command on such a key fails permanently. Anyone who can write to Redis can create one: `SET
botwatch:parts x`.
"""

from typing import cast

import structlog
from redis import Redis

from shared.runtime.redis.decoding import SKIPPED
from shared.schema import redis_keys

log = structlog.get_logger()

KEPT_S = 7 * 86_400
"""How long a moved key is kept."""

_MOVE = """
-- KEYS: keys. ARGV: the type of each, then a prefix, and how many seconds to keep what is moved.
-- Returns the key and the type it had of each that was moved.
local moved = {}
for i, key in ipairs(KEYS) do
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= ARGV[i] then
    local aside = ARGV[#KEYS + 1] .. key
    redis.call('RENAME', key, aside)
    redis.call('EXPIRE', aside, ARGV[#KEYS + 2])
    moved[#moved + 1] = key
    moved[#moved + 1] = found
  end
end
return moved
"""


class KeyTypes:
    """Checks the type of every key with a known type."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_MOVE)
        self._logged: set[str] = set()

    def repair(self) -> None:
        """Move keys of the wrong type to `botwatch:wrong-type:<key>`, where they expire after a week.

        Each move is counted, and logged once per key. Raises RedisError.
        """
        arguments: list[str | int] = [*redis_keys.TYPES.values(), redis_keys.MISPLACED, KEPT_S]
        found = cast("list[bytes]", self._script(keys=list(redis_keys.TYPES), args=arguments))
        for name, kind in zip(found[::2], found[1::2], strict=True):
            key = name.decode()
            if key == redis_keys.ALERTS_OPEN:
                self._redis.delete(redis_keys.ALERTS_CURSOR)  # the next publication refills the hash
            SKIPPED.labels(key).inc()
            if key not in self._logged:
                self._logged.add(key)
                log.error(
                    "moved a redis key of the wrong type; further ones are only counted",
                    key=key,
                    type=kind.decode(),
                    expected=redis_keys.TYPES[key],
                    moved_to=redis_keys.MISPLACED + key,
                )

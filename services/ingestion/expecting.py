"""Expecting: the one place that takes pings up, keeps how each heartbeat stands, and notices what is late."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from services.ingestion.heartbeats import PINGS, Expectation, Ping, Standing, fold, judge
from services.ingestion.standing import check_of, farewell, last_line
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.runtime.log import LogFullError, RecordLog, StreamReply
from shared.runtime.read_back import read_back
from shared.runtime.redis import BLOCK_MS
from shared.schema import streams
from shared.schema.records import AnyRecord
from shared.schema.timestamps import epoch_ms

log = structlog.get_logger()

STANDINGS = f"{streams.PREFIX}:heartbeats"
"""Hash: a heartbeat's name → its `Standing` as JSON."""
BODIES = f"{streams.PREFIX}:heartbeats:bodies"
"""Hash: a heartbeat's name → the end of what it posted last."""
DOOR = "ping"
BATCH = 500
"""Pings that are taken up in one step."""
REPEAT = timedelta(minutes=1)
"""So often every heartbeat is reported, whether something came or not: as checks that are looked at are."""
DEAF = timedelta(seconds=10)
"""After a pause that long pings may have been missed: the machine slept, or Redis was away."""
PAUSE_S = 0.5


class Expecting:
    """Turns pings and silence into checks; runs in a thread of its own, in one process only.

    Records are logged before the standings are kept: killed in between, it takes the same pings up again and
    logs the same records, which have the same ids.
    """

    def __init__(
        self,
        redis: Redis,
        expected: Iterable[Expectation],
        stopping: threading.Event,
        now: Clock = clock.now,
    ) -> None:
        self._redis = redis
        self._log = RecordLog(redis)
        self._expected = {one.name: one for one in expected}
        self._stopping = stopping
        self._now = now
        self._standings: dict[str, Standing] | None = None
        self._looked = self._listening = now()
        self._repeated: datetime | None = None
        self.thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def check(self) -> str:
        """Raise RuntimeError when the thread has ended."""
        if not self.thread.is_alive():
            raise RuntimeError("the heartbeats' thread has ended")
        return f"{len(self._expected)} heartbeats are expected"

    def step(self, block_ms: int | None = BLOCK_MS) -> None:
        """Take up the next pings, waiting so long for one (None: not at all), and look what is late."""
        try:
            self._step(block_ms)
        except Exception:
            self._standings = None  # what is in Redis counts
            raise

    def _step(self, block_ms: int | None) -> None:
        # Before the pings are read: whatever was sent by then is among them.
        now = self._now()
        entries = self._read(block_ms)
        if now - self._looked > DEAF:
            self._listening = now
        self._looked = now
        standings = self._load(now) if self._standings is None else dict(self._standings)
        bodies: dict[str, bytes] = {}
        records: list[AnyRecord] = []
        for entry, ping in entries.items():
            expected = self._expected.get(ping.name) if ping else None
            if ping and expected:
                standings[ping.name] = fold(standings[ping.name], ping, last_line(ping.body))
                records.append(check_of(expected, standings[ping.name], ping.at, f"ping-{entry}"))
                if ping.body:
                    bodies[ping.name] = ping.body
        if len(entries) < BATCH:
            records += self._judge(standings, now)
        if records:
            self._log.append(records, DOOR)
        self._keep(standings, bodies, entries)

    def _judge(self, standings: dict[str, Standing], now: datetime) -> list[AnyRecord]:
        """Bring the standings up to `now`; return the records of those that change, at times of all."""
        is_time = self._repeated is None or abs(now - self._repeated) >= REPEAT
        if is_time:
            self._repeated = now
        records: list[AnyRecord] = []
        for number, (name, expected) in enumerate(self._expected.items()):
            before = standings[name]
            standings[name] = judge(before, expected, self._listening, now)
            if is_time or standings[name] != before:
                records.append(check_of(expected, standings[name], now, f"{epoch_ms(now)}-{number}"))
        return records

    def _read(self, block_ms: int | None) -> dict[str, Ping | None]:
        """Return the pings that wait, by their entries; None for one that cannot be read."""
        read = self._redis.xread({PINGS: "0"}, count=BATCH, block=block_ms)
        reply = cast("StreamReply", read)
        found: dict[str, Ping | None] = {}
        for entry, fields in reply[0][1] if reply else []:
            found[entry.decode()] = read_back(PINGS, partial(_ping, fields))
        return found

    def _load(self, now: datetime) -> dict[str, Standing]:
        """Return every expected heartbeat's standing, new ones known from `now` on; forget the others."""
        stored = cast("dict[bytes, bytes]", self._redis.hgetall(STANDINGS))
        standings: dict[str, Standing] = {}
        for name, data in stored.items():
            if standing := read_back(STANDINGS, partial(msgspec.json.decode, data, type=Standing)):
                standings[name.decode(errors="replace")] = standing
        self._forget(standings.keys() - self._expected.keys(), standings, now)
        return {name: standings.get(name, Standing(known_since=now)) for name in self._expected}

    def _forget(self, names: Iterable[str], standings: Mapping[str, Standing], now: datetime) -> None:
        records: list[AnyRecord] = []
        for number, name in enumerate(sorted(names)):
            log.info("a heartbeat is no longer expected", heartbeat=name)
            if standings[name].trouble:
                records.append(farewell(name, now, f"gone-{epoch_ms(now)}-{number}"))
        if records:
            self._log.append(records, DOOR)
        for name in names:
            self._redis.hdel(STANDINGS, name)
            self._redis.hdel(BODIES, name)

    def _keep(
        self, standings: dict[str, Standing], bodies: Mapping[str, bytes], entries: Iterable[str]
    ) -> None:
        """Store what has changed, and let go of the pings it came of, in one step."""
        known = self._standings or {}
        changed = {
            name: msgspec.json.encode(one) for name, one in standings.items() if one != known.get(name)
        }
        with self._redis.pipeline(transaction=True) as pipe:
            if changed:
                pipe.hset(STANDINGS, mapping=changed)  # type: ignore[arg-type]  # bytes keys or text
            if bodies:
                pipe.hset(BODIES, mapping=bodies)  # type: ignore[arg-type]
            if entries:
                pipe.xdel(PINGS, *entries)
            if pipe.command_stack:
                pipe.execute()
        self._standings = standings

    def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                self.step()
                away = False
            except (RedisError, LogFullError) as error:
                if not away:
                    log.warning("heartbeats wait", error=str(error))
                away = True
                self._stopping.wait(PAUSE_S)
            except Exception:
                # Nobody would start the thread again: whatever it was, go on.
                log.exception("heartbeats were not looked at just now")
                self._stopping.wait(PAUSE_S)


def _ping(fields: dict[bytes, bytes]) -> Ping:
    return msgspec.msgpack.decode(fields[streams.FIELD], type=Ping)

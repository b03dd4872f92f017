"""Heartbeat monitor: reads pings, keeps the state of each heartbeat, and detects late ones."""

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import msgspec
import structlog
from redis import Redis
from redis.exceptions import RedisError

from services.ingestion.heartbeat_check import (
    REPUBLISH_INTERVAL,
    heartbeat_check,
    last_line,
    removed_check,
)
from services.ingestion.heartbeats import (
    ExpectedHeartbeat,
    HeartbeatState,
    Ping,
    apply_ping,
    evaluate_heartbeat,
)
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.runtime.redis.connection import BLOCK_MS
from shared.runtime.redis.decoding import decode_or_none
from shared.runtime.redis.record_log import LogFullError, RecordLog, StreamReply
from shared.schema import redis_keys
from shared.schema.records import PING_ID, AnyRecord
from shared.schema.redis_keys import HEARTBEAT_BODIES, HEARTBEAT_STATES, PINGS
from shared.schema.timestamps import epoch_ms

log = structlog.get_logger()

SOURCE = "ping"
BATCH = 500
"""Limit of pings per step."""
MAX_READ_GAP = timedelta(seconds=10)
"""After a longer pause pings may have been missed: the machine was suspended, or Redis was down."""
RETRY_S = 0.5


class HeartbeatMonitor:
    """Turns pings and their absence into check records, in its own thread, in one process only.

    Records are appended to the log before the states are saved: if killed in between, it reads the same pings
    again and appends the same records with the same IDs.
    """

    def __init__(
        self,
        redis: Redis,
        expected: Iterable[ExpectedHeartbeat],
        stopping: threading.Event,
        now: Clock = clock.now,
    ) -> None:
        self._redis = redis
        self._log = RecordLog(redis)
        self._expected = {heartbeat.name: heartbeat for heartbeat in expected}
        self._stopping = stopping
        self._now = now
        self._states: dict[str, HeartbeatState] | None = None
        self._looked = self._listening = now()
        self._repeated: datetime | None = None
        self.thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def check(self) -> str:
        """Raise RuntimeError when the thread has ended."""
        if not self.thread.is_alive():
            raise RuntimeError("the heartbeat thread has ended")
        return f"{len(self._expected)} heartbeats configured"

    def step(self, block_ms: int | None = BLOCK_MS) -> None:
        """Read the next pings, blocking up to `block_ms` (None: not at all), and detect late heartbeats."""
        try:
            self._step(block_ms)
        except Exception:
            self._states = None  # reload from Redis
            raise

    def _step(self, block_ms: int | None) -> None:
        # Before the pings are read: all that were sent by then are among them.
        now = self._now()
        entries = self._read(block_ms)
        if now - self._looked > MAX_READ_GAP:
            self._listening = now
        self._looked = now
        states = self._load_states(now) if self._states is None else dict(self._states)
        bodies: dict[str, bytes] = {}
        records: list[AnyRecord] = []
        for entry, ping in entries.items():
            expected = self._expected.get(ping.name) if ping else None
            if ping and expected:
                states[ping.name] = apply_ping(states[ping.name], ping, last_line(ping.body))
                records.append(heartbeat_check(expected, states[ping.name], ping.at, f"{PING_ID}{entry}"))
                if ping.body:
                    bodies[ping.name] = ping.body
        if len(entries) < BATCH:
            records += self._evaluate_all(states, now)
        if records:
            self._log.append(records, SOURCE)
        self._save(states, bodies, entries)

    def _evaluate_all(self, states: dict[str, HeartbeatState], now: datetime) -> list[AnyRecord]:
        """Evaluate all heartbeats at `now`; return the changed ones, or all at `REPUBLISH_INTERVAL`."""
        is_time = self._repeated is None or abs(now - self._repeated) >= REPUBLISH_INTERVAL
        if is_time:
            self._repeated = now
        records: list[AnyRecord] = []
        for number, (name, expected) in enumerate(self._expected.items()):
            before = states[name]
            states[name] = evaluate_heartbeat(before, expected, self._listening, now)
            if is_time or states[name] != before:
                records.append(heartbeat_check(expected, states[name], now, f"{epoch_ms(now)}-{number}"))
        return records

    def _read(self, block_ms: int | None) -> dict[str, Ping | None]:
        """Return the pending pings by entry ID; None for an unreadable one."""
        read = self._redis.xread({PINGS: "0"}, count=BATCH, block=block_ms)
        reply = cast("StreamReply", read)
        found: dict[str, Ping | None] = {}
        for entry, fields in reply[0][1] if reply else []:
            found[entry.decode()] = decode_or_none(PINGS, partial(_decode_ping, fields))
        return found

    def _load_states(self, now: datetime) -> dict[str, HeartbeatState]:
        """Return the state of every expected heartbeat, new ones known since `now`; delete the others."""
        stored = cast("dict[bytes, bytes]", self._redis.hgetall(HEARTBEAT_STATES))
        states: dict[str, HeartbeatState] = {}
        for name, data in stored.items():
            if state := decode_or_none(
                HEARTBEAT_STATES, partial(msgspec.json.decode, data, type=HeartbeatState)
            ):
                states[name.decode(errors="replace")] = state
        self._remove_unconfigured(states.keys() - self._expected.keys(), states, now)
        return {name: states.get(name, HeartbeatState(known_since=now)) for name in self._expected}

    def _remove_unconfigured(
        self, names: Iterable[str], states: Mapping[str, HeartbeatState], now: datetime
    ) -> None:
        records: list[AnyRecord] = []
        for number, name in enumerate(sorted(names)):
            log.info("heartbeat removed from the configuration", heartbeat=name)
            if states[name].problem:
                records.append(removed_check(name, now, f"gone-{epoch_ms(now)}-{number}"))
        if records:
            self._log.append(records, SOURCE)
        for name in names:
            self._redis.hdel(HEARTBEAT_STATES, name)
            self._redis.hdel(HEARTBEAT_BODIES, name)

    def _save(
        self, states: dict[str, HeartbeatState], bodies: Mapping[str, bytes], entries: Iterable[str]
    ) -> None:
        """Save the changed states and delete the pings behind them, atomically."""
        known = self._states or {}
        changed = {
            name: msgspec.json.encode(state) for name, state in states.items() if state != known.get(name)
        }
        with self._redis.pipeline(transaction=True) as pipe:
            if changed:
                pipe.hset(HEARTBEAT_STATES, mapping=changed)  # type: ignore[arg-type]  # bytes keys or text
            if bodies:
                pipe.hset(HEARTBEAT_BODIES, mapping=bodies)  # type: ignore[arg-type]
            if entries:
                pipe.xdel(PINGS, *entries)
            if pipe.command_stack:
                pipe.execute()
        self._states = states

    def _run(self) -> None:
        away = False
        while not self._stopping.is_set():
            try:
                self.step()
                away = False
            except (RedisError, LogFullError) as error:
                if not away:
                    log.warning("cannot process heartbeats; retrying", error=str(error))
                away = True
                self._stopping.wait(RETRY_S)
            except Exception:
                # Nothing restarts this thread: it must survive any error.
                log.exception("heartbeat evaluation failed; retrying")
                self._stopping.wait(RETRY_S)


def _decode_ping(fields: dict[bytes, bytes]) -> Ping:
    return msgspec.msgpack.decode(fields[redis_keys.FIELD], type=Ping)

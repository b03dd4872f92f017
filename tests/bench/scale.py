"""Whether costs grow linearly: CPU time of a record with ever more bots, and with ever more rules.

Each bot reports a record of ten figures once a second; entries have ten records, each of another bot. One
rule of each kind concerns every record. What is remembered of the bots is there before the time is taken.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec
from redis import Redis

from services.evaluator.evaluator import SAVE_INTERVAL_MS
from shared.rules.engine import Engine
from shared.rules.rule import Rule
from shared.runtime import clock
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog
from shared.schema.decoding import decode
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from shared.store.records import insert_records
from tests.bench.rules import PER_ENTRY, Entries, make_entries, mixed_rules
from tests.support import valkey

T = TypeVar("T")

SIZES = (10, 100, 1000)
USUAL_BOTS, USUAL_RULES = 100, 10
FLAT = 1.5
"""The highest cost may be so many times the lowest."""
BATCH = 50
"""Entries in one transaction of the recorder."""
SECOND_MS = 1_000
SECONDS = 10
"""How long the rules are measured, after as long a time before."""
NAMES = (
    "rules, by bots",
    "rules, by rules",
    "store, by bots",
    "decode and append, by bots",
    "Valkey, by bots",
)


@dataclass
class CostBySize:
    """CPU time of a record, µs, by size: a figure of each round."""

    name: str
    rounds: dict[int, list[float]]

    @property
    def us(self) -> dict[int, float]:
        """The medians."""
        return {size: median(found) for size, found in self.rounds.items()}

    @property
    def ratio(self) -> float:
        """The highest cost by the lowest."""
        return max(self.us.values()) / min(self.us.values())


def measure(folder: Path, *, records: int, rounds: int) -> list[CostBySize]:
    """Take `records` in each of the rounds, in turn over the sizes."""
    entries = {bots: _entries(records, bots) for bots in SIZES}
    rules = {count: mixed_rules(count) for count in SIZES}
    names = (
        "rules, by bots",
        "rules, by rules",
        "store, by bots",
        "decode and append, by bots",
        "Valkey, by bots",
    )
    found = {name: CostBySize(name, {size: [] for size in SIZES}) for name in names}
    with valkey(folder, None, "--appendonly", "yes") as url, connect_redis(url) as redis:
        for number in range(rounds):
            for size in SIZES:
                taken = (
                    _evaluate(rules[USUAL_RULES], records, size),
                    _evaluate(rules[size], records, USUAL_BOTS),
                    _store(folder / f"{size}-{number}.db", entries[size], size),
                    *_ingest(redis, entries[size], size),
                )
                for name, cpu_s in zip(NAMES, taken, strict=True):
                    found[name].rounds[size].append(cpu_s / records * 1e6)
    return list(found.values())


def _entries(records: int, bots: int) -> Entries:
    """Return a first record of each bot, then `records`."""
    return make_entries(bots + records, bots, SECOND_MS * PER_ENTRY // bots)


def _after_first(entries: Sequence[T], records: int, take: Callable[[Sequence[T]], object]) -> float:
    """Return the CPU time of `take` for what follows the first records, seconds."""
    first = records // PER_ENTRY
    take(entries[:first])
    begun = time.process_time()
    take(entries[first:])
    return time.process_time() - begun


def _evaluate(rules: Sequence[Rule], records: int, bots: int) -> float:
    """Judge `records`, in as many engines as it takes: in each the windows have the same length of time."""
    each = min(records, bots * SECONDS)
    entries = make_entries(2 * each, bots, SECOND_MS * PER_ENTRY // bots)
    return sum(_judge(Engine(rules), entries, each) for _ in range(records // each))


def _judge(engine: Engine, entries: Entries, first: int) -> float:
    """Judge as the evaluator does, which also collects what changed every few seconds."""

    def take(some: Entries) -> None:
        save_at = some[0][0] + SAVE_INTERVAL_MS
        for at, records in some:
            for _ in engine.process(records, at):
                pass
            if at >= save_at:
                engine.mark_saved(engine.changed())
                save_at = at + SAVE_INTERVAL_MS

    return _after_first(entries, first, take)


def _store(path: Path, entries: Entries, bots: int) -> float:
    """Write rows in transactions, as the recorder does under load."""
    with closing(Database(sqlite_url(path))) as database:
        migrate(database, "performance")

        def take(some: Entries) -> None:
            for start in range(0, len(some), BATCH):
                with database.write() as connection:
                    batch = some[start : start + BATCH]
                    insert_records(connection, [record for _, records in batch for record in records])

        return _after_first(entries, bots, take)


def _ingest(redis: Redis, entries: Entries, bots: int) -> tuple[float, float]:
    """Decode bodies and append them to the log; return the CPU time here and that of Valkey."""
    redis.flushall()
    log = RecordLog(redis)
    bodies = [msgspec.json.encode(records) for _, records in entries]
    begun = 0.0

    def take(some: Sequence[bytes]) -> None:
        nonlocal begun
        begun = _valkey_s(redis)
        for body in some:
            log.append(decode(body, arrival=clock.now()).records, "http")

    return _after_first(bodies, bots, take), _valkey_s(redis) - begun


def _valkey_s(redis: Redis) -> float:
    info = redis.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def table(found: Sequence[CostBySize]) -> list[str]:
    """Show the medians by size, and whether they are flat."""
    lines = [f"{'CPU time a record, µs':<34}" + "".join(f"{size:>10,}" for size in SIZES) + f"{'ratio':>8}"]
    for one in found:
        cells = "".join(f"{us:>10.1f}" for us in one.us.values())
        flat = "flat" if one.ratio <= FLAT else f"not within {FLAT}"
        lines.append(f"{one.name:<34}{cells}{one.ratio:>8.2f}  {flat}")
    lines.append(f"by bots: {USUAL_RULES} rules; by rules: {USUAL_BOTS} bots; ten rules concern each record")
    return lines

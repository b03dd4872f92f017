"""Records a second from a door to SQLite, beside raw `executemany` of the same rows in the same run."""

import http.client
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis

from shared.schema import redis_keys
from shared.schema.timestamps import to_wire
from tests.bench.figures import Round, Throughput
from tests.bench.latency import post
from tests.integration.stack import BotwatchProcess
from tests.support import wait_until

BATCH = 1_000
"""Records in one HTTP request, commands in one pipeline, rows in one raw commit."""
DEADLINE_S = 120.0
LOOK_EVERY_S = 0.05

Send = Callable[[], None]
"""Sends all records of a round and returns when the door has taken them."""


Prepare = Callable[[list[list[str]]], Send]
"""Turns batches of records in JSON into what sends them, before the clock starts."""


def stream(stack: BotwatchProcess, bus: Redis, folder: Path, *, records: int, rounds: int) -> Throughput:
    """Add single records to the bot's stream, pipelined, and follow them to SQLite."""

    def prepare(batches: list[list[str]]) -> Send:
        connection = bus.connection_pool.get_connection()
        pack: Callable[[list[tuple[str | bytes, ...]]], list[bytes]] = connection.pack_commands
        # Packed before the clock starts: the client library is not what is measured.
        pipelines = [
            pack([("XADD", redis_keys.BOT_STREAM, "*", redis_keys.FIELD, one) for one in batch])
            for batch in batches
        ]

        transmit: Callable[[list[bytes]], None] = connection.send_packed_command

        def send() -> None:
            try:
                for pipeline in pipelines:
                    transmit(pipeline)
                    for _ in range(BATCH):
                        connection.read_response()
            finally:
                bus.connection_pool.release(connection)

        return send

    name = "bot's stream: XADD of single records, pipelined"
    return Throughput(name, [_round(stack, folder, f"stream-{n}", records, prepare) for n in range(rounds)])


def over_http(stack: BotwatchProcess, folder: Path, *, records: int, rounds: int) -> Throughput:
    """Post batches over one connection and follow them to SQLite."""

    def prepare(batches: list[list[str]]) -> Send:
        bodies = [f"[{','.join(batch)}]".encode() for batch in batches]

        def send() -> None:
            address = http.client.HTTPConnection("127.0.0.1", stack.ports["INGESTION_PORT"], timeout=30)
            with closing(address) as connection:
                for body in bodies:
                    post(connection, body)

        return send

    name = f"HTTP: batches of {BATCH:,}, one connection"
    return Throughput(name, [_round(stack, folder, f"http-{n}", records, prepare) for n in range(rounds)])


def equity_batches(bot: str, records: int) -> list[list[str]]:
    """Return small records in JSON, a second apart up to now, in batches."""
    last = datetime.now(UTC)
    moments = (to_wire(last - timedelta(seconds=records - number)) for number in range(records))
    texts = [
        f'{{"kind":"equity","bot":"{bot}","timestamp":"{moment}","equity":{10_000 + number / 100:.2f}}}'
        for number, moment in enumerate(moments)
    ]
    return [texts[start : start + BATCH] for start in range(0, records, BATCH)]


def _round(stack: BotwatchProcess, folder: Path, bot: str, records: int, prepare: Prepare) -> Round:
    send = prepare(equity_batches(bot, records))
    database = stack.home / "data" / "monitoring" / "performance_metrics.db"
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        begun = time.perf_counter()
        send()
        taken_s = time.perf_counter() - begun
        wait_until(
            lambda: _count(connection, bot) >= records,
            f"{records:,} records of {bot} are in SQLite",
            timeout_s=DEADLINE_S,
            every_s=LOOK_EVERY_S,
        )
        stored_s = time.perf_counter() - begun
        found = _count(connection, bot)
        if found != records:
            raise RuntimeError(f"{found:,} rows of {bot}, though {records:,} were sent")
        return Round(records, taken_s, stored_s, raw_s(connection, bot, folder / f"raw-{bot}.db"))


def _count(connection: sqlite3.Connection, bot: str) -> int:
    (count,) = connection.execute("SELECT count(*) FROM equity WHERE bot = ?", (bot,)).fetchone()
    return int(count)


def raw_s(source: sqlite3.Connection, bot: str, path: Path) -> float:
    """Return how long `executemany` takes for the very rows of `bot`, into a new table just like theirs."""
    definition = source.execute(
        "SELECT sql FROM sqlite_master WHERE tbl_name = 'equity' AND sql IS NOT NULL ORDER BY type DESC"
    ).fetchall()
    rows = source.execute("SELECT * FROM equity WHERE bot = ? ORDER BY id", (bot,)).fetchall()
    insert = f"INSERT INTO equity VALUES ({', '.join('?' * len(rows[0]))})"  # noqa: S608 - only marks
    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode = WAL")
        target.execute("PRAGMA synchronous = NORMAL")
        for (statement,) in definition:
            target.execute(statement)
        begun = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            target.execute("BEGIN IMMEDIATE")
            target.executemany(insert, rows[start : start + BATCH])
            target.execute("COMMIT")
        return time.perf_counter() - begun

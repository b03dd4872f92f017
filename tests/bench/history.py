"""A year of a bot's history: how long the API's answers take, beside reading the year's rows."""

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from redis import Redis

from services.dashboard.api.history import performance_points
from services.dashboard.api.queries import history_query
from services.dashboard.data_sources import DataSources
from shared.schema.timestamps import from_store, to_store, to_wire
from shared.store.database import Database, sqlite_url
from shared.store.history import drawdown_candles, equity_candles
from shared.store.migrate import migrate
from shared.store.rollups import METRIC_COLUMNS, roll_up
from tests.bench.figures import BenchHistory, Latencies

BOT = "bench"
UNTIL = datetime(2026, 1, 1, tzinfo=UTC)
PIECE = 20_000
GIVEN = ("portfolioValue", "totalPnL", "sharpeRatio", "maxDrawdown", "currentDrawdown", "var95", "winRate")
"""The figures that the rows have; all are asked for."""


def measure(folder: Path, *, minutes: int, rounds: int) -> BenchHistory:
    """Fill a database with a row a minute, and ask for all of it as often as `rounds` says."""
    path = folder / "history.db"
    database = Database(sqlite_url(path))
    try:
        migrate(database, "performance")
        since = UNTIL - timedelta(minutes=minutes)
        _fill(path, since, minutes)
        begun = time.perf_counter()
        _roll_up(database)
        rollup_us = (time.perf_counter() - begun) * 1e6 / minutes
        answers = [
            Latencies(name, rounds, [_timed(ask) for _ in range(rounds)])
            for name, ask in _questions(database, since).items()
        ]
        naive_ms = min(_timed(lambda: _naive(path, since)) for _ in range(2))
    finally:
        database.close()
    return BenchHistory(minutes, answers, naive_ms, rollup_us)


def _fill(path: Path, since: datetime, minutes: int) -> None:
    names = ("timestamp", "bot", "source", *GIVEN)
    marks = ", ".join("?" * len(names))
    insert = f"INSERT INTO performance_metrics ({', '.join(names)}) VALUES ({marks})"  # noqa: S608
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(insert, _rows(since, minutes))


def _rows(since: datetime, minutes: int) -> Iterator[tuple[object, ...]]:
    dice = random.Random(1)
    worth = 10_000.0
    for minute in range(minutes):
        worth *= 1 + dice.gauss(0, 1e-4)
        yield to_store(since + timedelta(minutes=minute)), BOT, "computed", worth, *[worth / 1000] * 6


def _roll_up(database: Database) -> None:
    """Make the rollups of performance as the recorder does, and those of equity out of them."""
    taken = PIECE
    while taken:
        with database.write() as connection:
            taken = roll_up(connection, PIECE)
    with database.write() as connection:
        for width in ("minutes", "hours"):
            worth = ", ".join(["portfolioValue"] * 4)
            rows = f"SELECT bot, timestamp, {worth}, 0, 0.1, 0.05, 1, 1 FROM performance_{width}"  # noqa: S608
            connection.exec_driver_sql(f"INSERT INTO equity_{width} {rows}")


def _questions(database: Database, since: datetime) -> dict[str, Callable[[], object]]:
    """Return what is asked: the whole span, at the steps that are chosen for it."""
    query = history_query({"bot": BOT, "from": to_wire(since), "format": "json"}, UNTIL)
    # Never asked: it stands where a dashboard has its Redis.
    sources = DataSources(Redis(), database, database)

    def performance() -> object:
        return msgspec.json.encode(performance_points(sources, query))

    def equity() -> object:
        with database.read() as connection:
            return msgspec.json.encode(equity_candles(connection, BOT, query.steps))

    def drawdown() -> object:
        with database.read() as connection:
            return msgspec.json.encode(drawdown_candles(connection, BOT, query.steps))

    return {"performance, every figure": performance, "equity": equity, "drawdown": drawdown}


def _naive(path: Path, since: datetime) -> bytes:
    """Answer as if there were no rollups: read the span's rows and keep each day's last."""
    columns = ", ".join(METRIC_COLUMNS)
    ask = f"SELECT timestamp, {columns} FROM performance_metrics WHERE bot = ? AND timestamp >= ?"  # noqa: S608
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"{ask} ORDER BY timestamp", (BOT, to_store(since)))
        last = {row[0][:10]: row for row in rows}
    return msgspec.json.encode(
        [
            {"timestamp": from_store(at), **dict(zip(METRIC_COLUMNS, row, strict=True))}
            for at, *row in last.values()
        ]
    )


def _timed(ask: Callable[[], object]) -> float:
    begun = time.perf_counter()
    ask()
    return (time.perf_counter() - begun) * 1000

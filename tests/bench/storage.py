"""Bytes in SQLite: of a record of each kind, and of a day of ten bots that report equity once a second."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from sqlalchemy import Connection

from shared.analytics.account import BotAccount
from shared.analytics.events import event_from_record
from shared.analytics.settings import AnalyticsSettings
from shared.runtime.settings import REPOSITORY
from shared.schema.records import AnyRecord, Equity, HostRecord
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from shared.store.records import insert_records
from shared.store.rollups import roll_up

START = datetime(2026, 1, 1, tzinfo=UTC)
BOTS = 10
SECONDS_A_DAY = 86_400
EXAMPLES = REPOSITORY / "shared" / "schema" / "examples"
_SIZES = (
    "SELECT coalesce(sum(pgsize), 0) FROM dbstat JOIN sqlite_schema USING (name) "
    "WHERE tbl_name NOT LIKE 'sqlite%'"
)


@dataclass(frozen=True)
class Storage:
    """Bytes a record takes with its indexes, by example, and megabytes a day of ten bots, by their age."""

    bytes_by_example: dict[str, float]
    megabytes_by_age: dict[int, float]


def measure(folder: Path, *, rows: int) -> Storage:
    """Store `rows` of each golden example, and so many seconds of ten bots that are new, or older."""
    examples = sorted(EXAMPLES.glob("record-*.json"))
    return Storage(
        {path.stem.removeprefix("record-"): _bytes_of(folder, path, rows) for path in examples},
        {days: _megabytes_a_day(folder, days, rows // BOTS) for days in (0, 40)},
    )


def table(storage: Storage) -> Iterator[str]:
    """Lay the figures out as text."""
    yield "bytes a record in SQLite, indexes included"
    for name, size in storage.bytes_by_example.items():
        yield f"  {name:<24} {size:>8,.0f}"
    yield f"{BOTS} bots that report their equity once a second, with their computed figures"
    for days, size in storage.megabytes_by_age.items():
        yield f"  {f'{days} days old':<24} {size:>8,.0f} MB a day"


def _bytes_of(folder: Path, example: Path, rows: int) -> float:
    record = msgspec.json.decode(example.read_bytes(), type=AnyRecord)
    line = "health" if isinstance(record, HostRecord) else "performance"
    changed = {"fill_id": ""} if hasattr(record, "fill_id") else {}
    found = []
    for row in range(rows):
        more = {name: str(row) for name in changed}
        at = START + timedelta(seconds=row)
        found.append(msgspec.structs.replace(record, timestamp=at, id=None, **more))
    return _grown(folder, line, [found]) / rows


def _megabytes_a_day(folder: Path, days: int, seconds: int) -> float:
    grown = _grown(folder, "performance", _lives(days, seconds))
    return grown / seconds * SECONDS_A_DAY / 1e6


def _lives(days: int, seconds: int) -> Iterator[list[AnyRecord]]:
    """Yield the records of each second of the bots' lives, after so many days of which none is stored."""
    dice = random.Random(1)
    accounts = {f"bot-{number}": BotAccount(AnalyticsSettings()) for number in range(BOTS)}
    worth = dict.fromkeys(accounts, 10_000.0)

    def point(bot: str, at: datetime, spread: float) -> Equity:
        worth[bot] *= 1 + dice.gauss(0, spread)
        record = Equity(bot=bot, equity=round(worth[bot], 2), timestamp=at)
        if event := event_from_record(record):
            accounts[bot].apply(event)
        return record

    for day in range(days):
        for bot in accounts:
            point(bot, START + timedelta(days=day), 0.01)
    for second in range(seconds):
        at = START + timedelta(days=days, seconds=second)
        batch: list[AnyRecord] = [point(bot, at, 1e-5) for bot in accounts]
        batch += filter(None, (account.performance(bot) for bot, account in accounts.items()))
        yield batch


def _grown(folder: Path, line: str, batches: Iterator[list[AnyRecord]] | Sequence[list[AnyRecord]]) -> int:
    """Return by how many bytes a new database grows with these records."""
    path = folder / "storage.db"
    database = Database(sqlite_url(path))
    try:
        migrate(database, line)
        with database.write() as connection:
            before = _size(connection)
            for batch in batches:
                insert_records(connection, batch)
            while line == "performance" and roll_up(connection, 10_000):
                pass
            return _size(connection) - before
    finally:
        database.close()
        for file in folder.glob("storage.db*"):
            file.unlink()


def _size(connection: Connection) -> int:
    return int(connection.exec_driver_sql(_SIZES).scalar() or 0)

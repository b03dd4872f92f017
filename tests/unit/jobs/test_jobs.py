"""Each job does its work in small steps, and running it again changes nothing."""

import gzip
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url

from services.jobs import log_archive, storage
from services.jobs.context import JobContext
from services.jobs.log_archive import archive_logs
from services.jobs.retention import remove_expired_rows
from services.jobs.storage import WalBusyError, reclaim_free_pages, truncate_wals
from shared.schema.records import AnyRecord, Equity, Health
from shared.store import retention
from shared.store.analytics_data import StoredCheckpoint, save_checkpoint
from shared.store.database import Database
from shared.store.records import insert_records
from shared.store.tables import equity, health_metrics
from tests.unit.jobs.conftest import NOON


def points(days: float, amount: int = 1) -> list[AnyRecord]:
    at = NOON - timedelta(days=days)
    return [Equity(bot="a", timestamp=at + timedelta(seconds=n), equity=1) for n in range(amount)]


def write(database: Database, *records: AnyRecord) -> None:
    with database.write() as connection:
        insert_records(connection, records)


def count(database: Database, table: object) -> int:
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar() or 0  # type: ignore[arg-type]


def cover(database: Database, days: float) -> None:
    """Store a checkpoint of the bot's metrics that covers everything until `days` ago."""
    until = int((NOON - timedelta(days=days)).timestamp() * 1000)
    with database.write() as connection:
        save_checkpoint(connection, "a", StoredCheckpoint(until, "{}"))


def test_old_rows_leave_both_databases_each_by_its_own_days(context: JobContext) -> None:
    """Rows older than `retentionDays` are deleted and counted by table; a second run finds none."""
    write(context.performance, *points(days=3), *points(days=1.5))
    cover(context.performance, days=2.5)
    write(context.health, *(Health(host="box", timestamp=NOON - timedelta(days=d)) for d in (1.5, 0.5)))
    assert remove_expired_rows(context) == {"equity": 1, "health_metrics": 1}
    assert remove_expired_rows(context) == {}
    assert (count(context.performance, equity), count(context.health, health_metrics)) == (1, 1)


def test_rows_that_no_checkpoint_covers_stay(context: JobContext) -> None:
    """A bot's raw rows stay until a checkpoint of its metrics covers them."""
    write(context.performance, *points(days=3))
    assert remove_expired_rows(context) == {}


def test_retention_pauses_after_each_batch(context: JobContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other writers get a turn between two batches."""
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    write(context.performance, *points(days=3, amount=5))
    cover(context.performance, days=2.5)
    left: list[int] = []
    remove_expired_rows(context._replace(sleep=lambda _: left.append(count(context.performance, equity))))
    assert left == [3, 1, 0]


def test_retention_can_be_ended_at_any_batch_and_run_again(context: JobContext) -> None:
    """A run that is killed between two batches leaves the rest to the next one."""

    def killed(_: float) -> None:
        raise TimeoutError

    write(context.performance, *points(days=3))
    cover(context.performance, days=2.5)
    write(context.health, Health(host="box", timestamp=NOON - timedelta(days=2)))
    with pytest.raises(TimeoutError):
        remove_expired_rows(context._replace(sleep=killed))
    assert count(context.health, health_metrics) == 1
    assert remove_expired_rows(context) == {"health_metrics": 1}


def test_the_write_ahead_logs_are_emptied(context: JobContext) -> None:
    """Afterwards the WAL files have no bytes and the rows are in the database files."""
    write(context.performance, *points(days=0, amount=100))
    assert truncate_wals(context)["performance"] > 0
    assert truncate_wals(context) == {"performance": 0, "health": 0}
    assert count(context.performance, equity) == 100


def test_a_long_read_keeps_the_wal_and_fails_the_job(
    context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader of an older state is waited for in short attempts, then the job fails; nothing is lost."""
    monkeypatch.setattr(storage, "TRUNCATE_PATIENCE_S", 0.01)
    write(context.performance, *points(days=0))
    path = make_url(context.performance.url).database
    with closing(sqlite3.connect(str(path))) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM equity").fetchall()
        write(context.performance, *points(days=1))
        with pytest.raises(WalBusyError):
            truncate_wals(context)
    assert count(context.performance, equity) == 2
    truncate_wals(context)


def test_free_pages_return_to_the_file_system_in_steps(
    context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file shrinks by its free pages but for a reserve, a bounded number per transaction."""
    monkeypatch.setattr(storage, "VACUUM_PAGES", 20)
    with context.performance.write() as connection:
        connection.execute(text("CREATE TABLE large (x BLOB)"))
        connection.execute(text("INSERT INTO large VALUES (zeroblob(1000000))"))
    with context.performance.write() as connection:
        connection.execute(text("DELETE FROM large"))
    steps: list[float] = []
    freed = reclaim_free_pages(context._replace(sleep=steps.append))
    assert freed["performance"] > 150
    assert len(steps) == -(-freed["performance"] // 20)
    assert reclaim_free_pages(context) == {"performance": 0, "health": 0}
    with context.performance.read() as connection:
        pages, free = (
            connection.execute(text(f"PRAGMA {name}_count")).scalar_one() for name in ("page", "freelist")
        )
        reserve = (pages - free) // 10
        assert 0 < reserve <= free <= reserve + 1  # a page of SQLite's own map may become free, too


def test_a_file_of_an_earlier_release_keeps_its_size(context: JobContext, tmp_path: Path) -> None:
    """Without incremental vacuum nothing is done: a full one would keep all writers waiting."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    old = Database(f"sqlite:///{tmp_path / 'old.db'}")
    assert reclaim_free_pages(context._replace(performance=old))["performance"] == 0
    old.close()


def rotated(home: Path, name: str, age_s: float = 0, content: str = "a line\n") -> Path:
    path = home / "logs" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    moment = NOON.timestamp() - age_s
    os.utime(path, (moment, moment))
    return path


def archives(home: Path) -> list[Path]:
    return sorted((home / "logs" / "archive").iterdir())


def test_rotated_logs_are_compressed_and_the_current_ones_stay(context: JobContext) -> None:
    """What supervisor rotated is in `logs/archive`, by the time of its last line; the rest is untouched."""
    for name in ("recorder.log", "recorder.log.1", "recorder.log.2"):
        rotated(context.home, name, age_s=len(name) * 60, content=f"of {name}\n")
    assert archive_logs(context) == {"archived": 2, "deleted": 0}
    assert [path.name for path in (context.home / "logs").glob("*.log*")] == ["recorder.log"]
    assert {gzip.decompress(path.read_bytes()) for path in archives(context.home)} == {
        b"of recorder.log.1\n",
        b"of recorder.log.2\n",
    }
    assert archives(context.home)[0].name.startswith("recorder-20260131T1146")
    assert archive_logs(context) == {"archived": 0, "deleted": 0}


def test_an_archive_that_was_cut_off_is_made_again_under_the_same_name(context: JobContext) -> None:
    """A run killed before it deleted the file leaves one archive of it, not two."""
    path = rotated(context.home, "recorder.log.1")
    other = context.home / "kept"
    os.link(path, other)
    archive_logs(context)
    before = archives(context.home)
    os.link(other, path)
    archive_logs(context)
    assert archives(context.home) == before
    assert gzip.decompress(before[0].read_bytes()) == b"a line\n"


def test_logs_that_an_operator_compressed_are_archived(context: JobContext) -> None:
    """Their names are free for the next time, and they are kept for 30 days from now."""
    name = "recorder.log.gz"
    for content in ("first\n", "second\n"):
        rotated(context.home, name, age_s=40 * 86_400, content=content)
        assert archive_logs(context) == {"archived": 1, "deleted": 0}
    assert sorted(path.read_text() for path in archives(context.home)) == ["first\n", "second\n"]
    rotated(context.home, name, age_s=1)
    assert archive_logs(context) == {"archived": 0, "deleted": 0}, "gzip may still write it"


def test_old_archives_are_deleted_by_age_and_by_size(
    context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Archives older than 30 days leave, then the oldest until all fit into the limit."""
    for days in (1, 2, 31):
        rotated(context.home, f"recorder.log.{days}", age_s=days * 86_400)
    assert archive_logs(context) == {"archived": 3, "deleted": 1}
    monkeypatch.setattr(log_archive, "MAX_BYTES", archives(context.home)[0].stat().st_size + 1)
    assert archive_logs(context) == {"archived": 0, "deleted": 1}
    assert len(archives(context.home)) == 1


def test_without_log_files_there_is_nothing_to_do(context: JobContext) -> None:
    """In containers logs go to standard error: no folder is made."""
    assert archive_logs(context) == {"archived": 0, "deleted": 0}
    assert not (context.home / "logs").exists()

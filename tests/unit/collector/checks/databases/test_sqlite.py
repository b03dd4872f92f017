"""SQLite databases: real files that are open, closed, locked, broken off, damaged."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.databases import sqlite
from services.collector.checks.databases.sqlite import DatabaseFiles, SqliteProbe, evaluate_wal
from services.collector.host.watched_host import WatchedHost

pytestmark = pytest.mark.slow  # starts processes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = WatchedHost("here", Path("/proc"), Path("/"))


def watching(file: Path, timeout_s: float = 1.0) -> SqliteProbe:
    return SqliteProbe(str(file), timeout_s, HERE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bots #1.db"


def fill(file: Path, mode: str = "wal", rows: int = 2000) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE trades (at INTEGER, price REAL NOT NULL)")
    connection.execute("CREATE INDEX by_time ON trades (at)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO trades VALUES (?, ?)", ((one, one / 7) for one in range(rows)))
    connection.execute("COMMIT")
    return connection


@pytest.fixture
def used(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield a program's connection to a database in WAL mode."""
    with closing(fill(file)) as connection:
        yield connection


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {one.name: (one.stat().st_mtime_ns, one.read_bytes()) for one in folder.iterdir()}


@pytest.mark.usefixtures("used")
def test_a_database_in_use_is_whole_and_its_sizes_are_told(file: Path) -> None:
    seen = watching(file).run(NOON)
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.text.startswith("Database is intact (")
    assert seen.figures["size_bytes"] == file.stat().st_size
    assert seen.figures["wal_bytes"] == file.with_name(f"{file.name}-wal").stat().st_size > 0
    assert seen.figures["check_latency_ms"] > 0


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("in_use", [True, False])
def test_looking_writes_nothing(file: Path, mode: str, in_use: bool) -> None:
    connection = fill(file, mode)
    if not in_use:
        connection.close()
    before = everything(file.parent)
    assert watching(file).run(NOON).status == "ok"
    after = everything(file.parent)
    connection.close()
    # Programs that share a write-ahead log note in its index who reads.
    index = f"{file.name}-shm"
    assert before.pop(index, (0, b""))[1][:96] == after.pop(index, (0, b""))[1][:96]
    assert before == after


def test_a_damaged_page_is_told(file: Path) -> None:
    fill(file).close()
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(size // 2 // 4096 * 4096)
        stream.write(b"\xff" * 4096)
    seen = watching(file).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "corrupt")
    assert seen.text.startswith("Database is corrupt: ")


def test_a_damaged_schema_is_told(file: Path) -> None:
    fill(file, "delete").close()
    with file.open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xff" * 500)
    seen = watching(file).run(NOON)
    assert (seen.status, seen.reason) == ("critical", "corrupt")


def test_a_file_that_is_no_database_is_told(file: Path) -> None:
    file.write_text("orders\n" * 100)
    seen = watching(file).run(NOON)
    assert (seen.reason, seen.text) == ("corrupt", f"{file} is not an SQLite database")


def test_a_file_that_is_missing_is_told(file: Path) -> None:
    seen = watching(file).run(NOON)
    assert (seen.status, seen.reason, seen.text) == (
        "critical",
        "failed",
        f"Database {file} does not exist",
    )
    assert not file.exists()


def test_a_folder_is_unknown(tmp_path: Path) -> None:
    assert watching(tmp_path).run(NOON).status == "unknown"


def test_a_lock_that_lasts_is_told(file: Path) -> None:
    with closing(fill(file, "delete")) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        seen = watching(file, 0.4).run(NOON)
        connection.execute("ROLLBACK")
        assert watching(file).run(NOON).status == "ok"
    assert (seen.status, seen.reason) == ("critical", "timeout")
    assert seen.text == f"{file} has been locked for 0.1 s"


def test_a_transaction_of_a_killed_program_is_told(file: Path) -> None:
    fill(file, "delete").close()
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size=1')\n"
        "c.execute('BEGIN')\n"
        "c.executemany('INSERT INTO trades VALUES (1, ?)', ((1.0,) for _ in range(50000)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", script, file], check=False, timeout=60)
    before = everything(file.parent)
    seen = watching(file).run(NOON)
    assert (seen.status, seen.reason) == ("warning", "failed")
    assert seen.text.startswith(f"{file} has an unfinished transaction")
    assert everything(file.parent) == before


def test_a_log_that_is_not_shared_is_left_alone(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE trades (at INTEGER)")
        seen = watching(file).run(NOON)
    assert seen.status == "ok"
    assert "not checked: opened exclusively by one program" in seen.text


@pytest.mark.usefixtures("used")
def test_a_check_that_takes_too_long_is_cut_off_and_says_so(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) "
            "INSERT INTO trades SELECT i, 1 FROM n"
        )
        connection.commit()
    monkeypatch.setattr(sqlite, "MAX_CHECK_S", 0.005)
    seen = watching(file).run(NOON)
    assert seen.status == "ok"
    assert "not fully checked within 0.005 s" in seen.text


def test_a_check_takes_at_most_a_hundredth_of_the_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(file, rows=50_000).close()
    monkeypatch.setattr(sqlite, "PAUSE_FACTOR", 10**6)
    watched = watching(file)
    assert watched.run(NOON).status == "ok"
    with file.open("r+b") as stream:
        stream.seek(file.stat().st_size // 2 // 4096 * 4096)
        stream.write(b"\xff" * 4096)
    assert watched.run(NOON + timedelta(seconds=1)).status == "ok"
    assert watched.run(NOON + timedelta(days=30)).reason == "corrupt"
    assert watched.run(NOON + timedelta(days=30, seconds=1)).reason == "corrupt"


def test_a_program_that_begins_to_write_meanwhile_damages_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(file).close()
    begun: list[sqlite3.Connection] = []

    def begin(*_: object) -> Any:
        begun.append(sqlite3.connect(file, isolation_level=None))
        begun[0].execute("INSERT INTO trades VALUES (1, 1)")
        begun[0].execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raise sqlite3.DatabaseError("database disk image is malformed")

    monkeypatch.setattr(sqlite, "open_read_only", begin)
    seen = watching(file).run(NOON)
    begun[0].close()
    assert seen.status == "ok"
    assert "not checked: it changed during the check" in seen.text


def test_a_log_that_grows_and_is_never_written_back_is_told() -> None:
    stuck = DatabaseFiles(
        size=10, written=0, wal_mode=True, wal_size=80 * 2**20, wal_written=900, shared=True
    )
    seen = evaluate_wal(stuck, "whole")
    assert (seen.status, seen.reason) == ("warning", "late")
    assert seen.text == (
        "WAL is 80 MiB and has not been checkpointed for 15 min: a long-running reader blocks it"
    )
    assert evaluate_wal(stuck._replace(written=800), "whole").status == "ok"
    assert evaluate_wal(stuck._replace(wal_size=2**20), "whole").status == "ok"


def test_a_reader_without_an_end_is_seen_in_real_files(
    file: Path, used: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "MAX_WAL_BYTES", 100_000)
    with closing(sqlite3.connect(file, isolation_level=None)) as reader:
        used.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM trades").fetchall()
        used.executemany("INSERT INTO trades VALUES (?, 1)", ((one,) for one in range(100)))
        os.utime(file, (1_700_000_000, 1_700_000_000))
        seen = watching(file).run(NOON)
    assert seen.reason == "late"


def test_a_container_finds_the_hosts_file(tmp_path: Path) -> None:
    (tmp_path / "host" / "data").mkdir(parents=True)
    fill(tmp_path / "host" / "data" / "bots.db").close()
    (tmp_path / "host" / "srv").symlink_to("/data")
    probe = SqliteProbe("/srv/bots.db", 1.0, WatchedHost("far", Path("/proc"), tmp_path / "host"))
    assert probe.run(NOON).status == "ok"


def test_an_empty_file_is_not_whole(file: Path) -> None:
    """SQLite takes it for a new database; whoever watches one wants to know that nothing is in it."""
    file.touch()
    watched = watching(file)
    seen = watched.run(NOON)
    assert (seen.status, seen.reason) == ("warning", "corrupt")
    assert "is empty (0 bytes)" in seen.text
    fill(file, "delete", 10).close()
    assert watched.run(NOON + timedelta(minutes=1)).status == "ok"
    os.truncate(file, 0)
    seen = watched.run(NOON + timedelta(minutes=2))
    assert (seen.status, seen.reason) == ("critical", "corrupt")
    assert "is empty (0 bytes, previously " in seen.text

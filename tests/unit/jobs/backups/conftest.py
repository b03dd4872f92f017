"""A home with both databases, secrets and config documents, to back up and restore."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from services.jobs.backups.workspace import Sources

KEY = "dGVzdC1rZXktb2YtMzItYnl0ZXMtZm9yLWZlcm5ldC4="
POSITIONS = {"performance": "1769860800000-0", "health": "1769860795000-0"}


def insert_equity(path: Path, amount: int) -> None:
    """Add rows to the performance database."""
    with closing(sqlite3.connect(path)) as connection:
        rows = [("2026-01-31 12:00:00.000", "a", number) for number in range(amount)]
        connection.executemany("INSERT INTO equity (timestamp, bot, equity) VALUES (?, ?, ?)", rows)
        connection.commit()


def count_equity(path: Path) -> int:
    """Return the number of rows."""
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM equity").fetchone()
    return int(count)


@pytest.fixture
def sources(migrated: Path, tmp_path: Path) -> Sources:
    """Return a home with ten rows, and the offsets of a recorder."""
    home, config = tmp_path / "home", tmp_path / "config"
    data = home / "data" / "monitoring"
    data.mkdir(parents=True)
    files = {"performance": data / "performance_metrics.db", "health": data / "system_health.db"}
    for line, path in files.items():
        shutil.copy(migrated / f"{line}.db", path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("INSERT INTO log_position VALUES ('recorder', 0, ?)", (POSITIONS[line],))
            connection.execute("INSERT INTO log_position VALUES ('recorder-fence', 0, '3')")
            connection.execute("INSERT INTO log_position VALUES ('evaluator', 0, '5-0')")
            connection.commit()
    insert_equity(files["performance"], 10)
    (home / "secrets" / "bot").mkdir(parents=True)
    (home / "secrets" / "bot" / "redis-url").write_text("redis://bot:geheim@127.0.0.1/0\n")
    (home / "data" / "link.key").write_bytes(b"k" * 32)
    config.mkdir()
    (config / "notifications.yml").write_text("channels: []\n")
    (config / "smtp-password").write_text("geheim\n")
    return Sources(home, config, files)

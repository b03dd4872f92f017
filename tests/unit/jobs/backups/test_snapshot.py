"""Both databases are copied as they were at one moment, while they are written."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.jobs.backups import snapshot
from services.jobs.backups.snapshot import copy_databases, describe_copy, integrity_faults
from services.jobs.backups.workspace import Sources
from tests.support import wait_until


class SlowConnection(sqlite3.Connection):
    """Takes its time once its snapshot has begun: enough for a writer that is not locked out."""

    def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
        """Run a statement."""
        found = super().execute(sql, *arguments)
        if "FROM sqlite_schema" in sql:
            time.sleep(0.03)
        return found


@contextmanager
def writing(sources: Sources) -> Iterator[list[int]]:
    """Write 1, 2, 3, … to both databases, one after the other like the recorder; yield the last."""
    stopping, last = threading.Event(), [0]

    def write() -> None:
        paths = [sources.databases["performance"], sources.databases["health"]]
        with (
            closing(sqlite3.connect(paths[0], timeout=30)) as first,
            closing(sqlite3.connect(paths[1], timeout=30)) as second,
        ):
            while not stopping.is_set():
                last[0] += 1
                for connection in (first, second):
                    statement = "UPDATE log_position SET entry = ? WHERE reader = 'recorder'"
                    connection.execute(statement, (f"{last[0]}-0",))
                    connection.commit()

    thread = threading.Thread(target=write)
    thread.start()
    wait_until(lambda: last[0] > 1, "the writer has begun")
    try:
        yield last
    finally:
        stopping.set()
        thread.join()


def positions(paths: dict[str, Path]) -> tuple[int, int]:
    found = [describe_copy(paths[name], "").positions["recorder"] for name in ("performance", "health")]
    return int(found[0].partition("-")[0]), int(found[1].partition("-")[0])


def test_both_copies_are_of_one_moment(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under constant writes in many steps, the copies are never more than one transaction apart."""
    monkeypatch.setattr(snapshot, "PAGES_PER_STEP", 2)
    connect = partial(sqlite3.connect, factory=SlowConnection)
    monkeypatch.setattr("services.jobs.backups.snapshot.sqlite3.connect", connect)
    steps: list[int] = []
    with writing(sources) as last:

        def told(_text: str) -> None:
            steps.append(last[0])
            if len(steps) % 20 == 1:
                wait_until(lambda: last[0] > steps[-1] + 2, "the writer goes on during the copy")

        for number in range(3):
            copies = {name: tmp_path / f"{number}-{path.name}" for name, path in sources.databases.items()}
            copy_databases(sources.databases, copies, told)
            performance, health = positions(copies)
            assert performance - health in (0, 1)
            assert not integrity_faults(copies["performance"])
    assert len(steps) > 100


def test_a_locked_database_is_an_error(
    sources: Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another program keeps the write lock, the copy fails after a time and holds back nobody."""
    monkeypatch.setattr(snapshot, "LOCK_TIMEOUT_S", 0.05)
    copies = {name: tmp_path / path.name for name, path in sources.databases.items()}
    with closing(sqlite3.connect(sources.databases["health"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            copy_databases(sources.databases, copies, lambda _: None)
    with closing(sqlite3.connect(sources.databases["performance"], timeout=0)) as free:
        free.execute("UPDATE log_position SET entry = '9-0'")

"""A full disk is recognized and named, whether SQLite or Redis writes to it."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from redis.exceptions import OutOfMemoryError

from services.notifier.watchdog.disk import describe_full_disk
from shared.runtime.redis.connection import CannotPersistError
from shared.store.database import sqlite_url


class Usage(NamedTuple):
    """What `shutil.disk_usage` returns."""

    total: int
    used: int
    free: int


def test_the_folder_of_a_database_without_space_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to do stands in the message."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(50 * 2**20, 49 * 2**20, 2**20))
    said = describe_full_disk(sqlite_url(tmp_path / "health.db"), None) or ""
    assert said.startswith("Disk full on ")
    assert f"{tmp_path}: 1.0 of 50 MiB free. Free space" in said


def test_the_disk_of_redis_is_told_by_its_answer(tmp_path: Path) -> None:
    """Redis may run on another machine."""
    error = CannotPersistError(
        "Errors writing to the AOF file: No space left on device script: 12ab, on @user"
    )
    said = describe_full_disk(sqlite_url(tmp_path / "health.db"), error) or ""
    assert said.startswith(
        "Disk full on the Redis host: Errors writing to the AOF file: No space left on device. Free"
    )


def test_with_space_no_disk_is_full(tmp_path: Path) -> None:
    """Another reason to refuse is no full disk, and neither is a database on a server."""
    assert describe_full_disk(sqlite_url(tmp_path / "health.db"), OutOfMemoryError("x")) is None
    assert describe_full_disk(sqlite_url(tmp_path / "gone" / "health.db"), None) is None
    assert describe_full_disk("postgresql://host/db", None) is None

"""What pauses on a disk that is nearly full, and when it goes on."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.runtime.databases import disk_of
from shared.runtime.disk_space import LIMITS, MIB, PAUSED, DiskLevel, DiskSpace, next_level

GIB = 1024 * MIB


@pytest.mark.parametrize(
    ("total", "limits"),
    [(64 * MIB, (8, 16, 32)), (10 * GIB, (32, 205, 512)), (2000 * GIB, (32, 512, 2048))],
    ids=["tiny", "small", "large"],
)
def test_limits_are_a_fraction_of_the_disk_within_bounds(total: int, limits: tuple[int, ...]) -> None:
    """A small disk is usable, a large one not given up early."""
    assert tuple(round(limit.of(total) / MIB) for limit in LIMITS.values()) == limits


def test_a_level_ends_with_a_quarter_more_space() -> None:
    """Free space that goes up and down around a limit does not alternate the level."""
    levels = [DiskLevel.OK]
    for free in (33, 31, 33, 39, 41, 15, 19, 21, 7, 9, 11, 50):
        levels.append(next_level(levels[-1], free * MIB, 64 * MIB))
    assert levels[1:] == [0, 1, 1, 1, 0, 2, 2, 1, 3, 3, 2, 0]


def test_each_level_pauses_what_the_one_before_did_and_more() -> None:
    """The order is stated."""
    for level in (DiskLevel.LOW, DiskLevel.VERY_LOW, DiskLevel.FULL):
        before = PAUSED[DiskLevel(level - 1)]
        assert PAUSED[level][: len(before)] == before
        assert len(PAUSED[level]) > len(before)


def test_the_disk_is_read_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown disk, as of a missing folder, is no full disk."""
    now, free = [0.0], [MIB]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0], total=64 * MIB, used=0))
    disk = DiskSpace(tmp_path, lambda: now[0])
    assert disk.read_level() is DiskLevel.FULL
    assert (str(disk.read()), disk.level.text) == ("1.0 of 64 MiB free", "full")
    free[0] = 60 * MIB
    assert disk.read_level() is DiskLevel.FULL
    now[0] = 1.0
    assert disk.read_level() is DiskLevel.OK
    monkeypatch.undo()
    unknown = disk_of(f"sqlite:///{tmp_path}/gone/x.db")
    assert unknown
    assert (unknown.read(), unknown.read_level()) == (None, DiskLevel.OK)

"""Limits of control groups and what happened at them, from files as the kernel writes them."""

from pathlib import Path

import pytest

from services.collector.host.cgroup import (
    MemoryLimit,
    Throttling,
    memory_limit,
    oom_kills,
    throttled_percent,
    throttling,
)

GIB = 2**30
V1_UNLIMITED = 9223372036854771712


def write(folder: Path, **files: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


def test_version_2_counts_what_cannot_be_dropped_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        memory__max=str(GIB),
        memory__current=str(GIB // 2),
        memory__stat=f"anon {GIB // 4}\ninactive_file {GIB // 8}\nactive_file 7",
    )
    assert memory_limit(8 * GIB, tmp_path) == MemoryLimit(limit=GIB, used=GIB * 3 // 8)


def test_version_1_has_other_names(tmp_path: Path) -> None:
    write(
        tmp_path / "memory",
        memory__limit_in_bytes=str(GIB),
        memory__usage_in_bytes=str(GIB // 2),
        memory__stat=f"inactive_file 1\ntotal_inactive_file {GIB // 8}",
    )
    assert memory_limit(8 * GIB, tmp_path) == MemoryLimit(limit=GIB, used=GIB * 3 // 8)


@pytest.mark.parametrize(
    ("folder", "name", "limit"),
    [
        (".", "memory__max", "max"),
        (".", "memory__max", str(16 * GIB)),
        ("memory", "memory__limit_in_bytes", str(V1_UNLIMITED)),
    ],
)
def test_a_limit_beyond_the_machine_is_none(tmp_path: Path, folder: str, name: str, limit: str) -> None:
    write(tmp_path / folder, **{name: limit})
    assert memory_limit(8 * GIB, tmp_path) is None


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert memory_limit(8 * GIB, tmp_path) is None


def test_kills_at_the_limit_are_those_of_the_group_in_both_versions(tmp_path: Path) -> None:
    assert oom_kills(tmp_path) is None
    events = "oom_kill_disable 0\nunder_oom 0\noom_kill 4"
    write(tmp_path / "memory", memory__oom_control=events)
    assert oom_kills(tmp_path) == 4
    write(tmp_path, memory__events="low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0")
    assert oom_kills(tmp_path) == 2


def test_throttling_is_known_only_where_there_is_a_limit(tmp_path: Path) -> None:
    assert throttling(tmp_path) is None
    write(tmp_path / "cpu", cpu__stat="nr_periods 0\nnr_throttled 0\nthrottled_time 0")
    assert throttling(tmp_path) is None
    write(tmp_path / "cpu", cpu__stat="nr_periods 50\nnr_throttled 20\nthrottled_time 7")
    assert throttling(tmp_path) == Throttling(50, 20)
    write(tmp_path, cpu__stat="usage_usec 1\nnr_periods 8\nnr_throttled 2\nthrottled_usec 9")
    assert throttling(tmp_path) == Throttling(8, 2)


def test_throttling_is_undefined_without_periods() -> None:
    assert throttled_percent(Throttling(10, 5), Throttling(30, 10)) == 25.0
    assert throttled_percent(Throttling(10, 5), Throttling(10, 5)) is None

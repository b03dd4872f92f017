"""Memory limits of control groups, from files as the kernel writes them."""

from pathlib import Path

import pytest

from services.collector.cgroup import Memory, limited_memory

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
    assert limited_memory(8 * GIB, tmp_path) == Memory(limit=GIB, used=GIB * 3 // 8)


def test_version_1_has_other_names(tmp_path: Path) -> None:
    write(
        tmp_path / "memory",
        memory__limit_in_bytes=str(GIB),
        memory__usage_in_bytes=str(GIB // 2),
        memory__stat=f"inactive_file 1\ntotal_inactive_file {GIB // 8}",
    )
    assert limited_memory(8 * GIB, tmp_path) == Memory(limit=GIB, used=GIB * 3 // 8)


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
    assert limited_memory(8 * GIB, tmp_path) is None


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert limited_memory(8 * GIB, tmp_path) is None

"""Processes and zombies, of this machine and of recorded ones."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.collector.host.process_counts import ProcessCounts, count_processes, parse_file_nr
from tests.support import wait_until
from tests.unit.collector.proc_samples import K6_18

PROC = Path("/proc")


def process(proc: Path, number: str, stat: str) -> None:
    (proc / number).mkdir()
    (proc / number / "stat").write_text(stat)


def test_states_are_read_whatever_a_program_is_called(tmp_path: Path) -> None:
    process(tmp_path, "1", "1 (init) S 0 1 1 0 -1\n")
    process(tmp_path, "23", "23 (a) Z b) R 1 23 23 0 -1\n")
    process(tmp_path, "45", "45 (gone) Z 1 45 45 0 -1\n")
    (tmp_path / "67").mkdir()  # ended while we looked
    (tmp_path / "sys").mkdir()
    assert count_processes(tmp_path) == ProcessCounts(processes=3, zombies=1)


def test_a_real_child_that_nobody_waits_for_is_a_zombie() -> None:
    before = count_processes(PROC).zombies
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        state = PROC / str(child.pid) / "stat"
        wait_until(lambda: ") Z " in state.read_text(), "the child has ended")
        assert count_processes(PROC).zombies > before
    finally:
        child.wait()
    with pytest.raises(FileNotFoundError):
        state.read_text()


def test_open_files_are_percent_of_the_limit_and_those_kept_in_reserve_are_free() -> None:
    assert parse_file_nr(K6_18["sys/fs/file-nr"]) == 0.07
    assert parse_file_nr("600\t100\t1000\n") == 50.0

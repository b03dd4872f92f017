"""Reading /proc by hand: recorded lines, and this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from services.collector.host import process_table
from services.collector.host.process_table import (
    TICKS,
    ProcessCounts,
    count_processes,
    parse_process_stat,
    read_process,
    uid_of,
)
from tests.support import wait_until

LINE = (
    "4711 (a) b (c) Z 1 4711 4711 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 7 0 120000 8192 256 "
    "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
PROC = Path("/proc")


def test_a_name_with_parentheses_and_spaces_moves_no_column() -> None:
    process = parse_process_stat(LINE)
    assert (process.pid, process.name, process.state, process.parent) == (4711, "a) b (c", "Z", 1)
    assert (process.cpu_seconds, process.threads) == (300 / TICKS, 7)
    assert (process.start, process.memory_bytes) == (120_000 / TICKS, 256 * process_table.PAGE_BYTES)


def test_this_process_is_in_the_table_as_it_knows_itself() -> None:
    own = process_table.collector_pid(PROC)
    assert own == os.getpid()
    assert own in process_table.pids(PROC)
    process = read_process(PROC, own)
    assert process
    assert process.parent == os.getppid()
    assert 0 < process.start <= process_table.uptime(PROC)
    assert sys.orig_argv[-1] in process_table.read_command(PROC, own)
    assert process_table.user_id_of(PROC, own) == os.geteuid()
    assert process_table.count_open_files(PROC, own)


def test_a_command_line_is_read_to_its_end() -> None:
    """Linux takes many arguments of up to 128 KiB; what is looked for may be the last."""
    words = [sys.executable, "-c", "input()", *["x" * 100_000] * 10, "the-end"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
        wait_until(lambda: process_table.read_command(PROC, process.pid).endswith(" the-end"), "it runs")
        process.communicate(b"\n")


def test_a_process_that_is_gone_is_none_everywhere() -> None:
    gone = 2**22 + 1
    assert read_process(PROC, gone) is None
    assert process_table.read_command(PROC, gone) == ""
    assert process_table.user_id_of(PROC, gone) is None
    assert process_table.count_open_files(PROC, gone) is None


def test_a_host_that_does_not_see_us_has_no_number_for_us(tmp_path: Path) -> None:
    assert process_table.collector_pid(tmp_path) is None


def test_users_are_looked_up_in_the_hosts_own_file() -> None:
    passwd = "root:x:0:0:root:/root:/bin/bash\nbroken\nbot:x:1001:1001::/:/bin/sh\n"
    assert [uid_of(passwd, user) for user in ("bot", "1234", "ann")] == [1001, 1234, None]


def add_process(proc: Path, number: str, stat: str) -> None:
    (proc / number).mkdir()
    (proc / number / "stat").write_text(stat)


def test_states_are_read_whatever_a_program_is_called(tmp_path: Path) -> None:
    add_process(tmp_path, "1", "1 (init) S 0 1 1 0 -1\n")
    add_process(tmp_path, "23", "23 (a) Z b) R 1 23 23 0 -1\n")
    add_process(tmp_path, "45", "45 (gone) Z 1 45 45 0 -1\n")
    (tmp_path / "67").mkdir()  # ended while we looked
    (tmp_path / "sys").mkdir()
    assert count_processes(tmp_path) == ProcessCounts(processes=3, zombies=1)


def test_a_real_child_that_nobody_waits_for_is_a_zombie(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        state = PROC / str(child.pid) / "stat"
        wait_until(lambda: ") Z " in state.read_text(), "the child has ended")
        (tmp_path / str(child.pid)).symlink_to(PROC / str(child.pid))  # the machine may have other zombies
        assert count_processes(tmp_path) == ProcessCounts(1, 1)
    finally:
        child.wait()
    with pytest.raises(FileNotFoundError):
        state.read_text()

"""What a production start prints goes to its terminal and to a file."""

import os
import sys
from pathlib import Path

from services.native.startup_log import NAME, Console, startup_log


def test_lines_go_to_the_terminal_and_with_the_time_to_the_file(tmp_path: Path) -> None:
    """The terminal may go away meanwhile, or the file be compressed; what follows is in a new one."""
    reading, writing = os.pipe()
    console = Console(os.fdopen(writing, "w"))
    with startup_log(tmp_path, console):
        sys.stdout.write("Botwatch starts\n")
        console.close()
        (tmp_path / NAME).rename(tmp_path / "compressed")
        sys.stdout.write("Botwatch has stopped\n")
    assert os.read(reading, 100) == b"Botwatch starts\n"
    os.close(reading)
    assert (tmp_path / "compressed").read_text().endswith("+00:00 Botwatch starts\n")
    assert (tmp_path / NAME).read_text().endswith("+00:00 Botwatch has stopped\n")


def test_a_starter_that_was_killed_is_no_error(tmp_path: Path) -> None:
    """Writing to its closed pipe is given up silently."""
    reading, writing = os.pipe()
    os.close(reading)
    with startup_log(tmp_path, Console(os.fdopen(writing, "w"))):
        sys.stdout.write("one\n")
        sys.stdout.write("two\n")
    assert len((tmp_path / NAME).read_text().splitlines()) == 2

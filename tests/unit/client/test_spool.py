"""The spool: what waits survives the process, is bounded, and is read in the order it was written."""

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest

from botwatch.spool import DiskSpool, MemorySpool, Spool, default_folder, spool_name


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b'{"number":%d}' % number for number in range(start, start + count)]


def drain(spool: Spool | DiskSpool | MemorySpool, batch: int = 3) -> list[bytes]:
    """Read and remove everything."""
    found: list[bytes] = []
    while taken := spool.read(batch, 1000):
        found += taken
        spool.remove()
    return found


@pytest.mark.parametrize("folder", [Path("spool"), None])
def test_records_are_read_in_order_until_they_are_removed(folder: Path | None, tmp_path: Path) -> None:
    """A batch that is not removed is read again; bytes limit a batch too."""
    spool = Spool(folder and tmp_path / folder)
    for line in lines(7):
        spool.append(line)
    assert spool.read(3, 1000) == spool.read(3, 1000) == lines(3)
    assert spool.read(7, 30) == lines(2)
    assert spool.pending == 7
    assert drain(spool) == lines(7)
    assert (spool.pending, spool.dropped) == (0, 0)


def test_what_a_process_left_is_taken_over_once(tmp_path: Path) -> None:
    """Also what it was writing when it ended is left out, and what it had sent is not sent again."""
    left = Spool(tmp_path)
    for line in lines(5):
        left.append(line)
    left.read(2, 1000)
    left.remove()
    [owner] = tmp_path.iterdir()
    with (owner / "000001.jsonl").open("ab") as file:
        file.write(b'{"torn":')
    running = Spool(tmp_path)
    assert running.pending == 0  # its process still runs
    left.close()
    second, third = Spool(tmp_path), Spool(tmp_path)
    assert (second.pending, third.pending) == (3, 0)
    second.append(b"new")
    assert drain(second) == [*lines(3, 2), b"new"]
    second.close()
    assert drain(Spool(tmp_path)) == []


def test_a_spool_that_is_being_made_is_not_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Processes that start together look for what others left before each has locked its own."""
    flock, started = fcntl.flock, [1]

    def start_another_first(file: int, how: int) -> None:
        while started:
            started.pop()
            Spool(tmp_path).close()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", start_another_first)
    spool = Spool(tmp_path)
    spool.append(b"one")
    assert (spool.error, spool.is_on_disk) == (None, True)
    assert Spool(tmp_path).pending == 0
    assert drain(spool) == [b"one"]


def test_a_lock_that_was_deleted_locks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner exited between opening and locking it."""
    left = DiskSpool(tmp_path / "one")
    left.append(b"one")
    left.close()
    flock = fcntl.flock

    def delete_before(file: int, how: int) -> None:
        (tmp_path / "one" / "lock").unlink()
        flock(file, how)

    monkeypatch.setattr(fcntl, "flock", delete_before)
    with pytest.raises(OSError, match="lock"):
        DiskSpool(tmp_path / "one")


def test_records_whose_folder_is_deleted_are_dropped(tmp_path: Path) -> None:
    """They are counted and no longer waited for; what comes then waits in memory."""
    spool = Spool(tmp_path / "spool")
    spool.append(b"one")
    shutil.rmtree(tmp_path / "spool")
    assert spool.read(1, 1000) == []
    assert (spool.pending, spool.dropped) == (0, 1)
    spool.append(b"two")
    assert drain(spool) == [b"two"]


def test_the_oldest_records_are_dropped_and_counted(tmp_path: Path) -> None:
    """On disk a sixteenth at a time, in memory one by one."""
    disk = DiskSpool(tmp_path / "one", max_bytes=16 * 50)
    for line in lines(200):
        disk.append(line)
    kept = disk.pending
    assert disk.dropped + kept == 200
    assert sum(path.stat().st_size for path in disk.folder.glob("*.jsonl")) <= 16 * 50 + 16 * 15
    assert drain(disk) == lines(kept, 200 - kept)
    memory = MemorySpool(max_records=10)
    for line in lines(25):
        memory.append(line)
    assert (memory.dropped, drain(memory)) == (15, lines(10, 15))


def test_records_dropped_while_they_are_sent_are_not_removed_twice() -> None:
    """In memory, `remove` takes only what is left of the batch."""
    memory = MemorySpool(max_records=4)
    for line in lines(4):
        memory.append(line)
    memory.read(2, 1000)
    memory.append(b"new")
    memory.remove()
    assert drain(memory) == [*lines(2, 2), b"new"]


def test_a_file_that_was_sent_is_deleted(tmp_path: Path) -> None:
    """Files do not grow for ever, and a spool without records leaves no folder."""
    spool = DiskSpool(tmp_path / "one", max_bytes=16 * 50)
    for start in range(0, 100, 2):
        spool.append(b'{"number":%d}' % start)
        assert drain(spool)
        assert len(list(spool.folder.glob("*.jsonl"))) <= 2
    spool.close()
    assert not spool.folder.exists()


def test_a_full_disk_does_not_stop_a_bot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit waits in memory; what was written before is still sent, and no line is torn."""
    spool = Spool(tmp_path)
    spool.append(b"before")

    def write(file: int, data: bytes) -> int:
        real(file, data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.write
    monkeypatch.setattr("os.write", write)
    spool.append(b"after")
    monkeypatch.undo()
    assert isinstance(spool.error, OSError)
    assert drain(spool) == [b"before", b"after"]


def test_a_folder_that_cannot_be_made_does_not_stop_a_bot(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    spool = Spool(tmp_path / "file" / "spool")
    spool.append(b"one")
    assert drain(spool) == [b"one"]
    spool.close()


def test_where_the_spool_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """BOTWATCH_SPOOL, else the user's state; each bot and each Botwatch have a folder."""
    assert spool_name("a", "http://one") != spool_name("a", "http://two") != spool_name("b", "http://one")
    monkeypatch.setenv("BOTWATCH_SPOOL", "/mine")
    assert default_folder() == Path("/mine")
    monkeypatch.delenv("BOTWATCH_SPOOL")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_folder() == Path("/state/botwatch/spool")

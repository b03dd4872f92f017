"""What the disk keeps while nobody takes records, whatever happens to the process."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from services.collector.forwarding import spool as spool_module
from services.collector.forwarding.spool import MAX_AGE, SEGMENT_BYTES, SEGMENT_RECORDS, Spool
from shared.schema.records import AnyRecord, Health, encode_record
from tests.support import wait_until

NOW = datetime.now(UTC)


def sample(number: int, text: str = "") -> Health:
    return Health(
        timestamp=NOW + timedelta(seconds=number),
        host="box",
        processes=number,
        reasons=[text] if text else [],
    )


def drained(spool: Spool) -> list[int | None]:
    """Take everything out and return the samples' numbers."""
    found: list[AnyRecord] = []
    while batch := spool.oldest():
        found += batch
        spool.remove_oldest()
    return [record.processes for record in found if isinstance(record, Health)]


@contextmanager
def dropping(count: int) -> Iterator[None]:
    """See to it that the block drops so many records, by the counter."""
    before = dropped()
    yield
    assert dropped() - before == count


def dropped() -> float:
    return REGISTRY.get_sample_value("botwatch_collector_records_dropped_total") or 0.0


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let files of this process grow to `size` bytes only: of more the kernel writes a part, as when full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_records_come_back_as_they_were_and_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([sample(1), sample(2, "CPU at 80%")])
    spool.append([sample(3)])
    assert spool.oldest() == [sample(1), sample(2, "CPU at 80%"), sample(3)]


def test_a_batch_stays_until_it_is_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([sample(1)])
    assert spool.oldest() == spool.oldest() == [sample(1)]
    spool.remove_oldest()
    assert (spool.oldest(), len(spool), spool.size) == ([], 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_batches_are_bounded_by_records_and_by_bytes(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.append([sample(number) for number in range(SEGMENT_RECORDS + 1)])
    assert len(spool) == 2
    for number in range(SEGMENT_BYTES // 4000 + 1):
        spool.append([sample(number, "x" * 4000)])
    assert len(spool) == 3
    assert len(drained(spool)) == SEGMENT_RECORDS + 1 + SEGMENT_BYTES // 4000 + 1


def test_the_next_process_goes_on_where_the_last_one_was_and_behind_it(tmp_path: Path) -> None:
    Spool(tmp_path).append([sample(1), sample(2)])
    following = Spool(tmp_path)
    following.append([sample(3)])
    assert drained(following) == [1, 2, 3]


def test_a_torn_last_line_is_left_out_and_spoils_no_other(tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.append([sample(1), sample(2)])
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes()[:-20])
    following = Spool(tmp_path)
    following.append([sample(3)])
    with capture_logs() as lines:
        assert drained(following) == [1, 3]
    assert [line["lines"] for line in lines] == [1]


def test_a_segment_of_garbage_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "0000000000000001.ndjson").write_bytes(b"\x00" * 512 + b"\n\xff\xfe\n{}\n[1]\n")
    (tmp_path / "0000000000000002.ndjson").write_bytes(b"")
    (tmp_path / "notes.ndjson").write_bytes(b"not ours")
    spool = Spool(tmp_path)
    spool.append([sample(3)])
    assert drained(spool) == [3]
    assert [path.name for path in tmp_path.iterdir()] == ["notes.ndjson"]


def test_past_its_size_it_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, most_bytes=3 * SEGMENT_BYTES)
    line = len(encode_record(sample(0, "x" * 4000))) + 1
    per_segment = SEGMENT_BYTES // line
    with dropping(2 * per_segment), capture_logs() as lines:
        for number in range(5 * per_segment):
            spool.append([sample(number, "x" * 4000)])
    assert spool.size <= 3 * SEGMENT_BYTES
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == spool.size
    assert [line["records"] for line in lines] == [per_segment] * 2
    assert drained(spool) == [*range(2 * per_segment, 5 * per_segment)]


def test_what_is_too_old_is_dropped_also_right_after_a_start(tmp_path: Path) -> None:
    Spool(tmp_path).append([sample(1), sample(2)])
    written = datetime.now(UTC)
    assert len(Spool(tmp_path, now=lambda: written + MAX_AGE - timedelta(minutes=1))) == 1
    with dropping(2):
        assert len(Spool(tmp_path, now=lambda: written + MAX_AGE + timedelta(minutes=1))) == 0


def test_a_full_disk_costs_no_record_and_tears_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    room = 2 * len(encode_record(sample(1))) + 40
    with largest_file(room), dropping(0), capture_logs() as lines:
        spool.append([sample(1), sample(2), sample(3), sample(4)])
        spool.append([sample(5)])
    assert len(lines) == 1
    spool.append([sample(6)])
    assert drained(spool) == [1, 2, 3, 4, 5, 6]


def test_what_waits_in_memory_is_sent_from_there_and_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk takes nothing at all, the newest records that fit into memory are sent."""
    monkeypatch.setattr(spool_module, "MAX_MEMORY_BYTES", 2 * len(encode_record(sample(1))) + 40)
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool" / "collector")
    with dropping(1):
        spool.append([sample(1), sample(2), sample(3)])
    assert drained(spool) == [2, 3]
    assert len(spool) == 0


def test_an_unwritable_spool_loses_no_records(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool" / "collector")
    with dropping(0), capture_logs() as lines:
        spool.append([sample(1)])
        spool.append([sample(2)])
    assert len(lines) == 1
    assert spool.oldest() == [sample(1), sample(2)]


def test_a_segment_that_somebody_removed_is_forgotten(tmp_path: Path) -> None:
    Spool(tmp_path).append([sample(1)])
    spool = Spool(tmp_path)
    spool.append([sample(2)])
    (tmp_path / "0000000000000001.ndjson").unlink()
    with capture_logs():
        assert drained(spool) == [2]


def test_nobody_else_may_read_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append([sample(1)])
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0


WRITER = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from {spool_module.__name__} import Spool
from shared.schema.records import Health
spool = Spool(Path(sys.argv[1]))
number = int(sys.argv[2])
while True:
    spool.append([Health(timestamp=datetime.now(UTC), host="box", processes=number)])
    number += 1
"""


@pytest.mark.slow
@pytest.mark.parametrize("kill_after", [1, 700, 2500])
def test_killed_at_any_moment_it_loses_nothing_that_was_written(tmp_path: Path, kill_after: int) -> None:
    for begin in (0, 1_000_000):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(begin)], env=os.environ)
        try:
            known = sum(path.stat().st_size for path in tmp_path.iterdir())
            wait_until(
                lambda k=known: sum(p.stat().st_size for p in tmp_path.iterdir()) - k > kill_after * 80,  # type: ignore[misc]
                "the writer is at work",
            )
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=10)
    with capture_logs() as lines:
        numbers = drained(Spool(tmp_path))
    first = [number for number in numbers if number is not None and number < 1_000_000]
    second = [number for number in numbers if number is not None and number >= 1_000_000]
    assert first == [*range(len(first))]
    assert second == [*range(1_000_000, 1_000_000 + len(second))]
    assert numbers == first + second
    assert min(len(first), len(second)) > kill_after / 2
    assert len(lines) <= 2

"""Reading the kernel's files, and what counters did between two readings."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.collector.host.kernel_files import CounterDelta, KernelFiles, Meter


def test_a_file_is_read_and_parsed(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"7\n")
    assert KernelFiles().read(tmp_path / "f", int) == 7


def test_a_text_longer_than_a_page_is_read_to_its_end() -> None:
    assert KernelFiles().read(Path("/proc/kallsyms"), lambda text: text.endswith("\n"))


def unreadable(folder: Path) -> tuple[Path, Callable[[str], object]]:
    return folder / "missing", int


def unexpected(folder: Path) -> tuple[Path, Callable[[str], object]]:
    (folder / "f").write_text("x")
    return folder / "f", int


def shorter(folder: Path) -> tuple[Path, Callable[[str], object]]:
    (folder / "f").write_text("x")
    return folder / "f", lambda text: text.split()[5]


@pytest.mark.parametrize("fault", [unreadable, unexpected, shorter])
def test_what_cannot_be_read_is_told_once_and_is_none(
    tmp_path: Path, fault: Callable[[Path], tuple[Path, Callable[[str], object]]]
) -> None:
    file, parse = fault(tmp_path)
    files = KernelFiles()
    with capture_logs() as lines:
        assert [files.read(file, parse) for _ in range(3)] == [None] * 3
    assert [line["what"] for line in lines] == [str(file)]


def test_a_span_is_what_happened_since_the_previous_reading() -> None:
    seconds, values = 0.0, iter((10, 30, 60))
    meter = Meter(lambda: next(values), lambda: seconds)
    assert meter.delta() is None
    seconds = 2.0
    assert meter.delta() == CounterDelta(10, 30, 2.0)
    seconds = 5.0
    assert meter.delta() == CounterDelta(30, 60, 3.0)


def test_too_short_a_span_is_none_and_adds_to_the_next() -> None:
    seconds, values = 0.0, iter((10, 30))
    meter = Meter(lambda: next(values), lambda: seconds)
    meter.delta()
    seconds = 0.5
    assert meter.delta() is None
    seconds = 1.0
    assert meter.delta() == CounterDelta(10, 30, 1.0)


def test_a_reading_that_failed_leaves_two_spans_undefined() -> None:
    seconds, values = iter((0.0, 1.0, 2.0, 3.0)), iter((10, None, 30, 40))
    meter: Meter[int] = Meter(lambda: next(values), lambda: next(seconds))
    assert [meter.delta() for _ in range(4)] == [None, None, None, CounterDelta(30, 40, 1.0)]

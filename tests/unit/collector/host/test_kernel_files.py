"""Kernel files that are read by hand, and counters between two readings."""

from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.collector.host.kernel_files import (
    CounterDelta,
    KernelFiles,
    Meter,
    PressureTotals,
    find_sensors,
    max_temperature,
    parse_arc,
    parse_file_nr,
    parse_oom_kills,
    parse_pressure,
    stalled_percent,
)
from tests.unit.collector.proc_samples import K3_10, K5_10, K6_18


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


def test_totals_are_read_with_and_without_the_line_of_full_stalls() -> None:
    assert parse_pressure(K6_18["pressure/io"]) == PressureTotals(some=197959596, full=130374556)
    assert parse_pressure(K5_10["pressure/cpu"]) == PressureTotals(some=2889904996, full=0)


def test_stalled_is_percent_of_the_time_between() -> None:
    assert stalled_percent(1_000_000, 1_500_000, seconds=2.0) == 25.0


def test_stalled_stays_on_the_scale_and_is_undefined_when_the_total_fell() -> None:
    assert stalled_percent(0, 3_000_000, seconds=2.0) == 100.0
    assert stalled_percent(2, 1, seconds=2.0) is None


def test_oom_kills_are_counted_since_kernel_4_13() -> None:
    assert parse_oom_kills(K6_18["vmstat"]) == 3
    assert parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 7") == 7
    with pytest.raises(LookupError):
        parse_oom_kills(K3_10["vmstat"])


ARCSTATS = """13 1 0x01 147 39984 3937204870 6310493826301
name                            type data
hits                            4    51803
c                               4    25769803776
c_min                           4    1073741824
c_max                           4    25769803776
size                            4    23622320128
"""


def test_the_arc_of_zfs_is_given_back_down_to_its_minimum() -> None:
    """Its 22 GiB may shrink to 1 GiB."""
    assert parse_arc(ARCSTATS) == 21 * 2**30
    assert parse_arc(ARCSTATS.replace("23622320128", "1000")) == 0


def test_open_files_are_percent_of_the_limit_without_free_ones() -> None:
    assert parse_file_nr(K6_18["sys/fs/file-nr"]) == 0.07
    assert parse_file_nr("600\t100\t1000\n") == 50.0


def sensor(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text + "\n")


def test_the_hottest_sensor_counts(tmp_path: Path) -> None:
    sensor(tmp_path / "class/hwmon/hwmon0/temp1_input", "45000")
    sensor(tmp_path / "class/hwmon/hwmon1/temp12_input", "61500")
    sensor(tmp_path / "class/hwmon/hwmon1/temp12_crit", "100000")
    sensor(tmp_path / "class/hwmon/hwmon1/fan1_input", "99000")
    assert max_temperature(find_sensors(tmp_path)) == 61.5


def test_thermal_zones_count_where_there_is_no_hwmon(tmp_path: Path) -> None:
    sensor(tmp_path / "class/thermal/thermal_zone0/temp", "48123")
    assert max_temperature(find_sensors(tmp_path)) == 48.123


def test_sensors_that_sleep_or_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    for number, text in enumerate(("-128000", "0", "255000", "", "40000")):
        sensor(tmp_path / f"class/hwmon/hwmon{number}/temp1_input", text)
    sensors = find_sensors(tmp_path)
    assert max_temperature(sensors) == 40.0
    sensors[4].unlink()
    assert max_temperature(sensors) is None


def test_a_machine_without_sensors_has_no_temperature(tmp_path: Path) -> None:
    assert max_temperature(find_sensors(tmp_path)) is None

"""Processor times, and what went on between two readings of them."""

import pytest

from services.collector.host.cpu import ALL, CpuTimes, CpuUsage, core_usage, cpu_usage, parse_cpu_stat
from tests.unit.collector.proc_samples import KERNELS


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_times_of_every_kernel_add_up_without_counting_guests_twice(kernel: str) -> None:
    times = parse_cpu_stat(KERNELS[kernel]["stat"])
    assert times[ALL] == CpuTimes(idle=8000, iowait=400, steal=65, total=10_000)
    assert "intr" not in times


def test_guests_and_missing_columns_do_not_count() -> None:
    assert parse_cpu_stat("cpu 1 2 3 4 5 6 7 8 100 100\n")[ALL].total == 36
    assert parse_cpu_stat("cpu 1 2 3 4\n")[ALL] == CpuTimes(4, 0, 0, 10)


def test_a_text_without_processors_is_refused() -> None:
    with pytest.raises(ValueError, match="processors"):
        parse_cpu_stat("intr 1 2 3\n")


def test_shares_are_percent_of_the_time_between_with_stolen_time_as_busy() -> None:
    before, after = CpuTimes(100, 10, 5, 200), CpuTimes(130, 30, 15, 300)
    assert cpu_usage(before, after) == CpuUsage(busy=50.0, iowait=20.0, steal=10.0)


def test_shares_are_undefined_while_the_clock_of_the_processors_stands() -> None:
    assert cpu_usage(CpuTimes(1, 0, 0, 2), CpuTimes(1, 0, 0, 2)) is None


def test_times_that_the_kernel_corrects_downwards_do_not_leave_the_scale() -> None:
    assert cpu_usage(CpuTimes(100, 90, 9, 200), CpuTimes(100, 20, 3, 210)) == CpuUsage(100.0, 0.0, 0.0)


def test_each_core_has_its_own_share_in_the_order_of_the_cores() -> None:
    before = {ALL: CpuTimes(0, 0, 0, 0), "cpu0": CpuTimes(0, 0, 0, 0), "cpu1": CpuTimes(0, 0, 0, 0)}
    after = {ALL: CpuTimes(100, 0, 0, 200), "cpu0": CpuTimes(90, 0, 0, 100), "cpu1": CpuTimes(10, 0, 0, 100)}
    assert core_usage(before, after) == [10.0, 90.0]


def test_cores_are_unknown_when_one_was_switched_on_or_off_between() -> None:
    one, two = {"cpu0": CpuTimes(0, 0, 0, 0)}, {"cpu0": CpuTimes(1, 0, 0, 9), "cpu1": CpuTimes(1, 0, 0, 9)}
    assert core_usage(one, two) == []
    assert core_usage(two, {"cpu0": CpuTimes(5, 0, 0, 20)}) == []

"""Counters of disks, as kernels of several ages lay them out."""

import pytest

from services.collector.host.disk_io import DiskCounters, DiskRates, disk_rates, parse_diskstats
from tests.unit.collector.proc_samples import KERNELS


@pytest.mark.parametrize(
    ("kernel", "disks"),
    [("2.6.32", {"sda", "xvda1"}), ("4.18", {"nvme0n1"}), ("6.18", {"vda"})],
)
def test_only_whole_disks_count_and_no_layer_above_them(kernel: str, disks: set[str]) -> None:
    # xvda1 is a whole disk where there is no xvda, as Amazon gives it to its guests.
    assert set(parse_diskstats(KERNELS[kernel]["diskstats"])) == disks


def test_sectors_are_of_512_bytes() -> None:
    found = parse_diskstats(KERNELS["6.18"]["diskstats"])["vda"]
    assert found == DiskCounters(read=107181898 * 512, written=122759408 * 512, busy_ms=367600)


def test_lines_of_a_partition_in_the_old_short_form_are_passed_over() -> None:
    assert parse_diskstats("   3    1 hda1 35486 38030 38030 38030\n") == {}


def test_rates_add_up_and_the_busiest_disk_counts() -> None:
    before = {"a": DiskCounters(0, 0, 0), "b": DiskCounters(0, 0, 0)}
    after = {"a": DiskCounters(1000, 200, 500), "b": DiskCounters(3000, 0, 1500)}
    assert disk_rates(before, after, 2.0) == DiskRates(read=2000.0, written=100.0, busy=75.0)


def test_a_disk_that_was_plugged_in_or_began_anew_does_not_spoil_the_others() -> None:
    before = {"a": DiskCounters(0, 0, 0), "b": DiskCounters(9, 9, 9)}
    after = {"a": DiskCounters(10, 20, 10), "b": DiskCounters(1, 1, 1), "c": DiskCounters(10**9, 0, 0)}
    assert disk_rates(before, after, 1.0) == DiskRates(read=10.0, written=20.0, busy=1.0)


def test_rates_are_undefined_without_any_disk() -> None:
    assert disk_rates({}, {"a": DiskCounters(1, 1, 1)}, 1.0) is None

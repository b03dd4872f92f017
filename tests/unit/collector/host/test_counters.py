"""CPU, disk and network counters between two readings, read by psutil from recorded texts of /proc."""

from pathlib import Path

import psutil
import pytest

from services.collector.host.counters import (
    CpuTimes,
    CpuUsage,
    DiskCounters,
    DiskRates,
    InterfaceCounters,
    NetworkRates,
    core_usage,
    cpu_usage,
    disk_rates,
    network_rates,
    read_cpu,
    read_disks,
    read_interfaces,
)
from tests.unit.collector.proc_samples import K3_10, KERNELS

DEV = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1172348    4122    0    0    0     0          0         0  1172348    4122    0    0    0     0       0          0
  eth0: 657177310   20313    0    0    0     0          0         0  1366379   13414    0    0    0     0       0          0
enp3s0:1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0
enp3s0.7:900 1 0 0 0 0 0 0 1900 1 0 0 0 0 0 0
docker0:   56127     942    0    0    0     0          0         0 74601228    1499    0    3    0     0       0          0
veth12ab: 56127     942    0    0    0     0          0         0 74601228    1499    0    3    0     0       0          0
"""  # noqa: E501 - as the kernel writes it


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let psutil read an empty /proc that the test fills."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    (tmp_path / "net").mkdir()
    return tmp_path


def interfaces(proc: Path, text: str, *physical: str) -> dict[str, InterfaceCounters]:
    (proc / "net" / "dev").write_text(text)
    return read_interfaces(lambda name: name in physical)


def disks(proc: Path, text: str) -> dict[str, DiskCounters]:
    (proc / "diskstats").write_text(text)
    return read_disks()


@pytest.mark.parametrize("kernel", KERNELS)
def test_guests_are_not_counted_twice(proc: Path, kernel: str) -> None:
    """Every kernel's times add up to the same total."""
    (proc / "stat").write_text(KERNELS[kernel]["stat"])
    assert read_cpu().all == CpuTimes(idle=80, iowait=4, steal=0.65, total=100)


def test_guest_times_are_part_of_user_and_nice() -> None:
    assert CpuTimes.from_psutil((1, 2, 3, 4, 5, 6, 7, 8, 100, 100)).total == 36


def test_cpu_usage_counts_stolen_time_as_busy() -> None:
    before, after = CpuTimes(100, 10, 5, 200), CpuTimes(130, 30, 15, 300)
    assert cpu_usage(before, after) == CpuUsage(busy=50.0, iowait=20.0, steal=10.0)


def test_cpu_usage_is_undefined_if_no_cpu_time_passed() -> None:
    assert cpu_usage(CpuTimes(1, 0, 0, 2), CpuTimes(1, 0, 0, 2)) is None


def test_cpu_times_that_decrease_stay_between_0_and_100_percent() -> None:
    """The kernel corrects idle and iowait downwards now and then."""
    assert cpu_usage(CpuTimes(100, 90, 9, 200), CpuTimes(100, 20, 3, 210)) == CpuUsage(100.0, 0.0, 0.0)


def test_each_core_has_its_own_usage() -> None:
    before = [CpuTimes(0, 0, 0, 0), CpuTimes(0, 0, 0, 0)]
    assert core_usage(before, [CpuTimes(90, 0, 0, 100), CpuTimes(10, 0, 0, 100)]) == [10.0, 90.0]


def test_core_usage_is_empty_if_a_core_was_switched_on_or_off() -> None:
    one, two = [CpuTimes(0, 0, 0, 0)], [CpuTimes(1, 0, 0, 9), CpuTimes(1, 0, 0, 9)]
    assert core_usage(one, two) == core_usage(two, [CpuTimes(5, 0, 0, 20)]) == []


@pytest.mark.parametrize(
    ("kernel", "expected"), [("3.10", {"sda", "xvda1"}), ("4.18", {"nvme0n1"}), ("6.18", {"vda"})]
)
def test_only_whole_physical_disks_count(proc: Path, kernel: str, expected: set[str]) -> None:
    """`xvda1` is a whole disk if there is no `xvda`, as on Amazon's virtual machines."""
    assert set(disks(proc, KERNELS[kernel]["diskstats"])) == expected


def test_disk_sectors_are_512_bytes(proc: Path) -> None:
    found = disks(proc, KERNELS["6.18"]["diskstats"])["vda"]
    assert found == DiskCounters(read=107181898 * 512, written=122759408 * 512, busy_ms=367600)


def test_disk_rates_add_up_and_the_busiest_disk_counts() -> None:
    before = {"a": DiskCounters(0, 0, 0), "b": DiskCounters(0, 0, 0)}
    after = {"a": DiskCounters(1000, 200, 500), "b": DiskCounters(3000, 0, 1500)}
    assert disk_rates(before, after, 2.0) == DiskRates(read=2000.0, written=100.0, busy=75.0)


def test_a_disk_that_is_new_or_was_reset_is_left_out() -> None:
    before = {"a": DiskCounters(0, 0, 0), "b": DiskCounters(9, 9, 9)}
    after = {"a": DiskCounters(10, 20, 10), "b": DiskCounters(1, 1, 1), "c": DiskCounters(10**9, 0, 0)}
    assert disk_rates(before, after, 1.0) == DiskRates(read=10.0, written=20.0, busy=1.0)


def test_disk_rates_are_undefined_without_disks() -> None:
    assert disk_rates({}, {"a": DiskCounters(1, 1, 1)}, 1.0) is None


def test_loopback_bridges_and_vlans_do_not_count_twice(proc: Path) -> None:
    assert interfaces(proc, DEV) == {
        "eth0": InterfaceCounters(657177310, 1366379, 0, 0),
        "enp3s0": InterfaceCounters(1000, 2000, 0, 0),
    }


def test_only_physical_interfaces_count_if_there_are_any(proc: Path) -> None:
    """Tunnels, bridges and virtual machines pass their bytes on, whatever their names are."""
    assert list(interfaces(proc, DEV, "enp3s0")) == ["enp3s0"]


def test_errors_and_drops_are_those_of_both_directions(proc: Path) -> None:
    """Old kernels write no space between a name and a large counter."""
    found = interfaces(proc, K3_10["1/net/dev"])
    assert found["eth0"] == InterfaceCounters(123456789, 987654, errors=4, drops=9)


def test_network_rates_are_per_second_over_all_interfaces() -> None:
    before = {"a": InterfaceCounters(100, 50, 0, 0), "b": InterfaceCounters(0, 0, 0, 0)}
    after = {"a": InterfaceCounters(1100, 250, 1, 3), "b": InterfaceCounters(1000, 0, 0, 0)}
    assert network_rates(before, after, 2.0) == NetworkRates(
        received=1000.0, sent=100.0, errors=0.5, drops=1.5
    )


def test_an_interface_that_is_new_or_was_reset_is_left_out() -> None:
    before = {"a": InterfaceCounters(100, 50, 0, 0), "b": InterfaceCounters(9, 9, 0, 0)}
    after = {
        "a": InterfaceCounters(200, 60, 0, 0),
        "b": InterfaceCounters(1, 99, 0, 0),
        "c": InterfaceCounters(10**9, 0, 0, 0),
    }
    assert network_rates(before, after, 1.0) == NetworkRates(100.0, 10.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "after", [{}, {"a": InterfaceCounters(99, 60, 0, 0)}, {"b": InterfaceCounters(200, 60, 0, 0)}]
)
def test_network_rates_are_undefined_if_no_interface_is_comparable(
    after: dict[str, InterfaceCounters],
) -> None:
    assert network_rates({"a": InterfaceCounters(100, 50, 0, 0)}, after, 2.0) is None

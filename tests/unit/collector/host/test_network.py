"""Counters of /proc/net/dev, on the text of a real machine."""

import pytest

from services.collector.host.network import (
    InterfaceCounters,
    NetworkRates,
    external_interfaces,
    network_rates,
    parse_net_dev,
)
from tests.unit.collector.proc_samples import K2_6

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


def test_loopback_bridges_and_vlans_do_not_count_twice() -> None:
    assert external_interfaces(parse_net_dev(DEV), ()) == {
        "eth0": InterfaceCounters(657177310, 1366379, 0, 0),
        "enp3s0": InterfaceCounters(1000, 2000, 0, 0),
    }


def test_only_physical_interfaces_count_where_the_kernel_names_them() -> None:
    """Tunnels, bridges and virtual machines pass their bytes on, whatever they are called."""
    names = ("enp3s0", "wg0", "br0", "tailscale0", "vnet3", "lan", "enp3s0.7")
    found = dict.fromkeys(names, InterfaceCounters(1, 2, 0, 0))
    assert list(external_interfaces(found, {"enp3s0"})) == ["enp3s0"]


def test_errors_and_drops_are_those_of_both_directions() -> None:
    # Kernels before 2.6.38 leave no space between a name and a large counter.
    assert parse_net_dev(K2_6["1/net/dev"])["eth0"] == InterfaceCounters(123456789, 987654, errors=4, drops=9)


def test_rates_are_per_second_between_two_readings_of_all_interfaces() -> None:
    before = {"a": InterfaceCounters(100, 50, 0, 0), "b": InterfaceCounters(0, 0, 0, 0)}
    after = {"a": InterfaceCounters(1100, 250, 1, 3), "b": InterfaceCounters(1000, 0, 0, 0)}
    assert network_rates(before, after, 2.0) == NetworkRates(
        received=1000.0, sent=100.0, errors=0.5, drops=1.5
    )


def test_an_interface_that_came_anew_does_not_spoil_the_others() -> None:
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
def test_rates_are_undefined_when_no_interface_can_be_compared(after: dict[str, InterfaceCounters]) -> None:
    assert network_rates({"a": InterfaceCounters(100, 50, 0, 0)}, after, 2.0) is None

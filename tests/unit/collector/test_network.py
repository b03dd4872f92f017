"""Byte counters of /proc/net/dev, on the text of a real machine."""

import pytest

from services.collector.network import Rates, Totals, parse_net_dev, rates

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
    assert parse_net_dev(DEV) == Totals(received=657178310, sent=1368379)


def test_rates_are_bytes_per_second_between_two_readings() -> None:
    assert rates(Totals(100, 50), Totals(1100, 250), 2.0) == Rates(500.0, 100.0)


@pytest.mark.parametrize(
    ("after", "seconds"), [(Totals(99, 60), 2.0), (Totals(200, 49), 2.0), (Totals(200, 60), 0.0)]
)
def test_rates_are_undefined_when_a_counter_fell_or_no_time_passed(after: Totals, seconds: float) -> None:
    assert rates(Totals(100, 50), after, seconds) is None

"""Memory as kernels of several ages tell it."""

import pytest

from services.collector.host.memory import MemoryInfo, parse_arc, parse_meminfo, parse_oom_kills
from tests.unit.collector.proc_samples import KERNELS


@pytest.mark.parametrize("kernel", KERNELS)
def test_half_of_the_memory_is_available_on_every_kernel(kernel: str) -> None:
    found = parse_meminfo(KERNELS[kernel]["meminfo"])
    assert found.total == 1020128 * 1024
    assert found.available == 510064 * 1024


def test_swap_is_what_the_kernel_has_of_it() -> None:
    found = parse_meminfo(KERNELS["2.6.32"]["meminfo"])
    assert found.swap_free * 2 == found.swap_total > 0
    assert parse_meminfo("MemTotal: 1 kB\nMemAvailable: 2 kB\n") == MemoryInfo(1024, 1024, 0, 0)


def test_kills_for_want_of_memory_are_counted_since_4_13() -> None:
    assert parse_oom_kills(KERNELS["6.18"]["vmstat"]) == 3
    assert parse_oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 7") == 7
    with pytest.raises(LookupError):
        parse_oom_kills(KERNELS["2.6.32"]["vmstat"])


ARCSTATS = """13 1 0x01 147 39984 3937204870 6310493826301
name                            type data
hits                            4    51803
c                               4    25769803776
c_min                           4    1073741824
c_max                           4    25769803776
size                            4    23622320128
"""


def test_the_cache_of_zfs_is_given_back_down_to_its_least() -> None:
    """Its 22 GiB may shrink to 1 GiB."""
    assert parse_arc(ARCSTATS) == 21 * 2**30
    assert parse_arc(ARCSTATS.replace("23622320128", "1000")) == 0

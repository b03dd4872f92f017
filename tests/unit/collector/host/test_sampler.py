"""The host as it is read: this one against psutil, and a foreign one through its /proc and root."""

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import psutil
import pytest
from structlog.testing import capture_logs

from services.collector.config import CollectorSettings, host_name
from services.collector.host.kernel_files import MIN_INTERVAL_S
from services.collector.host.sampler import HostSampler
from services.collector.host.watched_host import OWN_PROC, OWN_ROOT
from shared.runtime.config.documents import Resource
from shared.runtime.environment import load_settings
from shared.schema.faults import InvalidError
from shared.schema.records import Health
from tests.unit.collector.host.test_kernel_files import ARCSTATS
from tests.unit.collector.proc_samples import KERNELS

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALL: tuple[Resource, ...] = get_args(Resource)

LEVELS = {
    "cpu": {"cpu_cores"},
    "memory": {"memory_usage", "memory_total_bytes", "memory_available_bytes"},
    "disk": {"disk_usage", "inode_usage", "disks", "read_only_disks"},
    "network": set[str](),
    "processes": {"processes", "zombies", "open_files_usage"},
}
RATES = {
    "cpu": {"cpu_usage", "cpu_per_core", "cpu_steal", "cpu_iowait", "cpu_pressure"},
    "memory": {"memory_pressure", "oom_kills"},
    "disk": {"disk_read_bytes_per_second", "disk_written_bytes_per_second", "disk_busy", "io_pressure"},
    "network": {
        "network_received_bytes_per_second", "network_sent_bytes_per_second",
        "network_errors_per_second", "network_drops_per_second",
    },
    "processes": set[str](),
}  # fmt: skip
HEADER = "Inter-|   Receive  |  Transmit\n face |bytes  packets |bytes  packets\n"
"""psutil skips two lines, as the kernel writes them."""
ALWAYS = {"timestamp", "host", "load1", "load5", "load15", "uptime_seconds", "clock_synchronised"}
"""And the clock's offset, where somebody tells it."""


class Foreign:
    """A host whose /proc and root are folders that a test writes."""

    def __init__(self, folder: Path, kernel: dict[str, str]) -> None:
        self.proc, self.root, self.sys, self.groups = (folder / n for n in ("proc", "root", "sys", "groups"))
        for name, text in kernel.items():
            self.write(name, text)
        for process in ("1", "2", "345"):
            self.write(f"{process}/stat", f"{process} (some) S 1 1")
        (self.root / "etc").mkdir(parents=True)
        self.seconds = 0.0

    def write(self, name: str, text: str) -> None:
        """Write a file of /proc."""
        (self.proc / name).parent.mkdir(parents=True, exist_ok=True)
        (self.proc / name).write_text(text)

    def host(self) -> HostSampler:
        """Return the collector's view of it."""
        return HostSampler(
            "there", self.proc, self.root, sys=self.sys, groups=self.groups, monotonic=lambda: self.seconds
        )


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    return Foreign(tmp_path, KERNELS["6.18"])


def filled(health: Health) -> set[str]:
    empty = Health(host="")
    return {name for name in Health.__struct_fields__ if getattr(health, name) != getattr(empty, name)}


def test_a_sample_of_this_machine_agrees_with_psutil() -> None:
    host = HostSampler("here", OWN_PROC, OWN_ROOT)
    psutil.cpu_percent()
    host.sample(NOW, ALL)
    threading.Event().wait(MIN_INTERVAL_S + 0.1)  # there is no rate without time
    health = host.sample(NOW, ALL)
    memory = psutil.virtual_memory()
    assert health.cpu_usage == pytest.approx(psutil.cpu_percent(), abs=25)
    assert health.cpu_cores == psutil.cpu_count() == len(health.cpu_per_core)
    assert health.memory_total_bytes is not None
    assert health.memory_total_bytes <= memory.total
    if health.memory_total_bytes == memory.total:
        assert health.memory_usage == pytest.approx(memory.percent, abs=3)
    assert (health.load1, health.load5, health.load15) == pytest.approx(psutil.getloadavg(), abs=0.3)
    assert health.processes == pytest.approx(len(psutil.pids()), abs=20)
    root = next(disk for disk in health.disks if disk.mount == "/")
    assert root.usage == pytest.approx(psutil.disk_usage("/").percent, abs=0.5)
    assert health.disk_usage == max(disk.usage for disk in health.disks)
    assert health.uptime_seconds is not None
    assert health.uptime_seconds > 0
    assert health.network_received_bytes_per_second is not None
    assert health.open_files_usage is not None
    assert health.oom_kills is not None


def test_a_foreign_host_is_read_through_its_first_process_and_its_root(foreign: Foreign) -> None:
    host = foreign.host()
    host.sample(NOW, ALL)
    foreign.seconds = 2.0
    foreign.write("stat", "cpu  1160 10 520 8200 420 5 20 65 0 0\ncpu0 580 5 260 4100 210 2 10 33 0 0\n"
                  "cpu1 580 5 260 4100 210 3 10 32 0 0\n")  # fmt: skip
    foreign.write("1/net/dev", HEADER + "eth0:123460789 1000 3 9 0 0 0 0 987854 900 1 2 0 0 0 0\n")
    foreign.write("vmstat", "pswpin 0\npswpout 0\noom_kill 5\n")
    foreign.write("pressure/memory", "some avg10=0 total=2500000\nfull avg10=0 total=900000\n")
    foreign.write("diskstats", " 254 0 vda 1 0 107181902 1 1 0 122759408 1 0 368600 1\n")
    health = host.sample(NOW, ALL)
    assert health.cpu_usage == pytest.approx(100 * 180 / 400)
    assert health.cpu_iowait == 5.0
    assert (health.cpu_steal, health.cpu_cores, len(health.cpu_per_core)) == (0.0, 2, 2)
    assert health.memory_usage == pytest.approx(50, abs=0.01)
    assert health.memory_total_bytes == 1020128 * 1024
    assert health.memory_pressure == 25.0
    assert health.swap_usage is None
    assert health.oom_kills == 2
    assert (health.load1, health.load5, health.load15) == (0.08, 0.03, 0.01)
    assert health.uptime_seconds == 350735.47
    assert (health.processes, health.zombies) == (3, 0)
    assert health.network_received_bytes_per_second == 2000
    assert health.network_sent_bytes_per_second == 100
    assert (health.network_errors_per_second, health.network_drops_per_second) == (0.0, 1.0)
    assert (health.disk_read_bytes_per_second, health.disk_busy) == (1024.0, 50.0)
    assert [disk.mount for disk in health.disks] == ["/"]


def test_the_cache_of_zfs_is_no_used_memory(foreign: Foreign) -> None:
    """32 GiB with 3 available and 22 in ZFS's cache, which keeps 1 at least, are a quarter full."""
    meminfo = {"MemTotal": 32, "MemAvailable": 3, "MemFree": 1, "Buffers": 0, "Cached": 2, "Active": 1,
               "Inactive": 1, "Shmem": 0, "SwapTotal": 0, "SwapFree": 0}  # fmt: skip
    foreign.write("meminfo", "".join(f"{name}: {gib * 2**20} kB\n" for name, gib in meminfo.items()))
    foreign.write("spl/kstat/zfs/arcstats", ARCSTATS)
    health = foreign.host().sample(NOW, ["memory"])
    assert health.memory_usage == 25.0
    assert health.memory_available_bytes == 24 * 2**30


def test_traffic_over_tunnels_and_bridges_counts_once(foreign: Foreign) -> None:
    """The interfaces of the host, not of this container, are those that its /sys calls devices."""
    counters = "{name}:{bytes} 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
    names = ("enp3s0", "wg0", "br0", "tailscale0", "vnet3")
    for name in names:
        (foreign.root / "sys/class/net" / name).mkdir(parents=True)
    (foreign.root / "sys/class/net/enp3s0/device").mkdir()
    host = foreign.host()
    foreign.write("1/net/dev", HEADER + "".join(counters.format(name=name, bytes=0) for name in names))
    host.sample(NOW, ["network"])
    foreign.seconds = 2.0
    foreign.write("1/net/dev", HEADER + "".join(counters.format(name=name, bytes=2000) for name in names))
    assert host.sample(NOW, ["network"]).network_received_bytes_per_second == 1000.0


@pytest.mark.parametrize("check", ALL)
def test_only_what_is_enabled_is_looked_at(foreign: Foreign, check: Resource) -> None:
    host = foreign.host()
    foreign.write("stat", foreign.proc.joinpath("stat").read_text())
    first = host.sample(NOW, [check])
    foreign.seconds = 2.0
    foreign.write("stat", "cpu  1160 10 520 8200 420 5 20 65 0 0\ncpu0 580 5 260 4100 210 2 10 33 0 0\n"
                  "cpu1 580 5 260 4100 210 3 10 32 0 0\n")  # fmt: skip
    second = host.sample(NOW, [check])
    assert filled(first) - ALWAYS - {"clock_offset_ms"} == LEVELS[check]
    assert filled(second) - ALWAYS - {"clock_offset_ms"} == LEVELS[check] | RATES[check]


@pytest.mark.parametrize(
    ("kernel", "lacking"),
    [
        ("3.10", {"cpu_pressure", "memory_pressure", "io_pressure", "oom_kills"}),
        ("4.18", {"cpu_pressure", "memory_pressure", "io_pressure"}),
        ("5.10", set[str]()),
        ("6.18", set[str]()),
    ],
)
def test_what_an_older_kernel_does_not_tell_is_undefined_and_told_once(
    tmp_path: Path, kernel: str, lacking: set[str]
) -> None:
    foreign = Foreign(tmp_path, KERNELS[kernel])
    with capture_logs() as lines:
        host = foreign.host()
        for foreign.seconds in (0.0, 2.0, 4.0, 6.0):
            health = host.sample(NOW, ALL)
    # These texts stand still: no time passes on their processors.
    rates = set[str]().union(*RATES.values()) - {"cpu_usage", "cpu_per_core", "cpu_steal", "cpu_iowait"}
    assert rates - filled(health) == lacking
    assert len(lines) == len(lacking)
    assert (health.swap_usage == 50.0) == (kernel == "3.10")


def test_a_host_that_tells_next_to_nothing_still_gives_samples(foreign: Foreign) -> None:
    for name in ("loadavg", "uptime", "meminfo", "vmstat", "diskstats", "sys/fs/file-nr", "1/mountinfo"):
        foreign.write(name, "\N{WHITE SMILING FACE}")
    with capture_logs() as lines:
        host = foreign.host()
        for foreign.seconds in (0.0, 2.0, 4.0):
            health = host.sample(NOW, ALL)
    assert (health.load1, health.uptime_seconds, health.memory_usage, health.disk_usage) == (None,) * 4
    assert health.network_received_bytes_per_second == 0.0
    assert len({line["what"] for line in lines}) == len(lines) >= 5


def test_a_wrong_path_of_the_hosts_proc_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="HOST_PROC"):
        HostSampler("there", tmp_path, tmp_path)


def test_limits_of_our_container_do_not_apply_to_the_host(
    foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign.groups.mkdir()
    for name, text in {
        "memory.max": str(2**29), "memory.current": str(2**28), "memory.stat": "inactive_file 0",
        "memory.events": "oom_kill 1", "cpu.stat": "nr_periods 10\nnr_throttled 1",
    }.items():  # fmt: skip
        (foreign.groups / name).write_text(text)

    def second(host: HostSampler) -> Health:
        foreign.seconds = 0.0
        (foreign.groups / "memory.events").write_text("oom_kill 1")
        (foreign.groups / "cpu.stat").write_text("nr_periods 10\nnr_throttled 1")
        host.sample(NOW, ALL)
        foreign.seconds = 2.0
        (foreign.groups / "memory.events").write_text("oom_kill 2")
        (foreign.groups / "cpu.stat").write_text("nr_periods 20\nnr_throttled 6")
        return host.sample(NOW, ALL)

    around = second(foreign.host())
    assert around.memory_total_bytes == 1020128 * 1024
    assert (around.oom_kills, around.cgroup_throttled) == (0, None)
    monkeypatch.setattr("services.collector.host.sampler.OWN_PROC", foreign.proc)
    (foreign.proc / "self").symlink_to("1")
    own = second(foreign.host())
    assert (own.memory_total_bytes, own.memory_usage) == (2**29, 50.0)
    assert (own.oom_kills, own.cgroup_throttled) == (1, 50.0)


def test_a_hosts_name_is_the_one_set_else_its_own_and_not_its_containers(
    foreign: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "3f2a9c")
    root = foreign.root
    (root / "etc" / "hostname").write_text("trading-1\n")
    assert host_name(CollectorSettings(host_name="named", host_root=root)) == "named"
    assert host_name(CollectorSettings(host_root=root)) == "trading-1"
    assert host_name(CollectorSettings()) == "3f2a9c"
    (root / "etc" / "hostname").unlink()
    assert host_name(CollectorSettings(host_root=root)) == "3f2a9c"


def test_an_unusable_host_name_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hostname").write_text("\n")
    assert host_name(CollectorSettings(host_root=tmp_path)) == socket.gethostname()
    with pytest.raises(InvalidError, match="HOST_NAME"):
        load_settings(CollectorSettings, {"HOST_NAME": "x" * 129})

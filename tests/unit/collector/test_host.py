"""The host as it is read: this one against psutil, and a foreign one through its /proc and root."""

import socket
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import psutil
import pytest

from services.collector.config import OWN_PROC, OWN_ROOT, CollectorSettings, host_name
from services.collector.host import SHORTEST_SPAN_S, CpuTimes, Host, cpu_usage
from shared.runtime.documents import Resource
from shared.runtime.settings import load_settings
from shared.schema.faults import InvalidError
from shared.schema.records import Health

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ALL: tuple[Resource, ...] = get_args(Resource)

FOREIGN = {
    "stat": "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\nbtime 1700000000\n",
    "meminfo": "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 250 kB\nBuffers: 0 kB\nCached: 0 kB\n"
    "Shmem: 0 kB\nActive: 0 kB\nInactive: 0 kB\n"
    "SwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "vmstat": "pswpin 0\npswpout 0\n",
    "loadavg": "0.50 0.25 0.10 2/345 6789\n",
    "uptime": "86400.12 170000.00\n",
    "1/mounts": "/dev/sda1 / ext4 rw 0 0\n/dev/sdb1 /data xfs rw 0 0\n/dev/sdc1 /gone xfs rw 0 0\n",
    "1/net/dev": "eth0: 1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n",
}


@pytest.fixture(autouse=True)
def restored_procfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Host` points psutil at its /proc; after a test it looks at this machine again."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    proc = tmp_path / "proc"
    for name, text in FOREIGN.items():
        file = proc / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for process in ("2", "345"):
        (proc / process).mkdir()
    (tmp_path / "root" / "data").mkdir(parents=True)
    (tmp_path / "root" / "etc").mkdir()
    (tmp_path / "root" / "etc" / "hostname").write_text("trading-1\n")
    return tmp_path


def own_host() -> Host:
    return Host("here", OWN_PROC, OWN_ROOT)


def test_a_sample_of_this_machine_agrees_with_psutil() -> None:
    host = own_host()
    psutil.cpu_percent()
    threading.Event().wait(SHORTEST_SPAN_S + 0.1)
    health = host.sample(NOW, ALL)
    memory = psutil.virtual_memory()
    assert health.cpu_usage == pytest.approx(psutil.cpu_percent(), abs=15)
    assert health.cpu_cores == psutil.cpu_count()
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


def test_a_foreign_host_is_read_through_its_first_process_and_its_root(foreign: Path) -> None:
    seconds = iter((0.0, 2.0))
    host = Host("there", foreign / "proc", foreign / "root", monotonic=lambda: next(seconds))
    (foreign / "proc" / "stat").write_text("cpu  160 0 120 1000 20 0 0 0 0 0\n")
    (foreign / "proc" / "1" / "net" / "dev").write_text("eth0: 5000 1 0 0 0 0 0 0 700 1 0 0 0 0 0 0\n")
    health = host.sample(NOW, ALL)
    assert health.cpu_usage == pytest.approx(100 * 80 / 300, abs=0.01)
    assert health.memory_usage == 75.0
    assert health.memory_total_bytes == 1000 * 1024
    assert health.swap_usage is None
    assert (health.load1, health.load5, health.load15) == (0.5, 0.25, 0.1)
    assert health.uptime_seconds == 86400.12
    assert health.processes == 3
    assert health.network_received_bytes_per_second == 2000
    assert health.network_sent_bytes_per_second == 100


def test_a_mount_that_did_not_reach_the_container_is_not_mistaken_for_the_root(foreign: Path) -> None:
    host = Host("there", foreign / "proc", foreign / "root")
    mounts = [disk.mount for disk in host.sample(NOW, ["disk"]).disks]
    # /data is only a folder of the same file system here, /gone is not there at all.
    assert mounts == ["/"]


@pytest.mark.parametrize(
    ("check", "fields"),
    [
        ("cpu", {"cpu_usage", "cpu_cores"}),
        ("memory", {"memory_usage", "memory_total_bytes", "memory_available_bytes"}),
        ("disk", {"disk_usage", "disks"}),
        ("network", {"network_received_bytes_per_second", "network_sent_bytes_per_second"}),
        ("processes", {"processes"}),
    ],
)
def test_only_what_is_enabled_is_looked_at(foreign: Path, check: Resource, fields: set[str]) -> None:
    seconds = iter((0.0, 2.0))
    host = Host("there", foreign / "proc", foreign / "root", monotonic=lambda: next(seconds))
    (foreign / "proc" / "stat").write_text("cpu  160 0 120 1000 0 0 0 0 0 0\n")
    always = {"timestamp", "host", "load1", "load5", "load15", "uptime_seconds"}
    empty = Health(host="there")
    health = host.sample(NOW, [check])
    filled = {name for name in Health.__struct_fields__ if getattr(health, name) != getattr(empty, name)}
    assert filled - always - {"host"} == fields


def test_the_first_sample_has_no_rates_because_there_is_no_time_yet_to_average_over(foreign: Path) -> None:
    health = Host("there", foreign / "proc", foreign / "root").sample(NOW, ALL)
    assert health.cpu_usage is None
    assert health.network_received_bytes_per_second is None
    assert health.memory_usage is not None


def test_cpu_usage_is_undefined_while_the_clock_of_the_processors_stands() -> None:
    assert cpu_usage(CpuTimes(1, 2), CpuTimes(1, 2)) is None
    assert cpu_usage(CpuTimes(1, 2), CpuTimes(2, 4)) == 50.0


def test_a_hosts_name_is_the_one_set_else_its_own_and_not_its_containers(
    foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "3f2a9c")
    root = foreign / "root"
    assert host_name(CollectorSettings(host_name="named", host_root=root)) == "named"
    assert host_name(CollectorSettings(host_root=root)) == "trading-1"
    assert host_name(CollectorSettings()) == "3f2a9c"
    (root / "etc" / "hostname").unlink()
    assert host_name(CollectorSettings(host_root=root)) == "3f2a9c"


def test_a_host_without_a_usable_name_is_not_reported_under_one_that_no_reader_takes(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "hostname").write_text("\n")
    assert host_name(CollectorSettings(host_root=tmp_path)) == socket.gethostname()
    with pytest.raises(InvalidError, match="HOST_NAME"):
        load_settings(CollectorSettings, {"HOST_NAME": "x" * 129})

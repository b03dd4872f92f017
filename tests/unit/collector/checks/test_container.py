"""The collector in containers, made of the namespaces, mounts and control groups that Docker makes them of.

Once as compose runs it, with the host's /proc and / mounted read-only and without any capability; once
watching only itself, behind limits of memory and processor time that it runs into.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from services.collector.host.disks import DiskSampler
from services.collector.host.kernel_files import KernelFiles
from services.collector.host.status import evaluate_host
from shared.runtime.settings import REPOSITORY
from shared.schema.records import Health
from shared.schema.thresholds import Thresholds
from tests.support import require_program

pytestmark = pytest.mark.slow  # starts processes

LOOK = """
import subprocess, sys, time
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from services.collector.host.sampler import HostSampler
from shared.runtime.config.documents import Resource
from shared.schema.records import encode_record

proc, root, trouble = sys.argv[1:]
host = HostSampler("box", Path(proc), Path(root))
host.sample(datetime.now(UTC), get_args(Resource))
if trouble:
    ended = subprocess.run([sys.executable, "-c", trouble], check=False)
    if ended.returncode not in (0, -9):
        sys.exit(f"it ended with {ended.returncode}")
time.sleep(1)
print(encode_record(host.sample(datetime.now(UTC), get_args(Resource))).decode())
"""
AS_COMPOSE = """
mkdir "$1" "$2"
mount --rbind / "$2"; mount -o remount,bind,ro "$2"
mount --bind /proc "$1"; mount -o remount,bind,ro "$1"
mount -t proc proc /proc
"""
BY_ITSELF = "mount -t proc proc /proc\n"
ENTER = 'shift 2; exec setpriv --inh-caps=-all --bounding-set=-all --no-new-privs "$@"\n'
WITH_RIGHTS = 'shift 2; exec "$@"\n'
LINE = "ip link add wan0 type veth peer name far0; ip link set wan0 up; ip link set far0 up\n"
STRANGE_FRAMES = """
import socket
far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
far.bind(("far0", 0))
for _ in range(500):
    far.send(b"\\xff" * 12 + b"\\x88\\xb5" + bytes(50))
"""
"""Of a protocol that nobody speaks: the kernel drops them as they arrive."""
LIMIT = 256 * 2**20
GREEDY = f"x = b'x' * {2 * LIMIT}"
BUSY = "import time\nwhile time.process_time() < 0.3: pass"


def contained(
    script: str, proc: Path, root: Path, trouble: str = "", setup: str = "", enter: str = ENTER
) -> Health:
    """Return the second sample of a collector in a container that `script` prepares."""
    shell = ["sh", "-euc", setup + script + enter, "sh", str(proc), str(root)]
    within = [sys.executable, "-c", LOOK]
    paths = (proc, root) if script == AS_COMPOSE else ("/proc", "/")
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", *shell, *within, *map(str, paths), trouble],
        capture_output=True, text=True, timeout=60, check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Health)


@pytest.fixture(autouse=True)
def _namespaces() -> None:
    for tool in ("unshare", "setpriv", "mount"):
        require_program(tool)
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "mount", "-t", "proc", "proc", "/proc"],
        capture_output=True, text=True, timeout=10, check=False,
    )  # fmt: skip
    if tried.returncode:
        pytest.skip(f"containers cannot be made here: {tried.stderr.strip()}")


def test_a_container_with_the_mounts_of_compose_sees_the_host(tmp_path: Path) -> None:
    disks = DiskSampler(Path("/proc/1/mountinfo"), Path("/"), KernelFiles())
    before = {disk.mount for disk in disks.measure(0.0)}
    health = contained(AS_COMPOSE, tmp_path / "proc", tmp_path / "root")
    steady = before & {disk.mount for disk in disks.measure(0.0)}
    assert health.processes is not None
    assert health.processes > max(5, len(psutil.pids()) - 25)
    assert health.memory_total_bytes == psutil.virtual_memory().total
    assert health.cpu_usage is not None
    # Its own network has no interface but loopback, and so no rates at all.
    assert (health.network_received_bytes_per_second is None) == (set(psutil.net_if_addrs()) <= {"lo"})
    assert "/" in steady <= {disk.mount for disk in health.disks}
    assert [disk.read_only for disk in health.disks if disk.mount == "/"] == [False]
    assert health.cgroup_throttled is None


def test_a_container_without_mounts_sees_only_itself(tmp_path: Path) -> None:
    health = contained(BY_ITSELF, tmp_path / "proc", tmp_path / "root")
    assert health.processes == 1
    assert health.network_received_bytes_per_second is None
    assert health.cpu_usage is not None
    assert health.disk_usage is not None


@pytest.fixture
def limits() -> Iterator[str]:
    """Make a control group with limits; yield the shell lines that enter it and make it all that is seen."""
    top = Path("/sys/fs/cgroup")
    name = f"botwatch-test-{os.getpid()}"
    version_2 = (top / "cgroup.controllers").is_file()
    folders = [top / name] if version_2 else [top / "memory" / name, top / "cpu" / name]
    files = (
        {"memory.max": f"{LIMIT}", "memory.swap.max": "0", "cpu.max": "10000 100000"}
        if version_2
        else {"memory.limit_in_bytes": f"{LIMIT}", "cpu.cfs_quota_us": "10000"}
    )
    try:
        for folder in folders:
            folder.mkdir()
        for file, text in files.items():
            next(path for folder in folders if (path := folder / file).is_file()).write_text(text)
    except (OSError, StopIteration) as error:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"no control group can be made here: {error!r}")
    enter = "".join(f"echo $$ > {folder}/cgroup.procs\n" for folder in folders)
    yield enter + "".join(f"mount --bind {folder} {folder.parent}\n" for folder in folders)
    for folder in folders:
        folder.rmdir()


def test_a_container_that_runs_into_its_memory_limit_tells_of_the_kill(tmp_path: Path, limits: str) -> None:
    health = contained(BY_ITSELF, tmp_path / "proc", tmp_path / "root", GREEDY, limits)
    assert health.memory_total_bytes == LIMIT
    assert health.memory_usage is not None
    assert 0 < health.memory_usage < 90
    assert health.oom_kills == 1
    assert "OOM kill: the kernel killed a process" in evaluate_host(health, Thresholds()).reasons


def test_a_container_that_uses_up_its_processor_time_is_throttled(tmp_path: Path, limits: str) -> None:
    health = contained(BY_ITSELF, tmp_path / "proc", tmp_path / "root", BUSY, limits)
    assert health.oom_kills == 0
    assert health.cgroup_throttled is not None
    assert health.cgroup_throttled > 20


def test_packets_that_are_dropped_on_a_line_of_its_own_are_counted(tmp_path: Path) -> None:
    require_program("ip")
    health = contained(
        BY_ITSELF, tmp_path / "proc", tmp_path / "root", STRANGE_FRAMES, LINE, enter=WITH_RIGHTS
    )
    assert health.network_drops_per_second is not None
    assert health.network_drops_per_second > 50
    assert health.network_errors_per_second == 0.0

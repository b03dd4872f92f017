"""Cost of a sample of the host: ours beside node_exporter's, of the same scope, in turn at the same rate."""

import http.client
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import psutil

from services.collector.host.sampler import HostSampler
from services.collector.host.status import evaluate_host
from services.collector.host.watched_host import OWN_PROC, OWN_ROOT
from shared.runtime.config.documents import Resource
from shared.schema.records import encode_record
from shared.schema.thresholds import Threshold, Thresholds
from tests.support import free_port, wait_until

EVERYTHING: tuple[Resource, ...] = get_args(Resource)
COLLECTORS: dict[Resource, tuple[str, ...]] = {
    "cpu": ("cpu", "loadavg", "pressure", "stat", "time", "timex", "hwmon", "thermal_zone"),
    "memory": ("meminfo", "vmstat"),
    "disk": ("filesystem", "diskstats"),
    "network": ("netdev",),
    "processes": ("processes", "filefd"),
}
"""Those of node_exporter that look at what ours looks at."""
SCOPES: dict[str, tuple[Resource, ...]] = {
    "processor, memory, disks, network": tuple(one for one in EVERYTHING if one != "processes"),
    "the same and processes": EVERYTHING,
}
PERIOD_S = 0.1
WARM_UP = 5
APART_S = 5.0
"""So far apart our samples believe to be, as with the config that is shipped: all rates are computed."""
STOP_S = 10.0


@dataclass(frozen=True)
class Sampling:
    """What a sample costs in processor time, ms, user and system."""

    scope: str
    ours_ms: float
    peer_ms: float


def find() -> str | None:
    """Return node_exporter, None where it is not installed; Debian names it differently."""
    return shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")


def measure(exporter: str, samples: int, folder: Path) -> list[Sampling]:
    """Take so many samples of each scope, of both in turn, and return what they cost."""
    return [_measure(scope, checks, exporter, samples, folder) for scope, checks in SCOPES.items()]


def table(found: list[Sampling]) -> list[str]:
    """Show the costs, a line each."""
    lines = [f"{'a sample of the host, CPU ms':<50}{'Botwatch':>10}{'node_exp.':>10}{'ratio':>8}"]
    for one in found:
        ratio = one.peer_ms / one.ours_ms
        lines.append(f"{one.scope:<50}{one.ours_ms:>10.2f}{one.peer_ms:>10.2f}{ratio:>8.1f}")
    return [
        *lines,
        "sampled, judged and encoded; node_exporter: scraped, with the collectors of that scope alone",
    ]


def _measure(scope: str, checks: tuple[Resource, ...], exporter: str, samples: int, folder: Path) -> Sampling:
    host = HostSampler("bench", OWN_PROC, OWN_ROOT, monotonic=lambda: time.monotonic() * APART_S / PERIOD_S)
    pause = threading.Event()
    ours_s = 0.0
    with _running(exporter, checks, folder) as peer:
        for number in range(-WARM_UP, samples):
            if number == 0:
                ours_s, before_s = 0.0, peer.spent_s()
            ours_s += _sample(host, checks)
            peer.scrape()
            pause.wait(PERIOD_S)
        peer_s = peer.spent_s() - before_s
    return Sampling(scope, ours_s / samples * 1e3, peer_s / samples * 1e3)


def _sample(host: HostSampler, checks: tuple[Resource, ...]) -> float:
    """Take a sample as the collector does, and return the processor time that it took, s."""
    begun = time.process_time()
    health = host.sample(datetime.now(UTC), checks)
    limits = Threshold(warning=80, critical=95)
    health.system_health, health.reasons = evaluate_host(
        health, Thresholds(cpu=limits, memory=limits, disk=limits)
    )
    encode_record(health)
    return time.process_time() - begun


class NodeExporterRun:
    """node_exporter while it runs."""

    def __init__(self, port: int, process: int) -> None:
        self._port = port
        self._process = psutil.Process(process)

    def spent_s(self) -> float:
        """Return the processor time that it took so far."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def scrape(self) -> None:
        """Ask for its page, as Prometheus does."""
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)) as connection:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            page = answer.read()
        if answer.status != http.client.OK or b"node_load1" not in page:
            raise RuntimeError(f"node_exporter answered {answer.status}: {page[:200]!r}")

    def answers(self) -> bool:
        """Whether it is up."""
        try:
            self.scrape()
        except ConnectionError:
            return False
        return True


@contextmanager
def _running(exporter: str, checks: tuple[Resource, ...], folder: Path) -> Iterator[NodeExporterRun]:
    port = free_port()
    names = [name for check in checks for name in COLLECTORS[check]]
    command = [
        exporter,
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.disable-exporter-metrics",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in names),
    ]
    with (folder / "node_exporter.log").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        running = NodeExporterRun(port, process.pid)
        wait_until(running.answers, "node_exporter answers")
        yield running
    finally:
        process.terminate()
        process.wait(STOP_S)

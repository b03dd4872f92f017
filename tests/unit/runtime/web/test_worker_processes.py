"""The process metrics of a web part: of all its processes, and of those that were."""

import os
import subprocess
import sys

from shared.runtime.web.worker_processes import WorkerProcesses

BURNT_S = 0.5
BURN = f"import time\nwhile time.process_time() < {BURNT_S}: pass\nprint(flush=True); input()"


def values(processes: WorkerProcesses) -> dict[str, float]:
    return {metric.name: metric.samples[0].value for metric in processes.collect()}


def test_the_cpu_time_of_a_child_counts_while_it_runs_and_after_it_ended() -> None:
    """A counter that fell when a worker ends would look like a restart to Prometheus."""
    processes = WorkerProcesses()
    before = values(processes)
    command = [sys.executable, "-c", BURN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        assert child.stdin
        child.stdout.readline()
        running = values(processes)
        child.stdin.write(b"\n")
    ended = values(processes)
    spent = running["process_cpu_seconds"] - before["process_cpu_seconds"]
    assert spent >= BURNT_S - 0.1
    assert ended["process_cpu_seconds"] >= running["process_cpu_seconds"]
    assert running["process_resident_memory_bytes"] > before["process_resident_memory_bytes"]
    assert running["process_start_time_seconds"] == before["process_start_time_seconds"]
    assert running["process_max_fds"] == before["process_max_fds"] <= os.sysconf("SC_OPEN_MAX")

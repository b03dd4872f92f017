"""HTTP requests a second, beside InfluxDB and VictoriaMetrics: `wrk` posts records of 20 figures.

Botwatch answers when the records are in its log, and is followed until they are in SQLite and judged; the
peers answer when they have the lines.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from tests.integration.stack import BotwatchProcess
from tests.support import free_port, wait_until

CONNECTIONS = 8
BOTS = 10
BATCH = 50
"""Records in a request, beside one."""
START_S = 30.0
DRAIN_S = 120.0
"""How long what was accepted may take to SQLite."""
STOP_S = 10.0
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_DONE = re.compile(r"(\d+) requests in")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_FAILED = re.compile(r"Non-2xx or 3xx responses: (\d+)")
_FACTOR = {"us": 1e-3, "ms": 1.0, "s": 1e3}
FIGURES = {
    "portfolioValue": 10_000.5, "totalPnL": 120.5, "realizedPnL": 100.5, "unrealizedPnL": 20.0,
    "sharpeRatio": 1.8, "sortinoRatio": 2.1, "calmarRatio": 1.2, "maxDrawdown": 3.5,
    "currentDrawdown": 0.5, "volatility": 12.5, "var95": 0.9, "winRate": 61.5, "profitFactor": 1.6,
    "totalTrades": 140, "averageTradeDuration": 3600.0, "fillRate": 99.5, "slippageBps": 0.5,
    "orderLatencyMs": 20.5, "exposure": 50.0, "leverage": 0.5,
}  # fmt: skip
"""None of them is past a limit of the shipped rules."""
_SCRIPT = """
local bodies = {%s}
local turn = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "%s"
request = function()
  turn = turn %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[turn])
end
"""


@dataclass(frozen=True)
class Load:
    """What `wrk` saw: requests a second, the 99th percentile in ms, and how many were refused."""

    requests: int
    per_s: float
    p99_ms: float
    refused: int


@dataclass(frozen=True)
class Requests:
    """One server under one load, the rounds in order."""

    name: str
    batch: int
    rounds: Sequence[Load]
    stored_per_s: Sequence[float] = ()
    """Records a second until all were in SQLite and judged."""
    cpu_us: Mapping[str, float] | None = None
    """CPU time by part, µs a record."""


def find() -> dict[str, str]:
    """Return the programs that are installed: the load, and the peers."""
    names = ("wrk", "influxd", "victoria-metrics")
    return {name: path for name in names if (path := shutil.which(name))}


def record(bot: str) -> str:
    """Return a record of 20 figures in JSON."""
    return json.dumps({"kind": "performance", "bot": bot, **FIGURES})


def line(bot: str) -> str:
    """Return the same in InfluxDB's line protocol."""
    return f"performance,bot={bot} " + ",".join(f"{name}={value}" for name, value in FIGURES.items())


def wrk(
    program: str, url: str, bodies: Sequence[str], content_type: str, seconds: int, folder: Path,
    connections: int = CONNECTIONS,
) -> Load:  # fmt: skip
    """Post the bodies in turn over so many connections."""
    texts = ",".join(f"[==[{body}]==]" for body in bodies)
    script = folder / "post.lua"
    script.write_text(_SCRIPT % (texts, content_type), encoding="utf-8")
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    rate, done, p99 = _RATE.search(printed), _DONE.search(printed), _P99.search(printed)
    if not (rate and done and p99):
        raise RuntimeError(f"wrk printed no rate: {printed}")
    refused = _FAILED.search(printed)
    latency_ms = float(p99[1]) * _FACTOR[p99[2]]
    return Load(int(done[1]), float(rate[1]), latency_ms, int(refused[1]) if refused else 0)


def botwatch(
    running: BotwatchProcess, program: str, folder: Path, batch: int, *, seconds: int, rounds: int
) -> Requests:
    """Post to a running Botwatch, and wait after each round until all is in SQLite and judged."""
    url = f"http://127.0.0.1:{running.ports['INGESTION_PORT']}/api/v1/records"
    bodies = [_together([record(f"bench-{batch}-{bot}")] * batch) for bot in range(BOTS)]
    parts = processes(running)
    loads, stored = [], []
    before_cpu = cpu_seconds(parts)
    records = 0
    for _ in range(rounds):
        before = _rows(running)
        begun = time.perf_counter()
        load = wrk(program, url, bodies, "application/json", seconds, folder)
        taken = (load.requests - load.refused) * batch
        wait_until(
            lambda: _rows(running) - before >= taken and _is_judged(running),  # noqa: B023 - called in this round
            f"{taken:,} records are stored and judged", timeout_s=DRAIN_S, every_s=0.05,
        )  # fmt: skip
        stored.append(taken / (time.perf_counter() - begun))
        loads.append(load)
        records += taken
    after_cpu = cpu_seconds(parts)
    cpu = {name: (after_cpu[name] - before_cpu[name]) / records * 1e6 for name in before_cpu}
    return Requests("Botwatch", batch, loads, stored, cpu)


def _together(records: Sequence[str]) -> str:
    return records[0] if len(records) == 1 else f"[{','.join(records)}]"


def _rows(running: BotwatchProcess) -> int:
    [(count,)] = running.rows(
        "performance_metrics.db", "SELECT count(*) FROM performance_metrics WHERE bot LIKE 'bench-%'"
    )
    return int(count)


def _is_judged(running: BotwatchProcess) -> bool:
    """Return whether the evaluator has read the whole log."""
    text: str = running.ingestion("/metrics")
    lag = re.search(r'botwatch_log_group_lag\{group="evaluator"\} ([\d.]+)', text)
    return lag is not None and float(lag[1]) == 0


def processes(running: BotwatchProcess) -> dict[str, list[psutil.Process]]:
    """Return the processes of a stack by part, from what each shows as its command."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.Process(running.process.pid).children(recursive=True):
        words = " ".join(process.cmdline())
        if name := re.search(r"services\.(\w+(?: http| redis| watchdog)?)|(valkey-server)", words):
            found.setdefault(name[1] or name[2], []).append(process)
    return found


def cpu_seconds(parts: Mapping[str, Sequence[psutil.Process]]) -> dict[str, float]:
    """Return the CPU time of each part so far."""
    return {name: sum(map(_seconds, processes)) for name, processes in parts.items()}


def _seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process; none once it has ended."""
    try:
        return float(sum(process.cpu_times()[:2]))
    except psutil.NoSuchProcess:
        return 0.0


def influxdb(found: Mapping[str, str], folder: Path, batch: int, *, seconds: int, rounds: int) -> Requests:
    """Post the same figures as lines to InfluxDB 1."""
    with _influxd(found["influxd"], folder / "influxdb") as address:
        urllib.request.urlopen(f"{address}/query", b"q=CREATE DATABASE bench", timeout=10).close()
        loads = _lines(found["wrk"], f"{address}/write?db=bench", folder, batch, seconds, rounds)
    return Requests("InfluxDB 1", batch, loads)


def victoria_metrics(
    found: Mapping[str, str], folder: Path, batch: int, *, seconds: int, rounds: int
) -> Requests:
    """Post the same figures as lines to VictoriaMetrics."""
    port = free_port()
    data = folder / "victoria-metrics"
    command = [found["victoria-metrics"], f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}"]
    with _serving(command, port):
        address = f"http://127.0.0.1:{port}"
        loads = _lines(found["wrk"], f"{address}/write", folder, batch, seconds, rounds)
    return Requests("VictoriaMetrics", batch, loads)


def _lines(program: str, url: str, folder: Path, batch: int, seconds: int, rounds: int) -> list[Load]:
    bodies = ["\n".join(line(f"bench-{bot}-{n}") for n in range(batch)) for bot in range(BOTS)]
    return [wrk(program, url, bodies, "text/plain", seconds, folder) for _ in range(rounds)]


@contextmanager
def _influxd(program: str, folder: Path) -> Iterator[str]:
    folder.mkdir(exist_ok=True)
    port, rpc = free_port(), free_port()
    config = folder / "influxdb.conf"
    config.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc}"\n'
        f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n'
        "[monitor]\nstore-enabled = false\n",
        encoding="utf-8",
    )
    with _serving([program, "-config", str(config)], port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[None]:
    """Run a peer until the block ends."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": os.environ["PATH"]}
    ) as process:
        try:
            wait_until(lambda: _listens(port), f"{command[0]} listens", timeout_s=START_S)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def table(found: Sequence[Requests]) -> list[str]:
    """Show each server's rounds by their median, and how Botwatch compares to each peer."""
    title = f"HTTP, records of {len(FIGURES)} figures"
    columns = ("requests/s", "lowest", "highest", "p99 ms", "refused", "stored/s")
    lines = [f"{title:<34}" + "".join(f"{name:>11}" for name in columns)]
    lines += map(_row, found)
    for own in found:
        lines += _comparison(own, [one for one in found if one.batch == own.batch and one is not own])
    lines.append("stored/s: records a second until all were in SQLite and judged")
    return lines


def _row(one: Requests) -> str:
    rates = [load.per_s for load in one.rounds]
    p99 = median(load.p99_ms for load in one.rounds)
    refused = sum(load.refused for load in one.rounds)
    stored = f"{median(one.stored_per_s):>11,.0f}" if one.stored_per_s else ""
    name = f"{one.name}, {one.batch} a request"
    speeds = "".join(f"{rate:>11,.0f}" for rate in (median(rates), min(rates), max(rates)))
    return f"{name:<34}{speeds}{p99:>11.1f}{refused:>11,}{stored}"


def _comparison(own: Requests, peers: Sequence[Requests]) -> Iterator[str]:
    """Yield the ratio to each peer, and the CPU time of the parts; nothing for a peer."""
    if not own.cpu_us:
        return
    rate = median(load.per_s for load in own.rounds)
    ratios = [f"{rate / median(load.per_s for load in one.rounds):.2f} of {one.name}" for one in peers]
    if ratios:
        yield f"Botwatch, {own.batch} a request: {', '.join(ratios)}"
    parts = sorted(own.cpu_us.items(), key=lambda part: -part[1])
    yield "CPU time, µs a record: " + ", ".join(f"{name} {us:.0f}" for name, us in parts if us >= 1)

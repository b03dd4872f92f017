"""Botwatch beside its peers: `python -m tests.bench` measures, then prints figures and ratios.

Everything runs on this machine's loopback, in a temporary folder, and is ended with the bench.
"""

import argparse
import os
import platform
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import NoReturn

from shared.runtime.redis.connection import connect_redis
from shared.runtime.settings import REPOSITORY
from tests.bench import (
    analytics,
    bots,
    collector,
    deliveries,
    history,
    latency,
    peers,
    requests,
    rules,
    scale,
    stack,
    steps,
    storage,
    throughput,
    websocket,
)  # fmt: skip
from tests.bench.collector import Sampling
from tests.bench.deliveries import DeliveryBench
from tests.bench.figures import (
    BenchHistory,
    Cost,
    Latencies,
    Throughput,
    cost_table,
    history_table,
    latency_table,
    throughput_table,
    verdict,
)
from tests.bench.receiver import BenchReceiver, listening
from tests.bench.requests import Requests
from tests.bench.rules import RuleCost
from tests.bench.scale import CostBySize
from tests.bench.stack import StackStart
from tests.bench.steps import StepCounts
from tests.bench.storage import Storage
from tests.bench.websocket import FanOut
from tests.integration.stack import BotwatchProcess, botwatch_up

PARTS = (
    "stack",
    "latency",
    "throughput",
    "requests",
    "deliveries",
    "websocket",
    "peers",
    "history",
    "analytics",
    "rules",
    "scale",
    "storage",
    "bots",
    "collector",
)


@dataclass(frozen=True)
class BenchSize:
    """How much is measured."""

    breaches: int
    peer_breaches: int
    records: int
    rounds: int
    minutes: int
    events: tuple[int, ...]
    samples: int
    rows: int
    board_minutes: int
    seconds: int
    """Of load in each round of requests."""
    notices: int
    """In each round of deliveries."""
    clients: int
    """Of the WebSocket."""
    messages: int
    """To each of them, as fast as they go."""


LONG = (10_000, 100_000, 1_000_000)
SHORT = (1_000, 10_000)
FULL = BenchSize(
    breaches=200, peer_breaches=60, records=100_000, rounds=3, minutes=525_600, events=LONG, samples=150,
    rows=10_000, board_minutes=60, seconds=3, notices=1_500,
    clients=1_000, messages=20_000,
)  # fmt: skip
QUICK = BenchSize(
    breaches=20,
    peer_breaches=10,
    records=5_000,
    rounds=1,
    minutes=20_000,
    events=SHORT,
    samples=50,
    rows=5_000,
    board_minutes=5,
    seconds=1,
    notices=500,
    clients=100,
    messages=2_000,
)
BOARDS = (1, 40, 400, 2000)
"""Bots on the dashboard."""
BEGUN_S = time.monotonic()
PAUSE_S = 0.05
WARM_UP = 5
PACED = 20
"""Messages to the clients of the WebSocket at a steady pace."""
ANSWERS = 100
PEER_PAUSE_S = 0.4
"""With its randomness, scrape and evaluation are met in every phase."""


@dataclass
class BenchResults:
    """What was measured so far."""

    starts: Sequence[StackStart] = ()
    doors: list[Latencies] = field(default_factory=list)
    peer: Latencies | None = None
    steps: Mapping[str, StepCounts] = field(default_factory=dict)
    throughputs: list[Throughput] = field(default_factory=list)
    loads: list[Requests] = field(default_factory=list)
    deliveries: DeliveryBench | None = None
    fan_out: Sequence[FanOut] = ()
    history: BenchHistory | None = None
    costs: list[Cost] = field(default_factory=list)
    rules: RuleCost | None = None
    scales: Sequence[CostBySize] = ()
    storage: Storage | None = None
    boards: Sequence[bots.Board] = ()
    sampling: list[Sampling] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what was asked for and print it; 1 when a notice never arrived."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few samples, for a look")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be repeated")
    options = parser.parse_args(arguments)
    chosen = options.only or PARTS
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    found = BenchResults()
    size = QUICK if options.quick else FULL
    installed = peers.find()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="botwatch-bench-")))
        receiver = opened.enter_context(listening())
        _introduce(installed)
        if "stack" in chosen:
            _say(f"{size.rounds} starts …")
            found.starts = stack.measure(folder, starts=size.rounds)
        if {"latency", "throughput", "requests"} & set(chosen):
            with _botwatch(folder, receiver) as running:
                _measure_botwatch(running, receiver, folder, chosen, size, found)
        if "requests" in chosen:
            found.loads += _measure_peers_of_requests(folder, size)
        if "deliveries" in chosen:
            _say(f"{size.rounds} times {size.notices:,} notices to a fast webhook …")
            found.deliveries = deliveries.measure(folder, installed, notices=size.notices, rounds=size.rounds)
        if "websocket" in chosen:
            _say(f"{size.messages:,} messages to {size.clients:,} clients of the WebSocket …")
            found.fan_out = websocket.measure(
                folder, clients=size.clients, paced=PACED, flat_out=size.messages, rounds=size.rounds
            )
        if "peers" in chosen and installed:
            found.peer = _measure_peers(installed, receiver, folder, size)
        _measure_alone(folder, chosen, size, found)
    _print(found)
    return int(any(one.lost for one in [*found.doors, *filter(None, [found.peer])]))


def _measure_alone(folder: Path, chosen: Sequence[str], size: BenchSize, found: BenchResults) -> None:
    """Measure what needs no running Botwatch."""
    if "history" in chosen:
        _say(f"{size.minutes:,} minutes of a bot's history …")
        found.history = history.measure(folder, minutes=size.minutes, rounds=ANSWERS)
    if "analytics" in chosen:
        _say(f"{size.events[-1]:,} events of a bot folded into figures …")
        found.costs = analytics.measure(size.events)
    if "rules" in chosen:
        _say(f"{size.records // 2:,} records against up to {rules.RULES[-1]:,} rules …")
        found.rules = rules.measure(records=size.records // 2, rounds=size.rounds)
    if "scale" in chosen:
        _say(f"{size.records // 10:,} records of up to {scale.SIZES[-1]:,} bots, and against as many rules …")
        found.scales = scale.measure(folder, records=size.records // 10, rounds=size.rounds)
    if "storage" in chosen:
        _say(f"{size.rows:,} records of each kind in SQLite …")
        found.storage = storage.measure(folder, rows=size.rows)
    if "bots" in chosen:
        _say("the dashboard of many bots …")
        found.boards = [bots.measure(folder, count, minutes=size.board_minutes) for count in BOARDS]
    if "collector" in chosen:
        _measure_collector(folder, size, found)


def _measure_collector(folder: Path, size: BenchSize, found: BenchResults) -> None:
    exporter = collector.find()
    if exporter is None:
        print("node_exporter is not installed: nothing to compare a sample of the host with")
        return
    _say(f"{size.samples} samples of this host beside node_exporter …")
    found.sampling = collector.measure(exporter, size.samples, folder)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """End by unwinding, so that everything that was started is ended; a second signal must not stop that."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    sys.stderr.write("\nending what was started …\n")
    sys.exit(128 + number)


@contextmanager
def _botwatch(folder: Path, receiver: BenchReceiver) -> Iterator[BotwatchProcess]:
    """Run Botwatch with the config that it is shipped with, telling our receiver."""
    config = folder / "config"
    shutil.copytree(REPOSITORY / "deploy" / "config", config)
    with botwatch_up(folder, config, ALERT_WEBHOOK_URL=receiver.url, TMPDIR=str(folder)) as running:
        yield running


def _measure_botwatch(
    running: BotwatchProcess,
    receiver: BenchReceiver,
    folder: Path,
    chosen: Sequence[str],
    size: BenchSize,
    found: BenchResults,
) -> None:
    with connect_redis(running.redis_url()) as bus:
        server = bus.info("server")
        print(f"Valkey {server.get('valkey_version', server['redis_version'])}", flush=True)
        if "latency" in chosen:
            before = steps.read(bus)
            for door, title in latency.DOORS.items():
                _say(f"{size.breaches} breaches through the {title} …")
                with latency.publishing(door, running, bus) as publish:
                    one = latency.measure(
                        f"Botwatch, {title}", f"bench-{door}", publish, receiver,
                        count=size.breaches, warm_up=WARM_UP, pause_s=PAUSE_S,
                    )  # fmt: skip
                found.doors.append(one)
            found.steps = {step: counts.since(before[step]) for step, counts in steps.read(bus).items()}
        if "throughput" in chosen:
            _say(f"{size.rounds} times {size.records:,} records through the stream and over HTTP …")
            sizes = {"records": size.records, "rounds": size.rounds}
            found.throughputs.append(throughput.stream(running, bus, folder, **sizes))
            found.throughputs.append(throughput.over_http(running, folder, **sizes))
    if "requests" in chosen:
        found.loads += _measure_requests(running, folder, size)


def _measure_requests(running: BotwatchProcess, folder: Path, size: BenchSize) -> list[Requests]:
    wrk = requests.find().get("wrk")
    if wrk is None:
        print("wrk is not installed: no load of requests")
        return []
    _say(f"{size.rounds} times {size.seconds} s of requests with 1 and {requests.BATCH} records …")
    return [
        requests.botwatch(running, wrk, folder, batch, seconds=size.seconds, rounds=size.rounds)
        for batch in (1, requests.BATCH)
    ]


def _measure_peers_of_requests(folder: Path, size: BenchSize) -> list[Requests]:
    found = requests.find()
    measured = []
    for program, peer in (("influxd", requests.influxdb), ("victoria-metrics", requests.victoria_metrics)):
        if program in found and "wrk" in found:
            _say(f"the same load on {program} …")
            measured += [
                peer(found, folder, batch, seconds=size.seconds, rounds=size.rounds)
                for batch in (1, requests.BATCH)
            ]
    return measured


def _measure_peers(
    installed: peers.Peers, receiver: BenchReceiver, folder: Path, size: BenchSize
) -> Latencies:
    _say(f"{size.peer_breaches} breaches through Prometheus and Alertmanager …")
    with peers.running(installed, folder / "peers", receiver.url) as exporter:
        return latency.measure(
            f"Prometheus + Alertmanager, {peers.INTERVALS}", "bench-peer", exporter.breach, receiver,
            count=size.peer_breaches, warm_up=1, pause_s=PEER_PAUSE_S,
        )  # fmt: skip


def _introduce(installed: peers.Peers | None) -> None:
    """Say what is measured on what."""
    named = ("redis", "flask", "gunicorn", "msgspec", "SQLAlchemy")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, {platform.platform()}")
    print(
        f"Botwatch {version('botwatch')}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
    )
    print(", ".join(f"{name} {version(name)}" for name in named))
    if installed:
        told = f"Prometheus {peers.version(installed.prometheus)}, Alertmanager "
        print(told + peers.version(installed.alertmanager))
    else:
        print("Prometheus or Alertmanager is not installed: Botwatch's figures alone")


def _print(found: BenchResults) -> None:
    latencies = [*found.doors, *filter(None, [found.peer])]
    tables = [
        stack.table(found.starts) if found.starts else [],
        latency_table(latencies) if latencies else [],
        [verdict(found.doors, found.peer)] if found.doors and found.peer else [],
        steps.table(found.steps) if found.steps else [],
        throughput_table(found.throughputs) if found.throughputs else [],
        requests.table(found.loads) if found.loads else [],
        deliveries.table(found.deliveries) if found.deliveries else [],
        websocket.table(found.fan_out) if found.fan_out else [],
        history_table(found.history) if found.history else [],
        rules.table(found.rules) if found.rules else [],
        scale.table(found.scales) if found.scales else [],
        storage.table(found.storage) if found.storage else [],
        bots.table(found.boards) if found.boards else [],
        cost_table(found.costs) if found.costs else [],
        collector.table(found.sampling) if found.sampling else [],
    ]
    for lines in filter(None, tables):
        print("\n" + "\n".join(lines))


def _say(text: str) -> None:
    sys.stderr.write(f"{time.monotonic() - BEGUN_S:4.0f} s  {text}\n")


if __name__ == "__main__":
    sys.exit(main())

"""Fan-out to a thousand clients: messages at a steady pace, and as fast as they go, beside NATS.

The broadcaster runs alone with a Valkey, into whose stream the bench writes; its limit of connections is
lifted. The subscribers are the same process for both servers, with sockets instead of a client library.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from shared.runtime.redis.connection import connect_redis
from shared.runtime.settings import REPOSITORY
from shared.schema import redis_keys
from tests.bench import subscribers
from tests.bench.subscribers import Subscribers, make_message
from tests.support import free_port, valkey, wait_until

PER_S = 10
ENTRY = 50
"""Records in an entry of the log, as in a request of a busy bot; a paced message is an entry of its own."""
LATE_S = 20.0
STOP_S = 10.0
TARGET_MS = 30.0
"""p99 of paced messages."""
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class FanOutRound:
    """One round of one server: how long paced deliveries took, and how fast others went."""

    p50_ms: float
    p99_ms: float
    per_s: float
    lost: int
    """Deliveries that did not arrive, of both."""
    cpu_us: float
    """The server's CPU time, µs a paced delivery."""


@dataclass
class FanOut:
    """The rounds of one server."""

    name: str
    clients: int
    rounds: list[FanOutRound]
    closed: int = 0
    """Connections that the server has closed."""


class FanOutServer(NamedTuple):
    """A server with its subscribers."""

    name: str
    publish: Callable[[Sequence[int]], object]
    """Publishes the messages with these numbers at once."""
    subscribers: Subscribers
    process: psutil.Process


def measure(folder: Path, *, clients: int, paced: int, flat_out: int, rounds: int) -> list[FanOut]:
    """Send `paced` messages at PER_S a second, then `flat_out` at once, in turn over the servers."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_broadcaster(folder / "broadcaster", clients))]
        if program := shutil.which("nats-server"):
            servers.append(stack.enter_context(_nats(program, clients)))
        found = [FanOut(server.name, clients, []) for server in servers]
        number = 0
        for _ in range(rounds):
            for server, one in zip(servers, found, strict=True):
                number = _round(server, one, number, paced, flat_out)
        return found


def _round(server: FanOutServer, found: FanOut, first: int, paced: int, flat_out: int) -> int:
    """Add a round whose messages are numbered from `first` on; return the next number."""
    before = sum(server.process.cpu_times()[:2])
    sent = dict(_pace(server, range(first, first + paced)))
    steady = server.subscribers.collect(sent, LATE_S)
    cpu_s = sum(server.process.cpu_times()[:2]) - before
    numbers = range(first + paced, first + paced + flat_out)
    begun_ns = time.monotonic_ns()
    server.publish(numbers)
    # Who has the last one has all; who has not counts as if none had arrived.
    fast = server.subscribers.collect({numbers[-1]: begun_ns}, LATE_S)
    arrived = fast.deliveries * flat_out
    found.rounds.append(
        FanOutRound(
            steady.p50_ms,
            steady.p99_ms,
            arrived * _SECOND_NS / max(1, fast.last_ns - begun_ns),
            (paced + flat_out) * found.clients - steady.deliveries - arrived,
            cpu_s * 1e6 / (paced * found.clients),
        )
    )
    found.closed = fast.closed
    return numbers.stop


def _pace(server: FanOutServer, numbers: range) -> Iterator[tuple[int, int]]:
    """Publish a message each PER_S-th of a second; yield its number and when it was sent."""
    due_ns = time.monotonic_ns()
    for number in numbers:
        time.sleep(max(0.0, (due_ns - time.monotonic_ns()) / _SECOND_NS))
        yield number, time.monotonic_ns()
        server.publish([number])
        due_ns += _SECOND_NS // PER_S


@contextmanager
def _broadcaster(folder: Path, clients: int) -> Iterator[FanOutServer]:
    folder.mkdir()
    port = free_port()
    with valkey(folder) as url, connect_redis(url) as redis:
        environ = {"BOTWATCH_HOME": str(folder), "REDIS_URL": url, "WEBSOCKET_PORT": str(port)}
        command = [sys.executable, "-m", "tests.bench.many_clients"]
        with (
            (folder / "log").open("w") as log,
            _running(command, environ, log.fileno()) as process,
        ):
            wait_until(lambda: redis.hexists(redis_keys.PARTS, "broadcaster"), "the broadcaster is up")

            def publish(numbers: Sequence[int]) -> None:
                with redis.pipeline(transaction=False) as pipe:
                    for start in range(0, len(numbers), ENTRY):
                        records = b",".join(map(make_message, numbers[start : start + ENTRY]))
                        pipe.xadd(redis_keys.record_stream(), {redis_keys.FIELD: b"[%b]" % records})
                    pipe.execute()

            with subscribers.running("websocket", port, clients) as readers:
                yield FanOutServer("Botwatch, WebSocket", publish, readers, process)


@contextmanager
def _nats(program: str, clients: int) -> Iterator[FanOutServer]:
    port = free_port()
    command = [program, "--addr", "127.0.0.1", "--port", str(port)]
    with _running(command, {}, subprocess.DEVNULL) as process:
        wait_until(lambda: _listens(port), "NATS listens")
        with closing(socket.create_connection(("127.0.0.1", port))) as publisher:
            publisher.sendall(b'CONNECT {"verbose":false}\r\n')

            def publish(numbers: Sequence[int]) -> None:
                bodies = map(make_message, numbers)
                publisher.sendall(b"".join(b"PUB bench %d\r\n%b\r\n" % (len(body), body) for body in bodies))

            with subscribers.running("nats", port, clients) as readers:
                yield FanOutServer("NATS", publish, readers, process)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def _running(command: Sequence[str], environ: Mapping[str, str], log: int) -> Iterator[psutil.Process]:
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=os.environ | environ, stdout=log, stderr=log
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(STOP_S)


def table(found: Sequence[FanOut]) -> list[str]:
    """Show the medians of each server's rounds, with their range, and how Botwatch compares."""
    columns = ("p50 ms", "p99 ms", "p99 range", "deliveries/s", "range", "lost", "closed", "CPU µs")
    lines = [f"{f'fan-out to {found[0].clients:,} clients':<24}" + "".join(f"{name:>16}" for name in columns)]
    lines += map(_row, found)
    own = found[0]
    p99 = median(one.p99_ms for one in own.rounds)
    lines.append(f"p99 at {PER_S} messages/s: {p99:.1f} ms, target ≤ {TARGET_MS:.0f}")
    for peer in found[1:]:
        speed = _per_s(own) / _per_s(peer)
        slower = p99 / median(one.p99_ms for one in peer.rounds)
        lines.append(f"{speed:.2f} of {peer.name}'s deliveries/s, {slower:.2f} of its p99")
    lines.append(f"entries of {ENTRY} records flat out; the limit of 400 connections is lifted")
    return lines


def _per_s(found: FanOut) -> float:
    return median(one.per_s for one in found.rounds)


def _row(found: FanOut) -> str:
    p99 = [one.p99_ms for one in found.rounds]
    rates = [one.per_s for one in found.rounds]
    cells = (
        f"{median(one.p50_ms for one in found.rounds):.1f}",
        f"{median(p99):.1f}",
        f"{min(p99):.1f} to {max(p99):.1f}",
        f"{median(rates):,.0f}",
        f"{min(rates) / 1e6:.1f} to {max(rates) / 1e6:.1f} M",
        f"{sum(one.lost for one in found.rounds):,}",
        f"{found.closed:,}",
        f"{median(one.cpu_us for one in found.rounds):.1f}",
    )
    return f"{found.name:<24}" + "".join(f"{cell:>16}" for cell in cells)

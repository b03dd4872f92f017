"""Notices a second to a fast webhook: a drained outbox, and breaches to notices, beside Alertmanager."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

from shared.runtime.redis.connection import connect_redis
from shared.runtime.settings import REPOSITORY
from shared.schema import redis_keys
from shared.schema.alerts import Alert, Details, build_notice, encode_json
from shared.store import escalations
from shared.store.alerts import add_event, insert_alert
from shared.store.database import Database, sqlite_url
from shared.store.migrate import migrate
from shared.store.outbox import PlannedDelivery, add_deliveries
from tests.bench import fast_receiver, latency, peers, requests
from tests.bench.fast_receiver import FastReceiver
from tests.integration.stack import botwatch_up
from tests.support import valkey, wait_until

LATE_S = 30.0
"""How long after the start of a round its notices are waited for."""
STOP_S = 10.0
WARM_UP = 50
MAX_BOTS = 20_000


@dataclass(frozen=True)
class DeliveryRound:
    """One round: how fast its notices arrived, and how many of them."""

    sent: int
    arrived: int
    duplicates: int
    per_s: float
    """Between the first arrival and the last."""
    total_s: float
    """From the cause to the last arrival."""


@dataclass
class Deliveries:
    """The rounds of one way, in order, and the CPU time of the parts in all of them."""

    name: str
    rounds: list[DeliveryRound]
    cpu_s: dict[str, float]

    def add(self, found: DeliveryRound, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        """Add a round."""
        self.rounds.append(found)
        for part, seconds in after.items():
            self.cpu_s[part] = self.cpu_s.get(part, 0.0) + seconds - before[part]

    @property
    def per_s(self) -> float:
        """The median."""
        return median(one.per_s for one in self.rounds)

    @property
    def cpu_us(self) -> dict[str, float]:
        """CPU time by part, µs a notice."""
        sent = sum(one.sent for one in self.rounds)
        return {part: seconds / sent * 1e6 for part, seconds in self.cpu_s.items()}


Round = Callable[[str, int], DeliveryRound]
"""Causes so many notices about bots whose names begin so, and waits for them."""
CpuSeconds = Callable[[], Mapping[str, float]]


class Way(NamedTuple):
    """A way to the receiver."""

    name: str
    run: Round
    cpu_s: CpuSeconds


@dataclass(frozen=True)
class DeliveryBench:
    """All ways, and how many requests a second the receiver alone answers; None without `wrk`."""

    ways: Sequence[Deliveries]
    receiver_per_s: float | None


def measure(folder: Path, installed: peers.Peers | None, *, notices: int, rounds: int) -> DeliveryBench:
    """Send `notices` in each of the rounds, in turn over every way."""
    with ExitStack() as stack:
        receiver = stack.enter_context(fast_receiver.running())
        capacity = _capacity(receiver, folder)
        ways = [
            stack.enter_context(_drain(folder / "outbox", receiver)),
            stack.enter_context(_breaches(folder / "deliveries", receiver)),
        ]
        if installed:
            ways.append(stack.enter_context(_alertmanager(installed, folder / "alertmanager", receiver)))
        found = [Deliveries(way.name, [], {}) for way in ways]
        for way in ways:
            way.run("warm-up", WARM_UP)
        for number in range(rounds):
            for way, one in zip(ways, found, strict=True):
                before = way.cpu_s()
                one.add(way.run(f"round-{number}", notices), before, way.cpu_s())
        return DeliveryBench(found, capacity)


def _capacity(receiver: FastReceiver, folder: Path) -> float | None:
    """Return how many requests a second the receiver answers on one connection."""
    wrk = requests.find().get("wrk")
    if wrk is None:
        return None
    body = encode_json(build_notice(_alert("bench", datetime.now(UTC)), "opened")).decode()
    load = requests.wrk(wrk, receiver.url, [body], "application/json", 1, folder, connections=1)
    receiver.wait_for(1, LATE_S)
    return load.per_s


def _round(receiver: FastReceiver, count: int, cause: Callable[[], object]) -> DeliveryRound:
    """Measure from `cause` on until `count` bots have arrived."""
    begun = time.monotonic_ns()
    cause()
    found = receiver.wait_for(count, LATE_S)
    at_ns = sorted(found.at_ns.values())
    taken_s = (at_ns[-1] - at_ns[0]) / 1e9
    per_s = (len(at_ns) - 1) / taken_s
    return DeliveryRound(count, len(at_ns), found.duplicates, per_s, (at_ns[-1] - begun) / 1e9)


@contextmanager
def _drain(folder: Path, receiver: FastReceiver) -> Iterator[Way]:
    """Run a notifier alone, whose outbox fills at once, with a database and a Redis of its own."""
    data, config = folder / "data" / "monitoring", folder / "config"
    data.mkdir(parents=True)
    config.mkdir()
    (config / "health_monitor.json").write_text(json.dumps({"alerts": {"webhookUrl": receiver.url}}))
    with closing(Database(sqlite_url(data / "system_health.db"))) as database, valkey(folder) as url:
        migrate(database, "health")
        environ = {"BOTWATCH_HOME": str(folder), "BOTWATCH_CONFIG": str(config), "REDIS_URL": url}
        with _notifier(folder / "notifier.log", environ) as process, connect_redis(url) as redis:
            wait_until(lambda: redis.hexists(redis_keys.PARTS, "notifier"), "the notifier is up")
            yield Way(
                "Botwatch, outbox drained",
                lambda prefix, count: _round(receiver, count, lambda: _fill(database, prefix, count)),
                lambda: requests.cpu_seconds({"notifier": [process]}),
            )


@contextmanager
def _notifier(log: Path, environ: Mapping[str, str]) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "services.notifier"]
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=REPOSITORY, env=os.environ | environ, stderr=output) as process,
    ):
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(STOP_S)


def _fill(database: Database, prefix: str, count: int) -> None:
    """Write `count` due deliveries in one transaction; the notifier's workers find them within a second."""
    now = datetime.now(UTC)
    with database.write() as connection:
        for number in range(count):
            alert = _alert(f"{prefix}-{number}", now)
            insert_alert(connection, alert)
            event = add_event(connection, alert, "opened", now)
            notice = build_notice(alert, "opened")
            add_deliveries(connection, event, notice, [PlannedDelivery("webhook", "default")])
        escalations.set_dispatch_cursor(connection, event)  # they are planned


def _alert(bot: str, now: datetime) -> Alert:
    """Return the alert that the shipped rule on drawdowns opens about `bot`."""
    page = "http://localhost:3001"
    links = {"alert": f"{page}/alerts/{bot}", "runbook": f"{page}/runbooks/drawdown"}
    details = Details(
        rule="maxDrawdown-0",
        bot=bot,
        metric="maxDrawdown",
        value=21.3,
        operator=">",
        threshold=20,
        links=links,
    )
    return Alert(
        id=bot, timestamp=now, severity="HIGH", category="PERFORMANCE", component=bot,
        message="Maximum drawdown exceeded 20%", status="ACTIVE", details=details, fingerprint=bot,
        updated_at=now,
    )  # fmt: skip


@contextmanager
def _breaches(folder: Path, receiver: FastReceiver) -> Iterator[Way]:
    """Run Botwatch with the config that it is shipped with."""
    folder.mkdir()
    config = shutil.copytree(REPOSITORY / "deploy" / "config", folder / "config")
    with botwatch_up(
        folder, config, ALERT_WEBHOOK_URL=receiver.url, TMPDIR=str(folder), MAX_BOTS=str(MAX_BOTS)
    ) as running:
        parts = requests.processes(running)
        address = http.client.HTTPConnection("127.0.0.1", running.ports["INGESTION_PORT"], timeout=60)
        with closing(address) as connection:
            yield Way(
                "Botwatch, breaches in one request",
                lambda prefix, count: _round(
                    receiver, count, lambda: latency.post(connection, _breaching(prefix, count))
                ),
                lambda: requests.cpu_seconds(parts),
            )


def _breaching(prefix: str, count: int) -> bytes:
    """Return a record of each bot, beyond the limit."""
    return b"[%b]" % b",".join(latency.breach(f"{prefix}-{number}") for number in range(count))


@contextmanager
def _alertmanager(installed: peers.Peers, folder: Path, receiver: FastReceiver) -> Iterator[Way]:
    """Run Alertmanager, which gets all alerts in one request and groups none."""
    folder.mkdir()
    with peers.alertmanager(installed, folder, receiver.url) as (port, process):
        yield Way(
            "Alertmanager, alerts in one request",
            lambda prefix, count: _round(receiver, count, lambda: _post_alerts(port, prefix, count)),
            lambda: requests.cpu_seconds({"alertmanager": [process]}),
        )


def _post_alerts(port: int, prefix: str, count: int) -> None:
    labels = {"alertname": "Drawdown", "severity": "high"}
    alerts = [{"labels": labels | {"bot": f"{prefix}-{number}"}} for number in range(count)]
    headers = {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    posted = urllib.request.Request(url, json.dumps(alerts).encode(), headers)
    urllib.request.urlopen(posted, timeout=60).close()


def table(found: DeliveryBench) -> list[str]:
    """Show each way's rounds by their median, and how Botwatch compares to Alertmanager."""
    columns = ("notices/s", "lowest", "highest", "total s", "duplicates", "lost")
    lines = [f"{'notices to a webhook':<38}" + "".join(f"{name:>11}" for name in columns)]
    lines += map(_row, found.ways)
    *own, last = found.ways
    if last.name.startswith("Alertmanager"):
        lines += [f"{one.name}: {one.per_s / last.per_s:.2f} of Alertmanager" for one in own]
    for one in found.ways:
        parts = sorted(one.cpu_us.items(), key=lambda part: -part[1])
        used = ", ".join(f"{part} {us:.0f}" for part, us in parts if us >= 1)
        lines.append(f"CPU time, µs a notice: {one.name}: {used}")
    if found.receiver_per_s:
        lines.append(f"the receiver alone answers {found.receiver_per_s:,.0f} requests/s on one connection")
    return lines


def _row(one: Deliveries) -> str:
    rates = [found.per_s for found in one.rounds]
    speeds = "".join(f"{rate:>11,.0f}" for rate in (one.per_s, min(rates), max(rates)))
    total_s = median(found.total_s for found in one.rounds)
    duplicates = sum(found.duplicates for found in one.rounds)
    lost = sum(found.sent - found.arrived for found in one.rounds)
    return f"{one.name:<38}{speeds}{total_s:>11.2f}{duplicates:>11,}{lost:>11,}"

"""A running demo with something to see on every dashboard, and a real Prometheus that scrapes it.

Besides the demo bot there are: a second bot with a venue and a strategy, checks of several kinds, one of
which fails and recovers, a webhook that gets notifications, an alert that somebody acknowledges, metrics that
the demo bot reports itself, a rejected record.
"""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.settings import REPOSITORY
from shared.schema.records import Performance
from shared.schema.units import metric_fields
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers, botwatch_up
from tests.support import free_port, require_program, wait_until
from tests.unit.collector.certificate_authority import certificate
from tests.unit.collector.fake_exchange import FakeExchange, local_exchange

DEMO_BOT, SECOND_BOT = "demo-eurusd", "carry-btc"
LABELS = {"venue": "binance", "strategy": "carry"}
HEARTBEAT_KEY = "5b0e7d3f1c9a4826e4f7"
START_EQUITY = 25_000.0
SCRAPED_EVERY_S = 1
REPORTED = {"marginUsed": 1200.0, "marginRatio": 18.5, "liquidationDistance": 31.0, "tradeDifferences": 0}
"""What the demo bot cannot be computed from, but a bot may report."""


class MonitoredDemo:
    """The running demo and the Prometheus beside it."""

    def __init__(self, stack: BotwatchProcess, prometheus: str, door: int) -> None:
        self.stack, self.prometheus, self._door = stack, prometheus, door
        self._turns = 0

    def act(self) -> None:
        """Do what bots and people do: called until everything has been seen."""
        self._turns += 1
        self._second_bot()
        self._report()
        self._acknowledge()
        self.stack.ingestion("/api/v1/records", {"kind": "nonsense"})
        for path in (f"/ping/{HEARTBEAT_KEY}/start", f"/ping/{HEARTBEAT_KEY}"):
            self.stack.ingestion(path)

    @contextmanager
    def open_door(self) -> Iterator[None]:
        """Listen on the port that a check expects, so that its alert resolves."""
        server = ThreadingHTTPServer(("127.0.0.1", self._door), BaseHTTPRequestHandler)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _second_bot(self) -> None:
        equity = START_EQUITY + 40 * (self._turns % 7) - 3 * self._turns
        own = {"bot": SECOND_BOT, "labels": LABELS}
        records = [
            {"kind": "heartbeat", **own},
            {"kind": "equity", **own, "equity": equity, "currency": "USDT"},
            {"kind": "event", **own, "level": "warning", "title": "Funding rate turned negative"},
        ]
        self.stack.ingestion("/api/v1/records", records)

    def _report(self) -> None:
        """Let the demo bot report what was computed, with another win rate."""
        with closing(connect_redis(self.stack.redis_url())) as redis:
            latest = RecordLog(redis).latest_of_bot(DEMO_BOT)
        for one in latest:
            if isinstance(one, Performance) and one.source == "computed":
                own = {figure.wire: getattr(one, figure.attribute) for figure in metric_fields(Performance)}
                values = {name: value for name, value in own.items() if value is not None} | REPORTED
                values.pop("disagreements", None)
                values["winRate"] = values.get("winRate", 0) + 1.5
                self.stack.ingestion("/api/v1/performance", {"bot": DEMO_BOT, **values})

    def _acknowledge(self) -> None:
        for alert in self.stack.dashboard("/api/monitoring/alerts?status=ACTIVE"):
            if alert["component"] == DEMO_BOT:
                path = f"/api/monitoring/alerts/{alert['id']}/acknowledge"
                self.stack.dashboard(path, {"by": "ann", "comment": "I am looking at it"})


@contextmanager
def monitored_demo(folder: Path, receivers: WebhookAndMailReceivers) -> Iterator[MonitoredDemo]:
    """Run the demo and a Prometheus with their state in `folder`, until the block ends."""
    require_program("prometheus")
    door = free_port()
    with ExitStack() as running:
        exchange = running.enter_context(local_exchange())
        config = _config(folder, exchange, door)
        hook = f"http://127.0.0.1:{receivers.http_port}/hook"
        stack = running.enter_context(botwatch_up(folder, config, demo=True, ALERT_WEBHOOK_URL=hook))
        url = running.enter_context(_prometheus(folder, stack.ports["DASHBOARD_PORT"]))
        yield MonitoredDemo(stack, url, door)


def _config(folder: Path, exchange: FakeExchange, door: int) -> Path:
    """Return the shipped config documents, with checks besides."""
    config = shutil.copytree(REPOSITORY / "deploy" / "config", folder / "config")
    path = config / "health_monitor.json"
    (folder / "server.pem").write_bytes(certificate(None, "api.example.org", days=17).pem)
    (folder / "auth.log").touch()
    often: dict[str, Any] = {"every": "1s", "failures": 1}
    stored = folder / "home" / "data" / "monitoring" / "performance_metrics.db"
    venue = {"rest": exchange.url(), "time": exchange.url("/time"), "timePath": "now"}
    health = json.loads(path.read_text(encoding="utf-8"))
    health["monitoring"] |= {
        "intervalSeconds": 1,
        "checks": {
            "status-page": {"http": {"url": exchange.url("/time")}, **often},
            "gateway": {"tcp": f"127.0.0.1:{door}", **often},
            "prometheus": {"process": {"command": f"{folder}/prometheus.yml"}, **often},
            "database": {"database": f"sqlite:///{stored}", **often},
            "certificate": {"certificate": {"file": str(folder / "server.pem")}, **often},
        },
        "exchanges": {"venue": {**venue, "webSocket": exchange.url("/stream", "ws"), **often}},
        "security": {
            "failedLogins": {"files": [str(folder / "auth.log")], "btmp": None, "journal": False},
            "every": "1s",
        },
        "heartbeats": {HEARTBEAT_KEY: {"name": "settlement", "period": "1m"}},
    }  # fmt: skip
    path.write_text(json.dumps(health, indent=2), encoding="utf-8")
    return config


@contextmanager
def _prometheus(folder: Path, dashboard: int) -> Iterator[str]:
    """Run a Prometheus that discovers the parts, evaluates rules and sends alerts; yield its URL."""
    page = f"127.0.0.1:{dashboard}"
    discovery = {"url": f"http://{page}/api/monitoring/prometheus/targets", "refresh_interval": "1s"}
    interval = f"{SCRAPED_EVERY_S}s"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(REPOSITORY / "prometheus" / "rules" / "*.yml")],
        "alerting": {
            "alertmanagers": [{"path_prefix": "/alertmanager", "static_configs": [{"targets": [page]}]}]
        },
        "scrape_configs": [{"job_name": "botwatch", "honor_labels": True, "http_sd_configs": [discovery]}],
    }
    path, address = folder / "prometheus.yml", f"127.0.0.1:{free_port()}"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    with (folder / "prometheus.txt").open("w") as output:
        process = subprocess.Popen(
            [
                require_program("prometheus"), f"--config.file={path}", f"--web.listen-address={address}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
            ],
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_until(lambda: _is_ready(address), "Prometheus answers")
            yield f"http://{address}"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _is_ready(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{address}/-/ready", timeout=5) as response:
        return bool(response.status == HTTPStatus.OK)
    return False

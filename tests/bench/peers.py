"""The same breach through Prometheus and Alertmanager: an exporter that is scraped, a rule, a webhook."""

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.bench.receiver import serving
from tests.support import free_port, wait_until

INTERVALS = "1 s / 1 s / 0 s"
"""Scrape, evaluation, group wait."""
PHASES = 25
"""Rule groups that share the bots: Prometheus evaluates each at a moment of its own within the interval.

With a single group that moment, and so luck, would decide about half of the latency.
"""
STOP_S = 10.0

_PROMETHEUS = """\
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [{rules}]
alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: ["127.0.0.1:{alertmanager}"] }}] }}] }}
scrape_configs: [{{ job_name: bench, static_configs: [{{ targets: ["127.0.0.1:{exporter}"] }}] }}]
"""
_ALERTMANAGER = """\
route: {{ receiver: bench, group_by: ["..."], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }}
receivers: [{{ name: bench, webhook_configs: [{{ url: "{url}", send_resolved: false }}] }}]
"""


class Peers(NamedTuple):
    """Where Prometheus and Alertmanager are installed."""

    prometheus: str
    alertmanager: str


def find() -> Peers | None:
    """Return both binaries, None where one is missing; Debian names the second differently."""
    prometheus = shutil.which("prometheus")
    alertmanager = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    return Peers(prometheus, alertmanager) if prometheus and alertmanager else None


def version(binary: str) -> str:
    """Return the version that a binary of the Prometheus project tells."""
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=True)
    words = (done.stdout or done.stderr).split()
    return words[words.index("version") + 1].rstrip(",")


class PeerExporter:
    """The bots as Prometheus sees them: a gauge each, beyond the limit."""

    def __init__(self) -> None:
        self._bots: tuple[str, ...] = ()

    def breach(self, bot: str) -> None:
        """Let the next scrape see `bot` beyond the limit."""
        self._bots = (*self._bots, bot)

    def page(self) -> bytes:
        """Return the metrics page."""
        lines = ["# TYPE bench_max_drawdown_percent gauge"]
        lines += [
            f'bench_max_drawdown_percent{{bot="{bot}",phase="{number % PHASES}"}} 21.3'
            for number, bot in enumerate(self._bots)
        ]
        return "\n".join([*lines, ""]).encode()


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    exporter: PeerExporter

    def do_GET(self) -> None:
        page = self.exporter.page()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True  # Prometheus was ended

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay quiet."""


@contextmanager
def running(peers: Peers, folder: Path, url: str) -> Iterator[PeerExporter]:
    """Run both with their state in `folder`, posting to `url`; yield the exporter once it is scraped."""
    folder.mkdir()
    exporter = PeerExporter()
    prometheus = free_port()
    with serving(type("Page", (_Page,), {"exporter": exporter})) as port:
        rules, config = folder / "rules.yml", folder / "prometheus.yml"
        groups = [{"name": f"phase-{n}", "rules": [_rule(n)]} for n in range(PHASES)]
        rules.write_text(json.dumps({"groups": groups}))
        with alertmanager(peers, folder, url) as (alerts, _):
            config.write_text(_PROMETHEUS.format(rules=rules, alertmanager=alerts, exporter=port))
            command = [
                peers.prometheus,
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address=127.0.0.1:{prometheus}",
            ]
            with _process(command, folder / "prometheus.log"):
                wait_until(lambda: _scraped(prometheus), "Prometheus scrapes", timeout_s=30)
                yield exporter


@contextmanager
def alertmanager(peers: Peers, folder: Path, url: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run Alertmanager, which posts every alert to `url` at once and alone; yield its port and process."""
    port = free_port()
    routes = folder / "alertmanager.yml"
    routes.write_text(_ALERTMANAGER.format(url=url))
    command = [
        peers.alertmanager,
        f"--config.file={routes}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _process(command, folder / "alertmanager.log") as process:
        wait_until(lambda: _ask(port, "/-/ready"), "Alertmanager is ready", timeout_s=30)
        yield port, process


def _rule(phase: int) -> dict[str, str]:
    return {"alert": "Drawdown", "expr": f'bench_max_drawdown_percent{{phase="{phase}"}} > 20'}


@contextmanager
def _process(command: Sequence[str], log: Path) -> Iterator[psutil.Process]:
    # In a session of its own: Ctrl-C reaches only us, and we end it.
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent, start_new_session=True
        )
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _scraped(port: int) -> bool:
    found = _ask(port, "/api/v1/query?query=up")
    return bool(found) and any(one["value"][1] == "1" for one in json.loads(found)["data"]["result"])


def _ask(port: int, path: str) -> bytes:
    """Return the body of a 200 answer, nothing while there is none."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
        except ConnectionError:
            return b""
    return body if answer.status == http.client.OK else b""

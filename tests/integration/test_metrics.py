"""Every part's metrics as Prometheus gets them: discovered, in both formats, and as the reference says."""

import gzip
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open_metrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.runtime.settings import REPOSITORY
from tests.integration.stack import BotwatchProcess, WebhookAndMailReceivers
from tests.metrics_reference import metric_entries
from tests.support import free_port, require_program, wait_until

pytestmark = pytest.mark.integration

DISCOVERY = "/api/monitoring/prometheus/targets"
OPEN_METRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def addresses(stack: BotwatchProcess) -> dict[str, str]:
    """Return the URL of each part's metrics, as service discovery has them."""
    found = {
        one["labels"]["part"]: f"http://{one['targets'][0]}/metrics" for one in stack.dashboard(DISCOVERY)
    }
    assert set(found) == EXPECTED_PARTS
    return found


def ask(url: str, method: str = "GET", **headers: str) -> tuple[HTTPMessage, bytes]:
    """Return the headers and the body of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(
        urllib.request.Request(url, headers=named, method=method), timeout=10
    ) as answer:
        return answer.headers, answer.read()


@pytest.fixture
def notified(stack: BotwatchProcess, receivers: WebhookAndMailReceivers) -> None:
    """Let a bot report all that it may, and an alert about it be notified."""
    examples = sorted((REPOSITORY / "shared" / "schema" / "examples").glob("record-*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in examples]
    for record in found:
        record.pop("timestamp", None)
        record.pop("id", None)
    stack.ingestion("/api/v1/records", found)
    drawdown = {"kind": "performance", "bot": "metrics", "portfolioValue": 1, "maxDrawdown": 22}
    stack.ingestion("/api/v1/records", [drawdown])
    wait_until(lambda: receivers.changes("metrics") == ["opened"], "the webhook is told")


@pytest.mark.usefixtures("notified")
def test_every_part_speaks_both_formats(stack: BotwatchProcess) -> None:
    """`promtool check metrics` is silent; OpenMetrics parses, compressed; HEAD has no body."""
    require_program("promtool")
    known = {entry.name.removesuffix("_total"): entry for entry in metric_entries()}
    steps = set()
    for part, url in addresses(stack).items():
        headers, text = ask(url)
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8", part
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), part
        headers, packed = ask(url, Accept=OPEN_METRICS, Accept_Encoding="gzip")
        assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0"), part
        families = {one.name: one for one in parse_open_metrics(gzip.decompress(packed).decode())}
        assert families.keys() == {one.name.removesuffix("_total") for one in parse_text(text.decode())}
        headers, body = ask(url, "HEAD", Accept=OPEN_METRICS)
        assert body == b""
        assert int(headers["Content-Length"]) > 500
        assert {
            "botwatch_build_info",
            "process_cpu_seconds",
            "process_resident_memory_bytes",
        } <= families.keys()
        for name, family in families.items():
            if name.startswith("python_") or not family.samples:  # parts share imports
                continue
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            assert part in known[name].parts or known[name].parts == "every part", name
            assert labels <= {*known[name].labels} or name == "botwatch_bot_metric", name
            steps |= {s.labels["step"] for s in family.samples if name == "botwatch_step_seconds" and s.value}
    assert steps == {"stored", "evaluated", "planned", "sent"}


@pytest.mark.usefixtures("notified")
def test_prometheus_discovers_and_scrapes_every_part(stack: BotwatchProcess, tmp_path: Path) -> None:
    """All are up with the labels that rules select, and a metric keeps the part that it is about."""
    with prometheus(tmp_path, stack) as query:
        up = 'up{app="botwatch"} == 1'
        wait_until(lambda: {one["part"] for one in query(up)} == EXPECTED_PARTS, "all are up")
        wait_until(lambda: query("botwatch_step_seconds_count"), "histograms are scraped")
        verdict = query("botwatch_watchdog_part_up == 1")
        assert {one["part"] for one in verdict} == EXPECTED_PARTS - {"watchdog"}
        assert not any("exported_part" in one for one in verdict)
        [firing] = query('botwatch_alert_firing{bot="metrics"}')
        assert (firing["rule"], firing["severity"], firing["part"]) == (
            "maxDrawdown-above-20",
            "HIGH",
            "dashboard",
        )
        wait_until(lambda: query("step:botwatch_step_seconds:p99_rate5m"), "rules are evaluated")


@contextmanager
def prometheus(folder: Path, stack: BotwatchProcess) -> Iterator[Any]:
    """Run a Prometheus as docs/prometheus.md says; yield what returns the labels of a query's results."""
    program, port = require_program("prometheus"), free_port()
    address = f"http://127.0.0.1:{stack.ports['DASHBOARD_PORT']}"
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(REPOSITORY / "prometheus" / "rules" / "*.yml")],
        "scrape_configs": [
            {
                "job_name": "botwatch",
                "honor_labels": True,
                "http_sd_configs": [{"url": f"{address}{DISCOVERY}", "refresh_interval": "5s"}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                *(program, f"--config.file={folder / 'prometheus.yml'}"),
                *(f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"),
            ],
            stderr=log,
        )

        def query(expression: str) -> list[dict[str, str]]:
            url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
            try:
                _, body = ask(url)
            except OSError:
                return []
            return [one["metric"] for one in json.loads(body)["data"]["result"]]

        try:
            yield query
        finally:
            process.terminate()
            process.wait(timeout=20)

"""Routing as YAML: what the real amtool makes of it."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from services.dashboard.alertmanager.routing_yaml import routing_yaml
from tests.unit.notifier.config import documents

AMTOOL = shutil.which("amtool")
CONFIG = """
channels:
  desk: { url: "http://127.0.0.1/desk" }
  phone: { url: "http://127.0.0.1/phone" }
routes:
  - { name: bad, match: { severity: [CRITICAL, HIGH] }, policy: night, continue: true }
  - name: scalpers
    match: { bot: "scalper-[0-9]*" }
    channels: [desk]
    groupBy: [rule, bot]
    groupWait: 90s
    groupInterval: 0s
    repeat: 0
    routes:
      - { name: slow, match: { rule: "latency*" }, groupBy: [] }
  - match: { team: blue }
    routes:
      - { name: blue, match: { category: RESOURCE }, channels: [phone] }
policies: { night: { steps: [{ notify: [phone] }] } }
inhibit:
  - { source: { alertname: down }, target: { alertname: "*-silent" }, equal: [bot] }
"""


def test_routes_groups_and_inhibitions_are_those_of_the_document() -> None:
    config = yaml.safe_load(routing_yaml(documents(CONFIG)))
    assert [one["name"] for one in config["receivers"]] == ["default", "bad", "scalpers", "slow", "blue"]
    bad, scalpers, blue = config["route"]["routes"]
    assert bad["continue"]
    assert bad["matchers"][0].startswith('severity=~"CRITICAL|critical|')
    assert scalpers["matchers"] == ['bot=~"scalper-[0-9].*"']
    assert (scalpers["group_by"], scalpers["group_wait"]) == (["alertname", "bot"], "1m30s")
    assert (scalpers["group_interval"], scalpers["repeat_interval"]) == ("1s", "365d")
    assert scalpers["routes"][0]["group_by"] == []
    assert blue["matchers"] == ['team="blue"', 'category="RESOURCE"']
    assert config["inhibit_rules"] == [
        {
            "source_matchers": ['alertname="down"'],
            "target_matchers": ['alertname=~".*-silent"'],
            "equal": ["bot"],
        }
    ]


@pytest.mark.skipif(AMTOOL is None, reason="needs amtool (prometheus-alertmanager)")
def test_amtool_accepts_it_and_finds_the_receivers(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(routing_yaml(documents(CONFIG)))

    def amtool(*arguments: str) -> str:
        assert AMTOOL
        return subprocess.run([AMTOOL, *arguments], capture_output=True, text=True, check=True).stdout

    assert "5 receivers" in amtool("check-config", str(path))
    routes = ("config", "routes", "test", f"--config.file={path}")
    assert amtool(*routes, "severity=page", "bot=scalper-1", "alertname=latency-p99") == "bad,slow\n"
    assert amtool(*routes, "severity=warning", "team=blue", "category=RESOURCE") == "blue\n"
    assert amtool(*routes, "severity=warning", "team=blue") == "default\n"

"""Prometheus scrapes every part; its rules are valid, tested, and ask only for metrics that exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.dashboard.alertmanager.routes import PREFIX
from shared.runtime.redis.record_log import MAX_ENTRIES
from tests.support import require_program

pytestmark = pytest.mark.slow  # starts processes

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "prometheus"
CONFIG: dict[str, Any] = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
    "services"
]
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
NOT_PARTS = ("secrets", "migrate", "demo", "botwatch", "caddy")
"""Services that run once or on demand, and the demo bot: none of them answers /metrics."""


def rules() -> list[dict[str, Any]]:
    """Return every rule of every file."""
    documents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for document in documents for group in document["groups"] for rule in group["rules"]]


def targets() -> dict[str, str]:
    """Return each job's one name in DNS, with the port."""
    found = {}
    for scrape in CONFIG["scrape_configs"]:
        if scrape["job_name"] == "prometheus":
            continue
        [discovery] = scrape["dns_sd_configs"]
        [name] = discovery["names"]
        found[scrape["job_name"]] = f"{name}:{discovery['port']}"
        assert discovery["type"] == "A"
    return found


def promtool(*arguments: str | Path) -> None:
    """Run promtool; without it skip the test, or fail in CI."""
    require_program("promtool")
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_in_compose_is_scraped() -> None:
    found = targets()
    parts = [
        name
        for name, service in SERVICES.items()
        if service["image"].startswith("botwatch-") and name not in NOT_PARTS
    ]
    assert set(found) == {*parts}
    for name in parts:
        port = SERVICES[name]["healthcheck"]["test"][-1]
        assert found[name] == f"{name}:{port}"


def test_everything_in_services_is_scraped() -> None:
    folders = {path.parent.name for path in ROOT.glob("services/*/__main__.py")}
    assert folders <= set(targets())


def test_promtool_accepts_the_configuration(tmp_path: Path) -> None:
    token = tmp_path / "api-token"
    token.write_text("bw_test")
    text = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    assert "/run/botwatch/api-token" in text
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/botwatch/api-token", str(token)))
    (tmp_path / "rules").symlink_to(FOLDER / "rules")
    promtool("check", "config", tmp_path / "prometheus.yml")


def test_every_part_is_scraped_with_the_token() -> None:
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    for scrape in config["scrape_configs"]:
        has_token = "authorization" in scrape
        assert has_token is (scrape["job_name"] != "prometheus"), scrape["job_name"]


def test_every_part_has_the_labels_that_rules_and_dashboards_select() -> None:
    """The labels `app` and `part` tell Botwatch's targets from others of the same Prometheus."""
    for scrape in CONFIG["scrape_configs"]:
        labels = {one["target_label"] for one in scrape.get("relabel_configs", ())}
        assert labels == ({"app", "part"} if scrape["job_name"] != "prometheus" else set())


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", *RULES)


def test_the_rules_do_what_their_tests_say() -> None:
    promtool("test", "rules", *TESTS)


def test_every_rule_has_a_test() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in TESTS)
    for rule in rules():
        assert re.search(rf"\b{re.escape(rule.get('alert') or rule['record'])}\b", text), rule


def test_every_alert_says_how_grave_it_is_and_what_it_means() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("critical", "high", "medium", "low")
            assert set(rule["annotations"]) == {"summary", "description", "runbook", "runbook_url"}
            assert rule["annotations"]["runbook_url"].endswith(f"/runbooks/{rule['annotations']['runbook']}")


def test_rules_read_series_of_botwatch_only() -> None:
    """A user's Prometheus scrapes other things, too: each selector has the label `app`."""
    for rule in rules():
        selectors = re.findall(r"\b(?:up|botwatch_\w+)(?![\w:])(\{[^}]*\})?", rule["expr"])
        assert all('app="botwatch"' in labels for labels in selectors), rule


def test_the_alert_on_a_full_log_knows_the_cap() -> None:
    [rule] = [rule for rule in rules() if rule.get("alert") == "BotwatchLogNearlyFull"]
    assert rule["expr"].endswith(f"> {MAX_ENTRIES * 8 // 10}")
    assert f"of {MAX_ENTRIES:,} entries" in rule["annotations"]["description"]


def test_what_the_watchdog_notifies_of_is_not_sent_to_botwatch_again() -> None:
    """Every part but the watchdog itself, and alerts that there are; the rest goes to the dashboard."""
    [server] = CONFIG["alerting"]["alertmanagers"]
    assert server["path_prefix"] == PREFIX
    assert server["static_configs"] == [{"targets": [targets()["dashboard"]]}]
    of_parts, others = CONFIG["alerting"]["alert_relabel_configs"]
    for rule in ("BotwatchPartDown", "BotwatchPartGone"):
        parts = {name for name in targets() if re.fullmatch(of_parts["regex"], f"{rule}/{name}")}
        assert parts == targets().keys() - {"watchdog"}, rule
    assert {*others["regex"].split("|")} < {rule.get("alert") for rule in rules()}

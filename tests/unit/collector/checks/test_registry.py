"""Which checks a document asks for, and that every kind of check has its probe."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from services.collector.checks.registry import PROBES, SECURITY, load_checks
from services.collector.checks.scheduler import ScheduledCheck
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import KINDS, SecuritySection
from shared.runtime.config.documents import MonitoringSection
from shared.runtime.encrypted_values import encrypt, new_key
from shared.schema.faults import InvalidError
from shared.schema.records import CheckType

PLACE = WatchedHost("box", Path("/proc"), Path("/"))
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVERY_KIND = sorted({*get_args(CheckType)} - {"heartbeat"})
"""Heartbeats are no looks: they come to the door by themselves."""


def watched(**section: Any) -> dict[str, ScheduledCheck]:
    """Return what a document's section asks for, by name."""
    return {one.name: one for one in load_checks(msgspec.convert(section, MonitoringSection), PLACE)}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_check_has_a_probe(kind: str) -> None:
    assert callable(PROBES[kind])


def test_no_kind_is_in_the_table_that_records_do_not_have() -> None:
    assert set(PROBES) == set(EVERY_KIND)


def test_every_key_of_the_document_that_asks_for_a_check_is_known() -> None:
    assert {*KINDS, *SECURITY, "exchange"} == set(EVERY_KIND)
    keys = {field.name for field in msgspec.structs.fields(SecuritySection)} - {"every"}
    assert {key for _, key in SECURITY.values()} == keys


def test_the_seeds_document_asks_for_no_checks() -> None:
    assert watched(intervalSeconds=5, enabledChecks=["cpu", "memory", "disk", "network", "processes"]) == {}


def test_a_check_has_its_times_and_what_a_failure_is() -> None:
    check = {"tcp": "127.0.0.1:1", "every": "20s", "timeout": "3s", "slow": "1s", "failures": 3,
             "severity": "warning"}  # fmt: skip
    one = watched(checks={"database port": check})["database port"]
    assert one[2:] == (20.0, 3.0, 3, "warning", 1000)
    assert one.probe.type == "tcp"


@pytest.mark.parametrize(("every", "timeout"), [("4s", 4.0), ("1m", 10.0)])
def test_a_check_has_ten_seconds_or_its_interval(every: str, timeout: float) -> None:
    assert watched(checks={"a": {"tcp": "127.0.0.1:1", "every": every}})["a"].timeout_s == timeout


@pytest.mark.parametrize(
    ("enabled", "names"),
    [
        (["network", "processes"], {"bot", "web", "address", "file", "binance", "binance-status"}),
        (["network"], {"web", "address", "file", "binance", "binance-status"}),
        (["processes"], {"bot", "file"}),
        ([], {"file"}),
    ],
)
def test_enabled_checks_switch_processes_and_network_off(enabled: list[str], names: set[str]) -> None:
    checks = {
        "bot": {"process": {"name": "trading-bot"}},
        "web": {"http": {"url": "http://127.0.0.1:1/"}},
        "address": {"certificate": {"address": "127.0.0.1:1"}},
        "file": {"certificate": {"file": "/etc/ssl/own.pem"}},
    }
    page = "http://127.0.0.1:1/api/v2/summary.json"
    exchanges = {"binance": {"statusPage": page}}
    assert set(watched(enabledChecks=enabled, checks=checks, exchanges=exchanges)) == names


def test_an_exchange_takes_what_it_leaves_out_from_the_preset_of_its_name() -> None:
    found = watched(exchanges={"kraken": {"every": "15s"}})
    assert {name: one.probe.type for name, one in found.items()} == {
        "kraken": "exchange",
        "kraken-status": "status_page",
    }
    assert {one.every_s for one in found.values()} == {15.0}


def test_all_that_cannot_be_made_is_named_with_its_place() -> None:
    exchanges: dict[str, object] = {"binanse": {}, "krakn": {}}
    with pytest.raises(InvalidError) as refused:
        watched(exchanges=exchanges)
    faults = [str(fault) for fault in refused.value.faults]
    assert [fault.split(": ")[1] for fault in faults] == [
        "$.monitoring.exchanges.binanse",
        "$.monitoring.exchanges.krakn",
    ]
    assert "did you mean 'binance'" in faults[0]


def test_two_checks_of_one_name_are_refused() -> None:
    checks = {"kraken-status": {"tcp": "127.0.0.1:1"}}
    with pytest.raises(InvalidError, match="unique check names"):
        watched(checks=checks, exchanges={"kraken": {}})


def test_what_happened_counts_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []

    class Sudo:
        type: CheckType = "sudo"

    def make(section: object, timeout_s: float, place: WatchedHost) -> Any:
        given.extend((section, timeout_s, place))
        return Sudo()

    monkeypatch.setitem(PROBES, "sudo", make)
    one = watched(enabledChecks=[], security={"sudo": {}, "every": "30s"})["sudo"]
    assert (one.failures, one.severity, one.every_s) == (1, "critical", 30.0)
    assert isinstance(given[0], SecuritySection)
    assert given[1:] == [10.0, PLACE]


def test_encrypted_values_are_used_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check's URL may be encrypted; without the key the check is named with what is missing."""
    monkeypatch.setenv("BOTWATCH_KEY", new_key())
    url = encrypt("http://ann:hush@127.0.0.1:1/", os.environ)
    seen = watched(checks={"web": {"http": {"url": url}, "timeout": "1s"}})["web"].probe.run(NOON)
    assert (seen.status, seen.reason) == ("critical", "refused")
    monkeypatch.delenv("BOTWATCH_KEY")
    with pytest.raises(InvalidError, match=r"checks\.web: BOTWATCH_KEY: not set"):
        watched(checks={"web": {"http": {"url": url}}})

"""The probe of names: the system's resolver with /etc/hosts, and resolvers that fail."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.dns import create_probe, evaluate_addresses
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import DnsSection

PLACE = WatchedHost("here", Path("/proc"), Path("/"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def look(name: str, *expect: str) -> CheckResult:
    return create_probe(DnsSection(name=name, expect=list(expect)), 5.0, PLACE).run(NOON)


def test_a_name_that_resolves_is_fine_and_timed() -> None:
    seen = look("localhost", "127.0.0.1", "::1")
    assert seen.status == "ok"
    assert seen.figures["dns_ms"] > 0


def test_an_address_that_was_not_expected_is_told_with_the_expected() -> None:
    seen = look("localhost", "203.0.113.7", "2001:db8::1")
    assert (seen.status, seen.reason) == ("critical", "changed")
    assert seen.text.endswith(", expected 203.0.113.7 or 2001:db8::1")
    assert "127.0.0.1" in seen.text or "::1" in seen.text


def test_a_name_that_does_not_resolve_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_given: Any, **_further: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    seen = look("api.example")
    assert (seen.status, seen.reason) == ("critical", "dns")
    assert seen.text == "DNS lookup of api.example failed: no name server answered"


def test_addresses_are_compared_however_they_are_written() -> None:
    expected = create_probe(DnsSection(name="x", expect=["2001:DB8:0:0::1"]), 5.0, PLACE)
    assert expected.type == "dns"
    assert evaluate_addresses("x", ["2001:db8::1"], ["2001:db8::1"]).status == "ok"
    assert evaluate_addresses("x", ["fe80::1%eth0"], ["fe80::1"]).status == "ok"


def test_of_many_addresses_some_are_named() -> None:
    text = evaluate_addresses("x", [f"10.0.0.{n}" for n in range(20)], []).text
    assert text.endswith("10.0.0.7, …")


def test_an_expected_address_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="not-an-address"):
        look("localhost", "not-an-address")

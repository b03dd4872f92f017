"""The probe of a port of another host, against real sockets."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.tcp import create_probe, parse_address
from services.collector.host.watched_host import WatchedHost
from tests.support import free_port
from tests.unit.collector.fake_servers import listening, never_respond

PLACE = WatchedHost("here", Path("/proc"), Path("/"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def look(address: str) -> CheckResult:
    return create_probe(address, 5.0, PLACE).run(NOON)


def test_a_port_that_takes_connections_is_fine_and_timed() -> None:
    with listening(never_respond) as port:
        seen = look(f"127.0.0.1:{port}")
    assert (seen.status, seen.text) == ("ok", f"127.0.0.1:{port} accepts connections")
    assert set(seen.figures) == {"check_latency_ms", "dns_ms", "connect_ms"}


def test_a_closed_port_is_refused() -> None:
    port = free_port()
    seen = look(f"127.0.0.1:{port}")
    assert (seen.status, seen.reason) == ("critical", "refused")
    assert seen.text == f"Cannot connect to 127.0.0.1:{port}: connection refused by 127.0.0.1"


@pytest.mark.parametrize(
    ("address", "expected"),
    [("db:5432", ("db", 5432)), ("[::1]:80", ("::1", 80)), ("1.2.3.4:1", ("1.2.3.4", 1))],
)
def test_addresses_have_a_host_and_a_port(address: str, expected: tuple[str, int]) -> None:
    assert parse_address(address) == expected


def test_a_port_that_no_port_can_be_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="from 1 to 65535"):
        look("db:70000")

"""A port of another host that must take connections."""

import time
from datetime import datetime

from services.collector.checks.base import CheckResult, Probe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.http.dial import NetworkError, dial
from shared.schema.records import CheckType


def create_probe(address: str, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `address`; ValueError when there is no such port."""
    del place  # It is asked over the network.
    return TcpProbe(address, timeout_s)


class TcpProbe:
    """Connects and hangs up."""

    type: CheckType = "tcp"

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        self._host, self._port = parse_address(address)
        self._timeout_s = timeout_s

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now
        try:
            found = dial(self._host, self._port, time.monotonic() + self._timeout_s)
        except NetworkError as error:
            return CheckResult("unknown" if error.reason == "other" else "critical", error.text, error.reason)
        found.socket.close()
        figures = {"check_latency_ms": found.dns_ms + found.connect_ms, **found.metrics}
        return CheckResult("ok", f"{self._address} accepts connections", figures=figures)


def parse_address(address: str) -> tuple[str, int]:
    """Split `host:port` or `[IPv6]:port`; ValueError when no port has that number."""
    host, _, number = address.rpartition(":")
    port = int(number)
    if not 0 < port <= 65_535:  # noqa: PLR2004 - TCP's largest
        raise ValueError(f"expected a port from 1 to 65535, got {address!r}")
    return host.strip("[]"), port

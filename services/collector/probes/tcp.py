"""A port of another host that must take connections."""

import time
from datetime import datetime

from services.collector.connecting import ConnectError, connect
from services.collector.place import Place
from services.collector.probe import Look, Probe
from shared.runtime.checks import CheckSection
from shared.schema.records import CheckType


def probe(section: CheckSection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.tcp`; ValueError when there is no such port."""
    del place  # It is asked over the network.
    if section.tcp is None:
        raise TypeError("not a check of a TCP port")
    return TcpProbe(section.tcp, timeout_s)


class TcpProbe:
    """Connects and hangs up."""

    type: CheckType = "tcp"

    def __init__(self, address: str, timeout_s: float) -> None:
        self._address = address
        self._host, self._port = parse_address(address)
        self._timeout_s = timeout_s

    def look(self, now: datetime) -> Look:
        """Look once."""
        del now
        try:
            found = connect(self._host, self._port, time.monotonic() + self._timeout_s)
        except ConnectError as error:
            return Look("unknown" if error.reason == "other" else "critical", error.text, error.reason)
        found.socket.close()
        figures = {"check_latency_ms": found.dns_ms + found.connect_ms, **found.figures}
        return Look("ok", f"{self._address} takes connections", figures=figures)


def parse_address(address: str) -> tuple[str, int]:
    """Split `host:port` or `[IPv6]:port`; ValueError when no port has that number."""
    host, _, number = address.rpartition(":")
    port = int(number)
    if not 0 < port <= 65_535:  # noqa: PLR2004 - TCP's largest
        raise ValueError(f"expected a port from 1 to 65535, got {address!r}")
    return host.strip("[]"), port

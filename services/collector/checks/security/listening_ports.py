"""Listening ports: those that were not open in the first run."""

import ipaddress
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.saved_state import SavedState
from services.collector.checks.security.file_patterns import join_limited
from services.collector.host import process_table
from services.collector.host.sockets import Listener, tcp_listeners, udp_listeners
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import ListeningSection
from shared.schema.records import CheckType

_EPHEMERAL = 32_768
"""The first of the ports that the kernel hands out, where it does not say."""
MAX_LISTED = 5


class ListeningSocket(NamedTuple):
    """A way into this host."""

    protocol: str
    listener: Listener

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it."""
        address = ipaddress.ip_address(self.listener.address)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    @property
    def key(self) -> str:
        """What stays the same over a restart of who listens; opened to others, a port is another one."""
        return f"{self.protocol} {self.listener.port}{' loopback' if self.loopback else ''}"


class KnownPorts(msgspec.Struct):
    """What listened in the first run."""

    sockets: list[str] = msgspec.field(name="doors")


def create_probe(section: ListeningSection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section`."""
    del timeout_s  # /proc answers at once.
    return ListeningProbe(section, place, SavedState(KnownPorts, "listening", place.state))


class ListeningProbe:
    """Reads the host's socket tables; a new port is a warning until it is closed or allowed."""

    type: CheckType = "listening"

    def __init__(self, section: ListeningSection, place: WatchedHost, state: SavedState[KnownPorts]) -> None:
        self._section = section
        self._proc = place.proc
        self._net = place.net
        self._state = state
        self._known: frozenset[str] | None = None
        self._names: dict[int, str] = {}

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if the tables cannot be read."""
        del now
        try:
            sockets = list(listening_sockets(self._net, first_ephemeral(self._proc)))
        except PermissionError as error:
            return CheckResult("unknown", f"Permission denied on {error.filename}", "denied")
        except OSError as error:
            return CheckResult("unknown", f"Cannot read the socket tables: {error}", "other")
        known = self._load_baseline(sockets)
        # All are remembered, so that a change of the settings finds what stood there from the beginning.
        counted = [one for one in sockets if self._section.loopback or not one.loopback]
        new = [d for d in counted if d.key not in known and d.listener.port not in self._section.allow]
        self._names = {one.listener.inode: self._process_name(one.listener.inode) for one in new}
        figures = {"occurrences": len({one.key for one in new})}
        if not new:
            return CheckResult("ok", f"No new port among {len(counted)} listening sockets", None, figures)
        descriptions = [
            f"{self._names[one.listener.inode]} on {one.listener} ({one.protocol})" for one in new
        ]
        text = f"New listening port: {join_limited(descriptions, MAX_LISTED)}; not in the baseline or `allow`"
        return CheckResult("warning", text, "changed", figures)

    def _load_baseline(self, sockets: Sequence[ListeningSocket]) -> frozenset[str]:
        if self._known is None:
            state = self._state.load()
            if state is None:
                state = KnownPorts(sorted({one.key for one in sockets}))
                self._state.save(state)
            self._known = frozenset(state.sockets)
        return self._known

    def _process_name(self, inode: int) -> str:
        """Name the process; finding it reads all open files, so only once."""
        if inode in self._names:
            return self._names[inode]
        process = process_table.socket_owner(self._proc, inode)
        return str(process) if process else "an unreadable process"


def listening_sockets(net: Path, ephemeral: int) -> Iterator[ListeningSocket]:
    """Yield TCP listeners, and UDP ones below the ephemeral ports."""
    yield from (ListeningSocket("TCP", listener) for listener in tcp_listeners(net))
    yield from (
        ListeningSocket("UDP", listener) for listener in udp_listeners(net) if listener.port < ephemeral
    )


def first_ephemeral(proc: Path) -> int:
    """Return the first of the ports that the kernel hands out."""
    try:
        return int((proc / "sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except FileNotFoundError:
        return _EPHEMERAL

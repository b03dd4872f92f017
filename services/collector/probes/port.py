"""A TCP port of the watched host on which something must listen."""

import ipaddress
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from services.collector import process_table
from services.collector.config import OWN_PROC
from services.collector.place import Place
from services.collector.probe import Look, Probe
from shared.runtime.checks import CheckSection
from shared.schema.records import CheckType

_ADDRESS, _STATE, _INODE = 1, 3, 9
"""Columns of /proc/net/tcp. Source: proc_net(5)."""
_LISTENS = "0A"
_WORD = 8


class Listener(NamedTuple):
    """A socket that takes connections."""

    address: str
    port: int
    inode: int

    def __str__(self) -> str:
        """Write it as a URL does."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def probe(section: CheckSection, timeout_s: float, place: Place) -> Probe:
    """Make the probe of `section.port`."""
    del timeout_s  # /proc answers at once.
    if section.port is None:
        raise TypeError("not a check of a port")
    return PortProbe(section.port, place)


class PortProbe:
    """Looks into the host's table of sockets: no connection is made, nothing in a server's log."""

    type: CheckType = "port"

    def __init__(self, port: int, place: Place) -> None:
        self._port = port
        self._proc = place.proc
        # /proc/net is that of whoever asks: the host's is under its first process.
        self._net = place.proc / ("self" if place.proc == OWN_PROC else "1") / "net"
        self._owner: tuple[int, str] = (0, "")

    def look(self, now: datetime) -> Look:
        """Look once; `unknown` when the table cannot be read."""
        del now
        try:
            found = [one for one in listeners(self._net) if one.port == self._port]
        except PermissionError as error:
            return Look("unknown", f"{error.filename} may not be read by this collector", "denied")
        except OSError as error:
            return Look("unknown", f"the table of sockets cannot be read: {error}", "other")
        if not found:
            return Look("critical", f"nothing listens on port {self._port} of this host", "not_running")
        where = " and ".join(str(one) for one in found)
        return Look("ok", f"{self._name(found[0].inode)} listens on {where}")

    def _name(self, inode: int) -> str:
        """Name the process; to look for it means to look through all open files: only when it changed."""
        if self._owner[0] != inode:
            process = process_table.socket_owner(self._proc, inode)
            self._owner = (inode, str(process) if process else "a process that may not be read")
        return self._owner[1]


def listeners(net: Path) -> Iterator[Listener]:
    """Yield the listening sockets of IPv4 and, where there is one, IPv6."""
    yield from parse_tcp((net / "tcp").read_text())
    six = net / "tcp6"
    if six.exists():
        yield from parse_tcp(six.read_text())


def parse_tcp(text: str) -> Iterator[Listener]:
    """Read /proc/net/tcp or tcp6."""
    for line in text.splitlines()[1:]:
        columns = line.split()
        if columns[_STATE] != _LISTENS:
            continue
        address, _, port = columns[_ADDRESS].partition(":")
        yield Listener(_parse_address(address), int(port, 16), int(columns[_INODE]))


def _parse_address(text: str) -> str:
    # Words of four bytes, each in this machine's own order.
    words = (int(text[at : at + _WORD], 16) for at in range(0, len(text), _WORD))
    return str(ipaddress.ip_address(b"".join(word.to_bytes(4, sys.byteorder) for word in words)))

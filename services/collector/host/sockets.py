"""Listening sockets of the watched host, from its kernel's tables. Source: proc_net(5).

psutil's `net_connections` would also read every open file of every process, and has no inodes, by which the
owner of a single socket is found.
"""

import ipaddress
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_ADDRESS, _REMOTE, _STATE, _INODE = 1, 2, 3, 9
"""Columns of /proc/net/tcp and udp."""
_LISTENS, _UNCONNECTED = "0A", "07"
_WORD = 8


class Listener(NamedTuple):
    """A socket that takes connections, or datagrams from anybody."""

    address: str
    port: int
    inode: int

    def __str__(self) -> str:
        """Write it as a URL does."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def tcp_listeners(net: Path) -> Iterator[Listener]:
    """Yield what listens by TCP, of IPv4 and, where there is one, IPv6; `net` is the host's /proc/net."""
    yield from parse_tcp((net / "tcp").read_text())
    if (six := net / "tcp6").exists():
        yield from parse_tcp(six.read_text())


def udp_listeners(net: Path) -> Iterator[Listener]:
    """Yield what takes datagrams from anybody."""
    for name in ("udp", "udp6"):
        if (table := net / name).exists():
            yield from parse_udp(table.read_text())


def parse_tcp(text: str) -> Iterator[Listener]:
    """Read /proc/net/tcp or tcp6."""
    return (_listener(columns) for columns in _table_rows(text) if columns[_STATE] == _LISTENS)


def parse_udp(text: str) -> Iterator[Listener]:
    """Read /proc/net/udp or udp6."""
    for columns in _table_rows(text):
        if columns[_STATE] == _UNCONNECTED and columns[_REMOTE].endswith(":0000"):
            yield _listener(columns)


def _table_rows(text: str) -> Iterator[list[str]]:
    return (line.split() for line in text.splitlines()[1:])


def _listener(columns: list[str]) -> Listener:
    address, _, port = columns[_ADDRESS].partition(":")
    # Words of four bytes, each in this machine's own order.
    words = (int(address[at : at + _WORD], 16) for at in range(0, len(address), _WORD))
    packed = b"".join(word.to_bytes(4, sys.byteorder) for word in words)
    return Listener(str(ipaddress.ip_address(packed)), int(port, 16), int(columns[_INODE]))

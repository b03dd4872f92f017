"""New listening ports: real sockets, and recorded tables."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.collector.checks.base import Probe
from services.collector.checks.security.listening_ports import create_probe
from services.collector.host.sockets import Listener, parse_udp
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import ListeningSection

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = WatchedHost("here", Path("/proc"), Path("/"))
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"
EXPECTED = "not in the baseline or `allow`"
little = pytest.mark.skipif(sys.byteorder != "little", reason="the tables are of little-endian machines")


def watching(
    folder: Path, place: WatchedHost = HERE, *, allow: list[int] | None = None, loopback: bool = False
) -> Probe:
    section = ListeningSection(allow=allow or [], loopback=loopback)
    return create_probe(section, 10, place._replace(state=folder))


class Table:
    """A host's tables of sockets, as /proc has them."""

    def __init__(self, folder: Path) -> None:
        self.place = WatchedHost("far", folder / "proc", folder)
        self._net = folder / "proc" / "1" / "net"
        self._net.mkdir(parents=True)
        self.tcp()

    def tcp(self, *addresses: str) -> None:
        """Let something listen on `0100007F:1F90`."""
        self._write("tcp", "0A", addresses)

    def udp(self, *addresses: str) -> None:
        """Let something take datagrams."""
        self._write("udp", "07", addresses)

    def _write(self, name: str, state: str, addresses: tuple[str, ...]) -> None:
        lines = [
            f"   0: {address} 00000000:0000 {state} {REST} {77 + n} 1\n"
            for n, address in enumerate(addresses)
        ]
        (self._net / name).write_text(HEAD + "".join(lines))


@contextmanager
def server(address: str = "0.0.0.0") -> Iterator[int]:  # noqa: S104 - only what others reach is news
    """Listen."""
    with socket.create_server((address, 0)) as listening:
        yield int(listening.getsockname()[1])


def test_a_new_port_is_told_until_it_is_closed(tmp_path: Path) -> None:
    # Others use this machine: what they open meanwhile is not looked at.
    probe_ = watching(tmp_path)
    before = probe_.run(NOON)
    assert before.status == "ok"
    with server() as port:
        seen = [probe_.run(NOON) for _ in range(2)]
        for one in seen:
            assert (one.status, one.reason) == ("warning", "changed")
            assert f"({os.getpid()}) on 0.0.0.0:{port} (TCP)" in one.text
            assert one.text.endswith(EXPECTED)
    assert f":{port} " not in probe_.run(NOON).text


def test_a_real_udp_port_is_told(tmp_path: Path) -> None:
    watched = watching(tmp_path)
    watched.run(NOON)
    with socket.socket(type=socket.SOCK_DGRAM) as taker:
        port = _bind_below_ephemeral(taker)
        assert f"({os.getpid()}) on 0.0.0.0:{port} (UDP)" in watched.run(NOON).text


def _bind_below_ephemeral(taker: socket.socket) -> int:
    for port in range(20_000, 21_000):
        try:
            taker.bind(("0.0.0.0", port))  # noqa: S104 - only what others reach is news
        except OSError:
            continue
        return port
    raise AssertionError("no port is free")


@little
def test_a_port_of_the_first_run_stays_known_after_a_restart(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.tcp("00000000:0016")
    assert watching(tmp_path / "state", table.place).run(NOON).text == "No new port among 1 listening sockets"
    table.tcp("00000000:0016", "00000000:1F90")
    for _ in range(2):
        seen = watching(tmp_path / "state", table.place).run(NOON)
        assert seen.text == f"New listening port: an unreadable process on 0.0.0.0:8080 (TCP); {EXPECTED}"
        assert seen.figures == {"occurrences": 1}


@little
def test_a_known_port_may_go_and_come_again(tmp_path: Path) -> None:
    table = Table(tmp_path)
    watched = watching(tmp_path / "state", table.place)
    statuses = []
    for addresses in (["00000000:1F90"], [], ["00000000:1F90"]):
        table.tcp(*addresses)
        statuses.append(watched.run(NOON).status)
    assert statuses == ["ok", "ok", "ok"]


@little
def test_a_port_that_is_allowed_is_no_news(tmp_path: Path) -> None:
    table = Table(tmp_path)
    watched = watching(tmp_path / "state", table.place, allow=[8080])
    watched.run(NOON)
    table.tcp("00000000:1F90")
    assert watched.run(NOON).status == "ok"
    table.tcp("00000000:1F90", "00000000:1F91")
    assert "0.0.0.0:8081" in watched.run(NOON).text


@little
@pytest.mark.parametrize(
    ("address", "loopback"),
    [("0100007F:1F90", True), ("050000 7F:1F90".replace(" ", ""), True), ("0A00000A:1F90", False)],
)
def test_what_only_this_machine_reaches_counts_if_asked_for(
    tmp_path: Path, address: str, loopback: bool
) -> None:
    table = Table(tmp_path)
    others = watching(tmp_path / "others", table.place)
    all_ = watching(tmp_path / "all", table.place, loopback=True)
    for watched in (others, all_):
        watched.run(NOON)
    table.tcp(address)
    assert others.run(NOON).status == ("ok" if loopback else "warning")
    assert all_.run(NOON).status == "warning"


@little
def test_a_port_of_this_machine_that_opens_to_others_is_news(tmp_path: Path) -> None:
    table = Table(tmp_path)
    table.tcp("0100007F:18EB")
    watched = watching(tmp_path / "state", table.place, loopback=True)
    assert watched.run(NOON).status == "ok"
    table.tcp("00000000:18EB")
    assert " on 0.0.0.0:6379 (TCP)" in watched.run(NOON).text


@little
def test_udp_ports_that_the_kernel_hands_out_come_and_go_unnoticed(tmp_path: Path) -> None:
    table = Table(tmp_path)
    limits = tmp_path / "proc/sys/net/ipv4/ip_local_port_range"
    limits.parent.mkdir(parents=True)
    limits.write_text("20000\t60999\n")
    watched = watching(tmp_path / "state", table.place)
    watched.run(NOON)
    table.udp("00000000:4E20")
    assert watched.run(NOON).status == "ok"
    table.udp("00000000:4E1F")
    assert " on 0.0.0.0:19999 (UDP)" in watched.run(NOON).text


@little
def test_recorded_tables_are_read() -> None:
    four = HEAD + f"  12: 3500007F:0035 00000000:0000 07 {REST} 77 2 0 0\n"
    four += f"  13: 3500007F:0036 0100007F:0035 01 {REST} 78 2 0 0\n"
    six = HEAD + f"  14: {'0' * 32}:0222 {'0' * 32}:0000 07 {REST} 79 2 0 0\n"
    assert list(parse_udp(four)) == [Listener("127.0.0.53", 53, 77)]
    assert list(parse_udp(six)) == [Listener("::", 546, 79)]


@little
def test_a_mapped_address_of_this_machine_is_one(tmp_path: Path) -> None:
    table = Table(tmp_path)
    watched = watching(tmp_path / "state", table.place)
    watched.run(NOON)
    line = f"   0: 0000000000000000FFFF00000100007F:1F90 {'0' * 32}:0000 0A {REST} 77 1\n"
    (tmp_path / "proc/1/net/tcp6").write_text(HEAD + line)
    assert watched.run(NOON).status == "ok"


def test_tables_that_cannot_be_read_are_unknown_and_teach_nothing(tmp_path: Path) -> None:
    place = WatchedHost("far", tmp_path, tmp_path)
    seen = watching(tmp_path / "state", place).run(NOON)
    assert (seen.status, seen.reason) == ("unknown", "other")
    assert not (tmp_path / "state").exists()

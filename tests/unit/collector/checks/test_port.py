"""The probe of listening ports: this machine's table of sockets, and recorded ones."""

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.collector.checks.base import Probe
from services.collector.checks.port import create_probe
from services.collector.host.sockets import Listener, parse_tcp
from services.collector.host.watched_host import WatchedHost
from tests.support import free_port

HERE = WatchedHost("here", Path("/proc"), Path("/"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
REST = "00000000:00000000 00:00000000 00000000     0        0"


def watching(port: int, place: WatchedHost = HERE) -> Probe:
    return create_probe(port, 1.0, place)


def test_who_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        seen = watching(port).run(NOON)
    assert seen.status == "ok"
    assert f"({os.getpid()}) listens on 127.0.0.1:{port}" in seen.text


def test_a_port_that_was_closed_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        watched = watching(port)
        assert watched.run(NOON).status == "ok"
    seen = watched.run(NOON)
    assert (seen.status, seen.reason) == ("critical", "not_running")
    assert seen.text == f"Nothing is listening on port {port}"


def test_a_connection_from_a_port_is_no_listener() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind(("127.0.0.1", port))
        client.connect(server.getsockname())
        assert watching(port).run(NOON).status == "critical"


@pytest.mark.skipif(sys.byteorder != "little", reason="the table was recorded on a little-endian machine")
def test_recorded_tables_are_read() -> None:
    four = HEAD + f"   0: 0100007F:1F90 00000000:0000 0A {REST} 77 1 0 100 0 0 10 0\n"
    four += f"   1: 0100007F:1F91 0100007F:1F90 01 {REST} 78 1 0 100 0 0 10 0\n"
    six = HEAD + f"   0: 000080FE000000000000000001000000:0050 {'0' * 32}:0000 0A {REST} 79 1 0 100\n"
    assert list(parse_tcp(four)) == [Listener("127.0.0.1", 8080, 77)]
    assert [str(one) for one in parse_tcp(six)] == ["[fe80::1]:80"]


def test_a_container_reads_the_table_of_the_hosts_first_process(tmp_path: Path) -> None:
    net = tmp_path / "1" / "net"
    net.mkdir(parents=True)
    (net / "tcp").write_text(HEAD + f"   0: 00000000:1F90 00000000:0000 0A {REST} 77 1 0 100 0 0 10 0\n")
    seen = watching(8080, WatchedHost("far", tmp_path, tmp_path)).run(NOON)
    assert (seen.status, seen.text) == ("ok", "an unreadable process listens on 0.0.0.0:8080")


def test_a_table_that_cannot_be_read_is_no_failure_of_the_port(tmp_path: Path) -> None:
    seen = watching(8080, WatchedHost("far", tmp_path, tmp_path)).run(NOON)
    assert (seen.status, seen.reason) == ("unknown", "other")

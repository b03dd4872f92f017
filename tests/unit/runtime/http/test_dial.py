"""Connecting in phases, against real sockets and TLS servers on loopback."""

import errno
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.http import dial as dialing
from shared.runtime.http.dial import ConnectError, dial
from tests.support import free_port
from tests.unit.collector.fake_servers import (
    SelfSignedCertificate,
    hang_up,
    listening,
    never_respond,
    respond_with,
)

A_MOMENT = 0.2


def soon(seconds: float = 5.0) -> float:
    return time.monotonic() + seconds


def failure(port: int, deadline: float, **further: Any) -> ConnectError:
    with pytest.raises(ConnectError) as caught:
        dial(further.pop("host", "127.0.0.1"), port, deadline, **further)
    return caught.value


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str, port: int) -> None:
    """Let every name have these addresses."""
    real = socket.getaddrinfo

    def answer(host: str, *given: Any, **further: Any) -> Any:
        if further.get("flags"):
            return real(host, *given, **further)
        return [one for address in addresses for one in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.fixture
def full() -> Iterator[int]:
    """Yield a port whose queue is full: the kernel drops what comes, as a firewall does."""
    with socket.socket() as server, socket.socket() as first, socket.socket() as second:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for one in (first, second):
            one.settimeout(0)
            one.connect_ex(server.getsockname())
        yield int(server.getsockname()[1])


def test_a_connection_tells_how_long_its_phases_took() -> None:
    with listening(never_respond) as port:
        found = dial("localhost", port, soon())
        found.socket.close()
    assert set(found.metrics) == {"dns_ms", "connect_ms"}
    assert min(found.metrics.values()) > 0


def test_tls_is_a_phase_of_its_own_and_shows_the_certificate(tmp_path: Path) -> None:
    identity = SelfSignedCertificate(tmp_path, "localhost")
    with listening(never_respond, identity.server) as port:
        found = dial("localhost", port, soon(), identity.client)
        found.socket.close()
    assert found.tls_ms
    assert found.certificate


def test_a_port_where_nothing_listens_refuses() -> None:
    port = free_port()
    error = failure(port, soon())
    assert error.reason == "refused"
    assert error.text == f"Cannot connect to 127.0.0.1:{port}: connection refused by 127.0.0.1"


def test_a_name_that_does_not_exist_is_a_matter_of_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*_given: Any, **_further: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    error = failure(1, soon(), host="no-such-host.example")
    assert error.reason == "dns"
    assert error.text == "no-such-host.example does not resolve (no such name, or no address)"


def test_a_name_server_that_never_answers_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    real = socket.getaddrinfo

    def answer(*given: Any, **further: Any) -> Any:
        if not further.get("flags"):
            over.wait(30)
        return real(*given, **further)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    error = failure(1, soon(A_MOMENT), host="localhost")
    over.set()
    assert error.reason == "dns"
    assert "timed out after 0.2 s" in error.text


def test_a_name_that_no_name_can_be_is_a_matter_of_dns() -> None:
    assert failure(1, soon(), host="a" * 70 + ".example").reason == "dns"


def test_no_answer_is_a_timeout(full: int) -> None:
    error = failure(full, soon(A_MOMENT))
    assert error.reason == "timeout"
    assert "timed out" in error.text


def test_the_second_address_is_tried_when_the_first_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(never_respond) as port:
        named(monkeypatch, "127.0.0.2", "127.0.0.1", port=port)
        with dial("two.example", port, soon()).socket as found:
            assert found.getpeername() == ("127.0.0.1", port)


def test_an_address_that_swallows_everything_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    with listening(never_respond) as port:
        swallowing = socket.getaddrinfo("127.0.0.1", full, type=socket.SOCK_STREAM)
        named(monkeypatch, "127.0.0.1", port=port)
        answering = dialing.resolve_host("one.example", port, soon())
        monkeypatch.setattr(dialing, "resolve_host", lambda *_: swallowing + answering)
        with dial("two.example", port, soon(2.0)).socket as found:
            assert found.getpeername() == ("127.0.0.1", port)


def test_of_several_failures_the_most_telling_counts_and_all_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    named(monkeypatch, "127.0.0.1", "127.0.0.2", port=port)
    real = socket.socket.connect

    class Cut(socket.socket):
        def connect(self, address: Any) -> None:
            if address[0] == "127.0.0.1":
                raise OSError(errno.ENETUNREACH, "Network is unreachable")
            real(self, address)

    monkeypatch.setattr(socket, "socket", Cut)
    error = failure(port, soon(), host="two.example")
    assert error.reason == "refused"
    assert "127.0.0.1 is unreachable" in error.text
    assert "connection refused by 127.0.0.2" in error.text


@pytest.mark.parametrize(
    ("names", "days", "expected"),
    [
        (["localhost"], -1, "certificate has expired"),
        (["other.example"], 30, "certificate is not valid for 'localhost'"),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(
    tmp_path: Path, names: list[str], days: float, expected: str
) -> None:
    identity = SelfSignedCertificate(tmp_path, *names, days=days)
    with listening(never_respond, identity.server) as port:
        error = failure(port, soon(), host="localhost", tls=identity.client)
    assert error.reason == "tls"
    assert error.text.startswith(f"Certificate of localhost:{port} rejected: ")
    assert expected in error.text


def test_a_self_signed_certificate_is_not_accepted(tmp_path: Path) -> None:
    identity = SelfSignedCertificate(tmp_path, "localhost")
    with listening(never_respond, identity.server) as port:
        error = failure(port, soon(), host="localhost", tls=dialing.client_context())
        dial("localhost", port, soon(), dialing.client_context(verify=False)).socket.close()
    assert "self-signed certificate" in error.text


def test_a_server_without_tls_is_told_apart() -> None:
    with listening(respond_with(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        error = failure(port, soon(), tls=dialing.client_context())
    assert (error.reason, error.text) == ("tls", f"127.0.0.1:{port} does not speak TLS")


def test_a_server_that_hangs_up_in_the_handshake_is_told_apart() -> None:
    with listening(hang_up) as port:
        error = failure(port, soon(), tls=dialing.client_context())
    assert error.reason == "tls"
    assert error.text.endswith("closed the connection during the TLS handshake")


def test_a_server_that_hangs_in_the_handshake_is_a_timeout() -> None:
    with listening(never_respond) as port:
        error = failure(port, soon(A_MOMENT), tls=dialing.client_context())
    assert error.reason == "timeout"
    assert error.text.startswith("TLS handshake with ")
    assert error.text.endswith(" timed out")

"""The kept-alive client, against servers on loopback that misbehave."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.http import client
from shared.runtime.http.client import HttpClient
from shared.runtime.http.dial import ConnectError, NetworkError
from tests.unit.collector.fake_servers import SelfSignedCertificate, listening, never_respond, respond_with


def http_client(url: str, timeout_s: float = 5.0, **headers: str) -> HttpClient:
    return HttpClient(url, connect_timeout_s=timeout_s, read_timeout_s=timeout_s, headers=headers)


def test_headers_that_trickle_in_end_at_the_deadline() -> None:
    """The timeout is a total: a byte now and then does not renew it."""
    over = threading.Event()

    def trickle(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not over.wait(0.05):
            line.sendall(b"x")

    with listening(trickle) as port:
        with pytest.raises(NetworkError, match=rf"^127.0.0.1:{port} timed out after \d+\.\d s$") as caught:
            http_client(f"http://127.0.0.1:{port}/secret", 0.3).request("POST", b"{}")
        over.set()
    assert caught.value.reason == "timeout"


def test_a_dns_lookup_without_an_answer_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's resolver has no timeout of its own."""
    over = threading.Event()
    real = socket.getaddrinfo

    def lookup(*given: Any, **further: Any) -> Any:
        if not further.get("flags"):
            over.wait(30)
        return real(*given, **further)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(ConnectError, match="DNS lookup of localhost timed out") as caught:
        http_client("http://localhost:1/secret", 0.2).request("POST", b"{}")
    over.set()
    assert caught.value.reason == "dns"


def test_a_certificate_must_be_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An untrusted certificate is rejected; over a trusted one the request is sent."""
    identity = SelfSignedCertificate(tmp_path, "127.0.0.1")
    answer = respond_with(b"HTTP/1.1 204 No Content\r\n\r\n")
    with listening(answer, identity.server) as port:
        url = f"https://127.0.0.1:{port}/"
        with pytest.raises(ConnectError, match="self-signed certificate") as caught:
            http_client(url).request("POST", b"{}")
        monkeypatch.setattr(client, "client_context", lambda: identity.client)
        assert http_client(url).request("POST", b"{}").status == 204
    assert caught.value.reason == "tls"


def test_a_token_that_is_echoed_is_masked() -> None:
    """The same holds for what a receiver repeats of the URL."""
    echo = b"no 3f5a9c0d7e1b2468 for /hook-key"
    reply = b"HTTP/1.1 500 -\r\nContent-Length: %d\r\n\r\n%b" % (len(echo), echo)
    with listening(respond_with(reply)) as port:
        sender = http_client(f"http://127.0.0.1:{port}/hook-key", Authorization="Bearer 3f5a9c0d7e1b2468")
        body = sender.request("POST", b"{}").body
    assert sender.quote(body, 100) == "no *** for ***"


def test_a_server_that_never_responds_times_out() -> None:
    """The error names the server, not the path."""
    with listening(never_respond) as port, pytest.raises(NetworkError) as caught:
        http_client(f"http://ann:hush@127.0.0.1:{port}/secret", 0.1).request("POST", b"{}")
    assert str(caught.value) == f"127.0.0.1:{port} timed out after 0.1 s"

"""The kept-alive client, against servers on loopback that misbehave."""

import gc
import gzip
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
ZIPPED = gzip.compress(b"ok")
GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(ZIPPED), ZIPPED)


@contextmanager
def answering_with(*replies: bytes) -> Iterator[tuple[HttpClient, list[list[bytes]]]]:
    """Yield a client, and what its server read on each connection; it answers with `replies` in turn."""
    read: list[list[bytes]] = []
    left = [*replies]

    def converse(line: socket.socket) -> None:
        read.append([])
        while left and (request := line.recv(65_536)):
            read[-1].append(request)
            line.sendall(left.pop(0))

    with listening(converse) as port:
        yield http_client(f"http://127.0.0.1:{port}/hook"), read


@pytest.mark.parametrize(
    "reply", [OK, CHUNKED, GZIP, EARLY_HINTS + OK], ids=["length", "chunked", "gzip", "hints"]
)
def test_a_connection_is_used_again(reply: bytes) -> None:
    """A response that was read to its end leaves its connection to the next request."""
    with answering_with(reply, reply) as (sender, read):
        assert [sender.request("POST", b"{}").body for _ in range(2)] == [b"ok", b"ok"]
        assert [len(requests) for requests in read] == [2]


def test_headers_and_body_are_one_write() -> None:
    """The request arrives as a whole; headers of a request replace usual ones of the same name."""
    with answering_with(OK) as (sender, read):
        sender.request("PUT", b"{}", {"user-agent": "Grüße"})
    ((request,),) = read
    head, body = request.split(b"\r\n\r\n")
    assert head.startswith(b"PUT /hook HTTP/1.1\r\nHost: 127.0.0.1:")
    assert {b"user-agent: Gr\xc3\xbc\xc3\x9fe", b"Content-Length: 2"} <= {*head.split(b"\r\n")}
    assert b"Botwatch" not in head
    assert body == b"{}"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
    ids=["close", "HTTP/1.0"],
)
def test_a_connection_is_not_used_again(reply: bytes) -> None:
    """A connection that the server is going to close is not used again."""
    with answering_with(reply, OK) as (sender, read):
        sender.request("POST", b"{}")
        sender.request("POST", b"{}")
        assert [len(requests) for requests in read] == [1, 1]


def test_a_connection_that_was_closed_meanwhile() -> None:
    """A server that closed an idle connection gets the next request over a new one."""
    closed = threading.Semaphore(0)

    def answer_once(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(OK)
        line.shutdown(socket.SHUT_RDWR)
        closed.release()

    with listening(answer_once) as port:
        sender = http_client(f"http://127.0.0.1:{port}/hook")
        for _ in range(3):
            assert sender.request("POST", b"{}").status == 200
            assert closed.acquire(timeout=10)


def test_a_line_break_in_a_header() -> None:
    """A value cannot add a header."""
    with answering_with(OK) as (sender, read), pytest.raises(NetworkError):
        sender.request("POST", b"{}", {"Idempotency-Key": "a\r\nHost: b"})
    assert read == []


def test_connections_are_closed_with_the_client() -> None:
    """A client that is dropped leaves no connection open."""
    ended = threading.Event()

    def converse(line: socket.socket) -> None:
        while line.recv(65_536):
            line.sendall(OK)
        ended.set()

    with listening(converse) as port:
        http_client(f"http://127.0.0.1:{port}/hook").request("POST", b"{}")
        gc.collect()
        assert ended.wait(10)

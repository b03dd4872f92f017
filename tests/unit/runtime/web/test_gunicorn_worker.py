"""The web worker: slow clients cannot keep its threads, and no body is cut."""

import http.client
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from shared.runtime.settings import REPOSITORY
from tests.support import free_port, wait_until
from tests.unit.runtime.short_timeouts_app import LIMIT

pytestmark = pytest.mark.slow  # starts processes

POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe beg"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nthe\r\n"


@contextmanager
def gunicorn(worker: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Serve the app with one worker of two threads, as the parts are served."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", str(REPOSITORY / "deploy" / "gunicorn.conf.py")]
    options = ["--bind", f"127.0.0.1:{port}", "--threads", "2", "--worker-class", worker]
    with subprocess.Popen([*command, *options, "tests.unit.runtime.short_timeouts_app:app()"]) as server:
        try:
            wait_until(lambda: post(port, b"all of it") == (200, b"9"), "gunicorn serves")
            yield port, server
        finally:
            server.terminate()
            server.wait(timeout=10)


def post(port: int, body: bytes | Iterator[bytes]) -> tuple[int, bytes]:
    """Post `body`, in chunks where it is an iterator; 0 while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/", body)
        response = connection.getresponse()
        return response.status, response.read()
    except ConnectionRefusedError:
        return 0, b""
    finally:
        connection.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Serve with the limits of the parts."""
    with gunicorn("shared.runtime.web.gunicorn_worker.LimitedWorker") as (port, _):
        yield port


@pytest.fixture(scope="module")
def hasty_port() -> Iterator[int]:
    """Serve with limits that fit a test."""
    with gunicorn("tests.unit.runtime.short_timeouts_app.ShortTimeoutWorker") as (port, _):
        yield port


@pytest.mark.parametrize("beginning", [b"", b"POST / HT", POST, CHUNKED])
@pytest.mark.parametrize("amount", [8, 64, 200])
def test_clients_that_do_not_end_their_request_stop_no_other(
    port: int, beginning: bytes, amount: int
) -> None:
    with ExitStack() as stack:
        for _ in range(amount):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(beginning)
        assert post(port, b"all of it") == (200, b"9")


def test_clients_that_do_not_read_their_answer_stop_no_other(port: int) -> None:
    with ExitStack() as stack:
        for _ in range(8):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert post(port, b"all of it") == (200, b"9")


def test_past_the_cap_of_connections_an_idle_one_makes_room(port: int) -> None:
    with ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(300)]
        assert post(port, b"all of it") == (200, b"9")
        idle[0].settimeout(10)
        assert idle[0].recv(1) == b""


@pytest.mark.parametrize("beginning", [b"", b"POST / HT"])
def test_a_connection_without_a_request_ends(hasty_port: int, beginning: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty_port), timeout=10) as slow:
        slow.sendall(beginning)
        assert slow.recv(100) == b""


@pytest.mark.parametrize("beginning", [POST, CHUNKED])
def test_a_body_that_does_not_end_is_answered_408(hasty_port: int, beginning: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty_port), timeout=10) as slow:
        slow.sendall(beginning)
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_body_up_to_the_limit_arrives_whole_in_chunks_or_not(port: int, size: int) -> None:
    body = b"x" * size
    assert post(port, body) == post(port, iter([body[:10_000], body[10_000:]])) == (200, str(size).encode())


@pytest.mark.parametrize("size", [LIMIT + 1, 5_000_000])
def test_a_body_past_the_limit_is_413_in_chunks_or_not(port: int, size: int) -> None:
    body = b"x" * size
    statuses = [post(port, body)[0], post(port, iter([body[:40_000], body[40_000:]]))[0]]
    assert statuses == [413, 413]


def test_expect_continue_rejects_a_body_past_the_limit(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_idle_and_dripping_clients_do_not_hold_up_the_stop() -> None:
    with ExitStack() as stack, gunicorn("shared.runtime.web.gunicorn_worker.LimitedWorker") as (port, server):
        for beginning in (b"", b"POST / HT", POST):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(beginning)
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=10) == 0

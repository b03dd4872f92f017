"""The web worker: slow clients cannot keep its threads."""

import http.client
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import eventually, free_port

HASTY = ("--worker-class", "tests.unit.runtime.hasty.HastyWorker", "tests.unit.runtime.hasty:app")


def answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)
    try:
        connection.request("POST", "/", b"all of it")
        return connection.getresponse().read() == b"read"
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture
def port() -> Iterator[int]:
    """Serve with two threads."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "2", *HASTY]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(port), "gunicorn serves")
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.mark.parametrize(
    "beginning", [b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nthe beg"]
)
def test_clients_that_never_end_their_request_stop_nobody(port: int, beginning: bytes) -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(6)]
    for client in slow:
        client.sendall(beginning)
    eventually(lambda: answers(port), "another client is served")
    for client in slow:
        client.close()

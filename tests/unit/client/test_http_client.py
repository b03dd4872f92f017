"""HTTP: retries, timeouts, and errors with their faults."""

import socket
import subprocess
import sys
import time

import pytest

from botwatch.errors import BotwatchError, Fault, UnavailableError
from botwatch.http_client import HttpClient
from botwatch.timeouts import TIMEOUT_S
from botwatch.typed_json import Document
from tests.support import free_port
from tests.unit.client.fake_server import FakeServer

pytestmark = pytest.mark.slow  # starts processes


def test_a_connection_is_reused(fake_server: FakeServer) -> None:
    """Three requests use one connection."""
    server = HttpClient(fake_server.url)
    for _ in range(3):
        server.post("/records", {"a": 1}, Document)
    assert len({asked.connection for asked in fake_server.asked}) == 1
    server.close()


FORKING = """
import os, signal, sys
from botwatch.http_client import HttpClient
from botwatch.typed_json import Document
server = HttpClient(sys.argv[1])
server.post("/records", {"process": "parent"}, Document)
with server._lock:  # another thread is in the middle of a request
    child = os.fork()
    if not child:
        signal.alarm(5)
        server.post("/records", {"process": "child"}, Document)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
server.post("/records", {"process": "parent"}, Document)
"""


def test_a_forked_process_has_its_own_connection(fake_server: FakeServer) -> None:
    """It neither waits for its parent's lock nor reads its parent's responses."""
    command = [sys.executable, "-W", "ignore", "-c", FORKING, fake_server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    first, child, second = fake_server.asked
    assert child.body == {"process": "child"}
    assert first.connection == second.connection != child.connection


def test_a_rejection_has_every_fault_and_is_not_retried(fake_server: FakeServer) -> None:
    """The exception has the status and the faults."""
    faults = [{"path": "$.equity", "message": "expected `float`"}, {"path": "$.bot", "message": "required"}]
    fake_server.answers = [
        fake_server.answers[0]._replace(status=400, body={"error": "not valid", "faults": faults})
    ]
    server = HttpClient(fake_server.url)
    with pytest.raises(
        BotwatchError, match=r"not valid: \$\.equity: expected `float`; \$\.bot: required"
    ) as raised:
        server.post("/records", {}, Document)
    assert raised.value.status == 400
    assert raised.value.faults == [Fault("$.equity", "expected `float`"), Fault("$.bot", "required")]
    assert not isinstance(raised.value, UnavailableError)
    assert len(fake_server.asked) == 1
    server.close()


@pytest.mark.parametrize("status", [503, 429, 0], ids=["full", "too many", "hung up"])
def test_a_temporary_error_is_retried(fake_server: FakeServer, status: int) -> None:
    """After 503, 429 and a closed connection."""
    good = fake_server.answers[0]
    fake_server.answers = [good._replace(status=status, headers={"Retry-After": "0"})] * 2 + [good]
    server = HttpClient(fake_server.url)
    assert server.post("/records", {"id": "x"}, Document) == {"accepted": 1}
    assert [asked.body for asked in fake_server.asked] == [{"id": "x"}] * 3
    server.close()


def test_after_three_retries_it_is_unavailable(fake_server: FakeServer) -> None:
    """UnavailableError has the last response."""
    fake_server.answers = [fake_server.answers[0]._replace(status=503, body={"error": "full"})]
    server = HttpClient(fake_server.url)
    with pytest.raises(UnavailableError, match="answered 503: full"):
        server.post("/records", {}, Document)
    assert len(fake_server.asked) == 4
    server.close()


def test_connection_refused_is_unavailable() -> None:
    """The error has the address."""
    server = HttpClient(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="is not responding"):
        server.get("/health", Document)


def test_a_server_that_does_not_respond_times_out() -> None:
    """After `timeout_s` per attempt, and so before the default of one attempt is over."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = HttpClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="timed out"):
            server.get("/health", Document)
        assert time.monotonic() - begun < TIMEOUT_S
        server.close()


def test_an_unexpected_response_is_an_error(fake_server: FakeServer) -> None:
    """A body that is not the expected JSON raises BotwatchError."""
    fake_server.answers = [fake_server.answers[0]._replace(body=["unexpected"])]
    server = HttpClient(fake_server.url)
    with pytest.raises(BotwatchError, match="unexpected"):
        server.get("/health", Document)
    server.close()


def test_an_invalid_url_is_rejected_at_once() -> None:
    """Before any request."""
    with pytest.raises(ValueError, match="expected a URL like"):
        HttpClient("localhost:9090")


def test_a_refused_token_is_said(fake_server: FakeServer) -> None:
    """The error begins with that, then has the server's reason; without a token it is the reason alone."""
    body = {"error": "missing scope ingest: token:ci may not send records"}
    challenge = {"WWW-Authenticate": 'Bearer realm="Botwatch", error="insufficient_scope", scope="ingest"'}
    fake_server.answers = [fake_server.answers[0]._replace(status=403, body=body, headers=challenge)]
    for token, expected in (("bw_x", "403: token refused: missing scope ingest"), ("", "403: missing scope")):
        server = HttpClient(fake_server.url, token=token)
        with pytest.raises(BotwatchError, match=expected):
            server.post("/records", {}, Document)
        server.close()

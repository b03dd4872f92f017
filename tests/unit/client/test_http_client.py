"""HTTP: retries, timeouts, and errors with their faults."""

import socket
import subprocess
import sys
import time

import pytest

from botwatch.errors import BotwatchError, Fault, UnavailableError
from botwatch.http_client import HttpClient
from botwatch.typed_json import Document
from tests.support import free_port
from tests.unit.client.fake_server import FakeServer


def test_a_connection_is_kept_for_the_next_request(stand_in: FakeServer) -> None:
    server = HttpClient(stand_in.url)
    for _ in range(3):
        server.post("/records", {"a": 1}, Document)
    assert len({asked.connection for asked in stand_in.asked}) == 1
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


def test_a_forked_process_neither_hangs_nor_reads_its_parents_answers(stand_in: FakeServer) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, stand_in.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    first, child, second = stand_in.asked
    assert child.body == {"process": "child"}
    assert first.connection == second.connection != child.connection


def test_a_refusal_is_raised_with_every_fault_and_not_tried_again(stand_in: FakeServer) -> None:
    faults = [{"path": "$.equity", "message": "expected `float`"}, {"path": "$.bot", "message": "required"}]
    stand_in.answers = [
        stand_in.answers[0]._replace(status=400, body={"error": "not valid", "faults": faults})
    ]
    server = HttpClient(stand_in.url)
    with pytest.raises(
        BotwatchError, match=r"not valid: \$\.equity: expected `float`; \$\.bot: required"
    ) as raised:
        server.post("/records", {}, Document)
    assert raised.value.status == 400
    assert raised.value.faults == [Fault("$.equity", "expected `float`"), Fault("$.bot", "required")]
    assert not isinstance(raised.value, UnavailableError)
    assert len(stand_in.asked) == 1
    server.close()


@pytest.mark.parametrize("status", [503, 429, 0], ids=["full", "too many", "hung up"])
def test_a_server_that_cannot_answer_now_is_asked_again(stand_in: FakeServer, status: int) -> None:
    good = stand_in.answers[0]
    stand_in.answers = [good._replace(status=status, headers={"Retry-After": "0"})] * 2 + [good]
    server = HttpClient(stand_in.url)
    assert server.post("/records", {"id": "x"}, Document) == {"accepted": 1}
    assert [asked.body for asked in stand_in.asked] == [{"id": "x"}] * 3
    server.close()


def test_after_three_retries_it_is_unavailable(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(status=503, body={"error": "full"})]
    server = HttpClient(stand_in.url)
    with pytest.raises(UnavailableError, match="answered 503: full"):
        server.post("/records", {}, Document)
    assert len(stand_in.asked) == 4
    server.close()


def test_nobody_listening_is_unavailable() -> None:
    server = HttpClient(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="is not responding"):
        server.get("/health", Document)


def test_a_server_that_accepts_and_stays_silent_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = HttpClient(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.05)
        begun = time.monotonic()
        with pytest.raises(UnavailableError, match="timed out"):
            server.get("/health", Document)
        assert time.monotonic() - begun < 3
        server.close()


def test_an_answer_of_another_shape_is_an_error(stand_in: FakeServer) -> None:
    stand_in.answers = [stand_in.answers[0]._replace(body=["unexpected"])]
    server = HttpClient(stand_in.url)
    with pytest.raises(BotwatchError, match="unexpected"):
        server.get("/health", Document)
    server.close()


def test_a_wrong_address_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="expected a URL like"):
        HttpClient("localhost:9090")

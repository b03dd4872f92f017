"""What is posted to a door, and what its answers mean."""

import gzip
import http.server
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from services.collector.forwarding import http_sink
from services.collector.forwarding.forwarder import SinkUnavailableError
from services.collector.forwarding.http_sink import HttpSink
from shared.schema.records import AnyRecord, Health
from tests.support import free_port

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TOKEN = "3f5a9c0d7e1b2468"
Answer = tuple[int, dict[str, str], Any]
ACCEPTED: Answer = (202, {}, {"accepted": 1})


class Door(http.server.ThreadingHTTPServer):
    """A door that answers as told, and remembers what came."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.largest = 1_000_000
        self.clients: list[Any] = []
        self.paths: list[str] = []
        self.headers: list[Any] = []
        self.batches: list[list[AnyRecord]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Door

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.server.clients.append(self.client_address)
        self.server.paths.append(self.path)
        self.server.headers.append(self.headers)
        status, headers, answer = ACCEPTED
        if len(body) > self.server.largest:
            status, answer = 413, {"error": "too large"}
        else:
            self.server.batches.append(msgspec.json.Decoder(AnyRecord).decode_lines(body))
            if self.server.answers:
                status, headers, answer = self.server.answers.pop(0)
        data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(timeout=5)


def samples(count: int) -> list[AnyRecord]:
    return [Health(timestamp=NOON + timedelta(seconds=one), host="box") for one in range(count)]


@pytest.mark.parametrize("base", ["", "/", "/botwatch/"])
def test_records_are_posted_as_lines_with_partial_acceptance(door: Door, base: str) -> None:
    assert HttpSink(door.url + base).write(samples(2)) == 0
    assert door.batches == [samples(2)]
    assert door.paths == [f"{base.rstrip('/')}/api/v1/records?partial=true"]
    assert door.headers[0]["Content-Type"] == "application/x-ndjson"


@pytest.mark.parametrize(("count", "encoding"), [(1, None), (100, "gzip")])
def test_only_large_bodies_are_compressed(door: Door, count: int, encoding: str | None) -> None:
    HttpSink(door.url).write(samples(count))
    assert door.headers[0]["Content-Encoding"] == encoding
    assert door.batches == [samples(count)]


@pytest.mark.parametrize(("token", "header"), [(TOKEN, f"Bearer {TOKEN}"), (None, None)])
def test_the_token_goes_with_every_request(door: Door, token: str | None, header: str | None) -> None:
    sender = HttpSink(door.url, token)
    sender.write(samples(1))
    sender.write(samples(100))
    assert [headers["Authorization"] for headers in door.headers] == [header, header]


@pytest.mark.parametrize("status", [202, 400])
def test_records_that_are_refused_for_good_are_counted_and_hold_nothing_up(door: Door, status: int) -> None:
    faults = [{"path": "$[0].host", "message": "expected at least 1 character"}]
    door.answers = [(status, {}, {"accepted": 0, "refused": 2, "faults": faults})]
    with capture_logs() as lines:
        assert HttpSink(door.url).write(samples(2)) == 2
    assert "expected at least 1 character" in lines[0]["answer"]


def test_a_400_that_is_not_from_the_door_costs_no_record(door: Door) -> None:
    door.answers = [(400, {}, "<html>the plain HTTP request was sent to HTTPS port</html>")]
    with pytest.raises(SinkUnavailableError, match="answered 400: <html>the plain HTTP"):
        HttpSink(door.url).write(samples(1))


@pytest.mark.parametrize("status", [301, 404, 405, 415, 429, 500, 502, 503])
def test_any_other_answer_means_later(door: Door, status: int) -> None:
    door.answers = [(status, {"Retry-After": "7", "Location": f"{door.url}/elsewhere"}, {"error": "no"})]
    with pytest.raises(SinkUnavailableError, match=f"answered {status}") as raised:
        HttpSink(door.url).write(samples(1))
    assert raised.value.wait_s == 7.0
    assert len(door.paths) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_named_by_its_variable_and_never_said(door: Door, status: int) -> None:
    door.answers = [(status, {}, {"error": f"no {TOKEN}"})]
    with pytest.raises(
        SinkUnavailableError, match=r"set COLLECTOR_TOKEN to that .*\(INGEST_TOKEN where"
    ) as raised:
        HttpSink(door.url, TOKEN).write(samples(1))
    assert TOKEN not in str(raised.value)


def test_a_batch_that_is_too_large_goes_in_parts(door: Door) -> None:
    door.largest = 250
    assert HttpSink(door.url).write(samples(5)) == 0
    assert [record for batch in door.batches for record in batch] == samples(5)
    assert len(door.batches) > 1


def test_a_record_that_is_too_large_by_itself_is_refused_and_the_rest_goes(door: Door) -> None:
    door.largest = 250
    large = Health(timestamp=NOON, host="box", reasons=["x" * 4000])
    with capture_logs():
        assert HttpSink(door.url).write([*samples(1), large, *samples(1)]) == 1
    assert [record for batch in door.batches for record in batch] == samples(1) * 2


def test_nobody_there_means_later_and_names_host_and_port_only() -> None:
    port = free_port()
    with pytest.raises(
        SinkUnavailableError, match=f"^Cannot connect to 127.0.0.1:{port}: connection refused by 127.0.0.1$"
    ):
        HttpSink(f"http://someone:secret@127.0.0.1:{port}/base").write(samples(1))


def test_a_door_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sink, "READ_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = HttpSink(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(SinkUnavailableError, match=r"^127.0.0.1:\d+ timed out after 0.2 s$"):
            sender.write(samples(1))


def test_an_endless_answer_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sink, "READ_TIMEOUT_S", 0.5)

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 1000000000\r\n\r\n")
            try:
                while True:
                    connection.sendall(b" " * 4096)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,), daemon=True)
        thread.start()
        assert HttpSink(f"http://127.0.0.1:{server.getsockname()[1]}").write(samples(1)) == 0
        thread.join(timeout=10)
        assert not thread.is_alive()


def test_connections_are_kept(door: Door) -> None:
    sender = HttpSink(door.url)
    for _ in range(3):
        sender.write(samples(1))
    assert len(set(door.clients)) == 1

"""The webhook transport against real receivers on loopback."""

import hashlib
import hmac
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.channels import json_poster
from services.notifier.channels.base import TransportError
from services.notifier.channels.json_poster import PostResponse, error_from_response
from services.notifier.channels.webhook import WebhookTransport
from shared.runtime import clock
from shared.runtime.http.signature import sign
from tests.unit.notifier.fake_receivers import NOON, WebhookReceiver, make_message, make_notice


def failure(url: str) -> TransportError:
    """Send to `url`, which must fail without giving its secrets away."""
    with pytest.raises(TransportError) as caught:
        WebhookTransport(url).send(make_message())
    assert "secret" not in str(caught.value)
    assert "hush" not in str(caught.value)
    return caught.value


@contextmanager
def answering(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections with `behave` once a request has come, and yield the URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with closing(connection), suppress(OSError):
                connection.recv(65536)
                behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/secret?token=hush"
        thread.join(10)
        assert not thread.is_alive()


def test_the_body_is_the_alert_in_full_and_the_key_makes_a_repeat_harmless(receiver: WebhookReceiver) -> None:
    WebhookTransport(receiver.url).send(make_message())
    (body,) = receiver.bodies
    assert body["change"] == "opened"
    assert body["details"]["threshold"] == 20
    assert {"id", "timestamp", "severity", "category", "component", "message", "status"} <= body.keys()
    assert receiver.headers[0]["idempotency-key"] == "a1-7"
    assert receiver.headers[0]["content-type"] == "application/json"
    assert "botwatch-signature" not in receiver.headers[0]


def test_one_connection_carries_every_notice(receiver: WebhookReceiver) -> None:
    transport = WebhookTransport(receiver.url)
    for number in range(5):
        transport.send(make_message(key=str(number)))
    assert len(receiver.bodies) == 5
    assert len(receiver.connections) == 1


def test_credentials_in_the_url_become_basic_auth(receiver: WebhookReceiver) -> None:
    WebhookTransport(f"http://ann:p%40ss@127.0.0.1:{receiver.port}/").send(make_message())
    assert receiver.headers[0]["authorization"] == "Basic YW5uOnBAc3M="


def test_a_receiver_can_check_the_signature_as_documented(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)
    WebhookTransport(receiver.url, "whsec").send(make_message())
    given = dict(part.split("=", 1) for part in receiver.headers[0]["botwatch-signature"].split(","))
    signed = f"{given['t']}.".encode() + receiver.raw[0]
    assert given["t"] == str(int(NOON.timestamp()))
    assert hmac.compare_digest(given["v1"], hmac.new(b"whsec", signed, hashlib.sha256).hexdigest())


def test_each_attempt_is_signed_anew(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = WebhookTransport(receiver.url, "whsec")
    receiver.answers.append((500, {}))
    monkeypatch.setattr(clock, "now", lambda: NOON)
    with pytest.raises(TransportError):
        transport.send(make_message())
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(minutes=5))
    transport.send(make_message())
    stamps = [headers["botwatch-signature"].split(",")[0] for headers in receiver.headers]
    assert stamps == [f"t={int(NOON.timestamp())}", f"t={int(NOON.timestamp()) + 300}"]


def test_a_signature_is_that_of_a_known_answer() -> None:
    at = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    known = "75b6c77cc6c239a694a465dd57e895218bcfe0130606fd23cdbfa0f49436a4b8"
    assert sign(b"{}", "key", at) == f"t=1000000000,v1={known}"


def test_it_says_what_the_receiver_answered(receiver: WebhookReceiver) -> None:
    transport = WebhookTransport(receiver.url)
    assert transport.last_response() == ""
    transport.send(make_message())
    assert transport.last_response() == "200 OK: ok"


def test_an_answer_that_repeats_the_request_gives_no_secret_away(receiver: WebhookReceiver) -> None:
    url = f"http://ann:p%40ssword@127.0.0.1:{receiver.port}/secret-path/x?token=hush"
    receiver.body = (
        b'{"url": "/secret-path/x?token=hush",\r\n "auth": "Basic YW5uOnBAc3N3b3Jk", "p": "p@ssword"}\x1b[2J'
    )
    transport = WebhookTransport(url)
    transport.send(make_message())
    for secret in ("secret-path", "hush", "YW5uOnBAc3N3b3Jk", "p@ssword", "\x1b", "\n"):
        assert secret not in transport.last_response()
    assert transport.last_response().startswith("200 OK: {")
    receiver.answers.append((400, {}))
    assert "hush" not in str(failure(url))


@pytest.mark.parametrize(
    ("status", "reason"),
    [(408, "timeout"), (425, "busy"), (429, "busy"), (500, "busy"), (503, "busy")],
)
def test_a_busy_receiver_may_be_tried_again_when_it_says(
    receiver: WebhookReceiver, status: int, reason: str
) -> None:
    receiver.answers.append((status, {"Retry-After": "7"}))
    error = failure(receiver.url)
    assert not error.permanent
    assert error.retry_after == 7
    assert error.reason == reason


@pytest.mark.parametrize("status", [500, 502, 503, 599])
def test_a_receiver_with_an_error_of_its_own_may_be_tried_again(
    receiver: WebhookReceiver, status: int
) -> None:
    receiver.answers.append((status, {}))
    error = failure(receiver.url)
    assert (error.permanent, error.reason, error.retry_after) == (False, "failing", None)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 410, 413, 415, 422])
def test_a_refusal_is_permanent(receiver: WebhookReceiver, status: int) -> None:
    receiver.answers.append((status, {"Retry-After": "7", "Location": "/elsewhere"}))
    error = failure(receiver.url)
    assert error.permanent
    assert error.reason == "refused"
    assert error.retry_after is None
    assert len(receiver.bodies) == 1


def test_a_receiver_that_is_not_there_may_be_tried_again() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{unused.getsockname()[1]}/secret")
    assert not error.permanent
    assert error.reason == "unreachable"
    assert str(error).startswith("Cannot connect to 127.0.0.1:")
    assert str(error).endswith(": connection refused by 127.0.0.1")


def test_a_receiver_that_hangs_is_left_after_a_while(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_poster, "READ_TIMEOUT_S", 0.1)
    receiver.answering.clear()
    error = failure(receiver.url)
    assert str(error).endswith(" timed out after 0.1 s")
    assert error.reason == "timeout"


def test_a_receiver_that_vanished_and_came_back_gets_the_next_notice(receiver: WebhookReceiver) -> None:
    transport = WebhookTransport(receiver.url)
    transport.send(make_message())
    receiver.close()
    with pytest.raises(TransportError) as caught:
        transport.send(make_message())
    assert caught.value.reason == "unreachable"
    again = WebhookReceiver(receiver.port)
    try:
        transport.send(make_message(key="again"))
        assert again.headers[0]["idempotency-key"] == "again"
    finally:
        again.close()


def test_a_receiver_that_hangs_up_may_be_tried_again() -> None:
    with answering(lambda _: None) as url:
        error = failure(url)
    assert (error.permanent, error.reason) == (False, "unreachable")


def test_an_answer_that_is_not_http_may_pass() -> None:
    with answering(lambda connection: connection.sendall(b"\x00\xffSSH-2.0 hello\r\n\r\n")) as url:
        error = failure(url)
    assert (error.permanent, error.reason) == (False, "failing")


def test_headers_without_sense_put_no_secret_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    garbage = b"HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 2\r\n\r\nok"
    with caplog.at_level(logging.WARNING), answering(lambda connection: connection.sendall(garbage)) as url:
        WebhookTransport(url).send(make_message())
    assert "hush" not in caplog.text


@pytest.mark.parametrize("length", [b"", b"Content-Length: 1000000000000\r\n"])
def test_an_endless_answer_is_cut_and_the_notice_has_arrived(length: bytes) -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with answering(pour) as url:
        transport = WebhookTransport(url)
        transport.send(make_message())
    assert transport.last_response() == "200 OK: " + "x" * 200


def test_an_answer_that_stops_half_way_means_that_the_notice_has_arrived(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(json_poster, "READ_TIMEOUT_S", 0.1)
    left = threading.Event()

    def stop(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
        left.wait(10)

    with answering(stop) as url:
        transport = WebhookTransport(url)
        transport.send(make_message())
        left.set()
    assert transport.last_response() == "200 OK: part"


def test_an_answer_that_drips_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_poster, "READ_TIMEOUT_S", 0.2)
    left = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        pause = threading.Event()
        try:
            for _ in range(1500):
                connection.sendall(b"x")
                pause.wait(0.02)
        except OSError:
            left.set()

    with answering(drip) as url:
        WebhookTransport(url).send(make_message())
        assert left.wait(10)


def test_a_permanent_answer_carries_no_wait() -> None:
    assert error_from_response(PostResponse(404, ""), "5", NOON).retry_after is None


def test_a_webhook_takes_one_notice_at_a_time(receiver: WebhookReceiver) -> None:
    transport = WebhookTransport(receiver.url)
    assert not transport.takes_batches
    with pytest.raises(ValueError, match="too many values"):
        transport.send(make_message(make_notice(), make_notice("resolved")))
    assert receiver.bodies == []

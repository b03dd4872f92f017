"""The webhook transport against real receivers on loopback."""

import socket
import threading
from contextlib import closing
from datetime import timedelta

import pytest

from services.notifier.channels import webhook
from services.notifier.channels.transport import TransportError
from services.notifier.channels.webhook import WebhookTransport, refusal, retry_after_seconds
from tests.unit.notifier.receivers import NOON, Receiver, notice


def failure(url: str) -> TransportError:
    """Send to `url`, which must fail without giving its secrets away."""
    with pytest.raises(TransportError) as caught:
        WebhookTransport(url).send(notice(), "key")
    assert "secret" not in str(caught.value)
    assert "hush" not in str(caught.value)
    return caught.value


def test_the_body_is_the_alert_in_full_and_the_key_makes_a_repeat_harmless(receiver: Receiver) -> None:
    WebhookTransport(receiver.url).send(notice(), "a1-7")
    (body,) = receiver.bodies
    assert body["change"] == "opened"
    assert body["details"]["threshold"] == 20
    assert {"id", "timestamp", "severity", "category", "component", "message", "status"} <= body.keys()
    assert receiver.headers[0]["idempotency-key"] == "a1-7"
    assert receiver.headers[0]["content-type"] == "application/json"


def test_one_connection_carries_every_notice(receiver: Receiver) -> None:
    transport = WebhookTransport(receiver.url)
    for number in range(5):
        transport.send(notice(), str(number))
    assert len(receiver.bodies) == 5
    assert len(receiver.connections) == 1


def test_credentials_in_the_url_become_basic_auth(receiver: Receiver) -> None:
    WebhookTransport(f"http://ann:p%40ss@127.0.0.1:{receiver.port}/").send(notice(), "key")
    assert receiver.headers[0]["authorization"] == "Basic YW5uOnBAc3M="


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_busy_receiver_may_be_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers.append((status, {"Retry-After": "7"}))
    error = failure(receiver.url)
    assert not error.permanent
    assert error.retry_after == 7


@pytest.mark.parametrize("status", [301, 400, 404, 410])
def test_a_refusal_is_permanent(receiver: Receiver, status: int) -> None:
    receiver.answers.append((status, {"Retry-After": "7", "Location": "/elsewhere"}))
    error = failure(receiver.url)
    assert error.permanent
    assert error.retry_after is None
    assert len(receiver.bodies) == 1


def test_a_receiver_that_is_not_there_may_be_tried_again() -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        error = failure(f"http://127.0.0.1:{unused.getsockname()[1]}/secret")
    assert not error.permanent
    assert str(error) == "cannot connect to the receiver"


def test_a_receiver_that_hangs_is_left_after_a_while(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "READ_TIMEOUT_S", 0.1)
    receiver.answering.clear()
    assert str(failure(receiver.url)) == "the receiver did not answer in time"


def test_a_receiver_that_hangs_up_may_be_tried_again() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        error = failure(f"http://127.0.0.1:{server.getsockname()[1]}/secret")
        thread.join(5)
    assert not error.permanent


def test_retry_after_may_be_a_date() -> None:
    assert retry_after_seconds("Sat, 31 Jan 2026 12:00:30 GMT", NOON) == 30
    assert retry_after_seconds("Sat, 31 Jan 2026 11:00:00 GMT", NOON) == 0
    assert retry_after_seconds("soon", NOON) is None
    assert retry_after_seconds(None, NOON + timedelta(days=1)) is None


def test_a_permanent_answer_carries_no_wait() -> None:
    assert refusal(404, "5", NOON).retry_after is None

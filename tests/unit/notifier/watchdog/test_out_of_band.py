"""The direct line: who is told, by which channel, and that a channel that hangs keeps nobody waiting."""

from collections.abc import Callable, Iterator
from queue import Empty

import pytest

from services.notifier.content.rendering import ContentFactory
from services.notifier.watchdog.out_of_band import OutOfBandSender, SendResult, SendResults
from shared.runtime.config.documents import Documents
from shared.schema.alerts import Notice
from shared.schema.faults import Fault, InvalidError
from tests.support import free_port, time_until
from tests.unit.notifier import config
from tests.unit.notifier.fake_receivers import NOON, FakeContent, WebhookReceiver, make_notice

TEXT = """
channels:
  desk: {{ url: "{desk}", fallback: phone }}
  phone: {{ url: "{phone}" }}
routes:
  - {{ match: {{ component: botwatch }}, policy: night, continue: true }}
  - {{ match: {{ component: botwatch }}, channels: [desk] }}
  - {{ match: {{ component: demo }}, channels: [phone] }}
policies:
  night: {{ steps: [{{ after: 5m, notify: [ann] }}, {{ after: 10m, notify: [phone] }}] }}
people:
  ann: {{ contacts: [desk] }}
"""


def contents(_channel: str) -> FakeContent:
    return FakeContent()


@pytest.fixture
def phone() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()


@pytest.fixture
def documents(receiver: WebhookReceiver, phone: WebhookReceiver) -> Documents:
    return config.documents(TEXT.format(desk=receiver.url, phone=phone.url))


def line(documents: Documents) -> OutOfBandSender:
    return OutOfBandSender(lambda: (documents, contents))


def tell(line: OutOfBandSender, notice: Notice) -> tuple[int, SendResults]:
    """Tell whom the routes tell."""
    recipients = line.recipients(notice, NOON)
    return len(recipients), line.send(notice, recipients, NOON)


def outcomes(line: OutOfBandSender, notice: Notice) -> list[SendResult]:
    """Tell, and wait for what comes of it."""
    count, came = tell(line, notice)
    return [came.get(timeout=20) for _ in range(count)]


def test_routes_notify_once_and_first_steps_at_once(
    documents: Documents, receiver: WebhookReceiver, phone: WebhookReceiver
) -> None:
    told = outcomes(line(documents), make_notice(component="botwatch"))
    assert told == [SendResult("desk", {})]
    assert [body["id"] for body in receiver.bodies] == ["a1"]
    assert phone.bodies == []


def test_another_alert_goes_along_its_own_route(
    documents: Documents, receiver: WebhookReceiver, phone: WebhookReceiver
) -> None:
    assert outcomes(line(documents), make_notice(component="demo")) == [SendResult("phone", {})]
    assert receiver.bodies == []
    assert len(phone.bodies) == 1


def test_where_a_channel_does_not_take_it_its_fallback_is_told(
    documents: Documents, receiver: WebhookReceiver, phone: WebhookReceiver
) -> None:
    receiver.answers = [(500, {})]
    (outcome,) = outcomes(line(documents), make_notice(component="botwatch"))
    assert outcome.channel == "phone"
    assert list(outcome.errors) == ["desk"]
    assert len(phone.bodies) == 1


def test_where_nobody_takes_it_the_reasons_are_returned_without_secrets() -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/secret-path?token=hush"
    documents = config.documents(TEXT.format(desk=nowhere, phone=nowhere))
    (outcome,) = outcomes(line(documents), make_notice(component="botwatch"))
    assert outcome.channel is None
    assert list(outcome.errors) == ["desk", "phone"]
    assert "secret" not in str(outcome)
    assert "hush" not in str(outcome)


def test_a_channel_that_hangs_delays_neither_who_tells_nor_other_channels(
    receiver: WebhookReceiver, phone: WebhookReceiver
) -> None:
    text = TEXT.format(desk=receiver.url, phone=phone.url).replace("channels: [desk]", "channels: [phone]")
    receiver.answering.clear()
    told, came = tell(line(config.documents(text)), make_notice(component="botwatch"))
    assert told == 2
    assert came.get(timeout=5) == SendResult("phone", {})
    with pytest.raises(Empty):
        came.get_nowait()
    receiver.answering.set()
    assert came.get(timeout=20).channel == "desk"


def changing(*read: Documents | Exception) -> Callable[[], tuple[Documents, ContentFactory]]:
    """Read other documents each time."""
    waiting = list(read)

    def documented() -> tuple[Documents, ContentFactory]:
        found = waiting.pop(0)
        if isinstance(found, Exception):
            raise found
        return found, contents

    return documented


def test_documents_are_read_anew_and_those_that_were_valid_last_hold(
    documents: Documents, receiver: WebhookReceiver, phone: WebhookReceiver
) -> None:
    elsewhere = config.documents(TEXT.format(desk=phone.url, phone=phone.url))
    wrong = InvalidError([Fault("notifications.yml: $.routes", "expected an array")])
    one = OutOfBandSender(
        changing(documents, elsewhere, elsewhere, wrong, wrong, OSError("gone"), OSError("gone"))
    )
    for alert in ("a1", "a2", "a3"):
        assert outcomes(one, make_notice(component="botwatch", alert=alert)) == [SendResult("desk", {})]
    assert [body["id"] for body in phone.bodies] == ["a1", "a2", "a3"]
    assert receiver.bodies == []


def test_failing_content_does_not_block_the_next_channel(
    documents: Documents, phone: WebhookReceiver
) -> None:
    def failing(channel: str) -> FakeContent:
        if channel == "desk":
            raise KeyError(channel)
        return FakeContent()

    one = OutOfBandSender(lambda: (documents, failing))
    (outcome,) = outcomes(one, make_notice(component="botwatch"))
    assert outcome == SendResult("phone", {"desk": "unexpected error: KeyError"})
    time_until(lambda: len(phone.bodies) == 1)

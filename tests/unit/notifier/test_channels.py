"""Which transport serves which channel, and apprise."""

import pytest

from services.notifier.channels.apprise import AppriseTransport
from services.notifier.channels.email import EmailTransport
from services.notifier.channels.registry import transport_of
from services.notifier.channels.transport import TransportError
from services.notifier.channels.webhook import WebhookTransport
from shared.runtime.notifications import ChannelSection, EmailConfig
from tests.unit.notifier.receivers import Receiver, notice

# apprise imports it; it says so on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("webhook", "http://127.0.0.1/hook", WebhookTransport),
        ("webhook", SLACK, AppriseTransport),
        ("webhook", "json://127.0.0.1/", AppriseTransport),
        ("chat", SLACK, AppriseTransport),
    ],
)
def test_a_url_finds_its_transport(name: str, url: str, expected: type) -> None:
    assert isinstance(transport_of(name, ChannelSection(url=url)), expected)


def test_a_mailbox_finds_its_transport() -> None:
    config = EmailConfig(smtp="localhost", sender="a@b.c", to=["d@e.f"])
    assert isinstance(transport_of("email", config), EmailTransport)


def test_apprise_delivers_in_words(receiver: Receiver) -> None:
    AppriseTransport(f"json://127.0.0.1:{receiver.port}/").send(notice(), "key")
    (body,) = receiver.bodies
    assert body["title"] == "[HIGH] demo: Maximum drawdown exceeded 20% (21.3 > 20)"
    assert body["type"] == "failure"
    assert "Bot: demo" in body["message"]


def test_what_apprise_could_not_deliver_may_be_tried_again(receiver: Receiver) -> None:
    receiver.answers.append((500, {}))
    with pytest.raises(TransportError) as caught:
        AppriseTransport(f"json://127.0.0.1:{receiver.port}/").send(notice(), "key")
    assert not caught.value.permanent


def test_a_url_that_apprise_does_not_understand_is_permanent_and_stays_secret(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TransportError) as caught:
        AppriseTransport("nonsense://hush").send(notice(), "key")
    assert caught.value.permanent
    written = capfd.readouterr()
    assert "hush" not in str(caught.value) + written.out + written.err + caplog.text

"""Which transport serves which channel."""

from typing import Any

import pytest

from services.notifier.channels.alertmanager import AlertmanagerTransport
from services.notifier.channels.apprise import AppriseTransport
from services.notifier.channels.email import EmailTransport
from services.notifier.channels.registry import build_transport
from services.notifier.channels.slack import SlackTransport
from services.notifier.channels.webhook import WebhookTransport
from shared.runtime.config.notifications import ChannelSection, EmailConfig
from shared.runtime.encrypted_values import encrypt, new_key
from shared.schema.faults import InvalidError
from tests.unit.notifier.fake_receivers import FakeContent, WebhookReceiver, make_message

# apprise imports it; it says so on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")

SLACK = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
DISCORD = "https://discord.com/api/webhooks/1234567890/abcdefghijklmnopqrstuvwxyz0123456789"
ELSEWHERE = "https://example.org/hook"


@pytest.mark.parametrize(
    ("section", "expected", "bundles"),
    [
        ({"url": "http://127.0.0.1/hook"}, WebhookTransport, False),
        ({"url": "HTTP://127.0.0.1/hook"}, WebhookTransport, False),
        ({"url": ELSEWHERE}, WebhookTransport, False),
        ({"url": ELSEWHERE, "secret": "s"}, WebhookTransport, False),
        ({"url": ELSEWHERE, "type": "webhook", "format": "alertmanager"}, AlertmanagerTransport, True),
        ({"url": ELSEWHERE, "format": "alertmanager"}, AlertmanagerTransport, True),
        ({"url": ELSEWHERE, "type": "slack"}, SlackTransport, True),
        ({"url": ELSEWHERE, "type": "apprise"}, AppriseTransport, True),
        ({"url": SLACK}, SlackTransport, True),
        ({"url": SLACK, "type": "webhook"}, WebhookTransport, False),
        ({"url": SLACK, "type": "apprise"}, AppriseTransport, True),
        ({"url": DISCORD}, AppriseTransport, True),
        ({"url": DISCORD, "type": "webhook"}, WebhookTransport, False),
        ({"url": "json://127.0.0.1/"}, AppriseTransport, True),
        ({"url": "tgram://123456789:abcdefg_hijklmnop/12315544/"}, AppriseTransport, True),
    ],
)
def test_a_url_finds_its_transport(section: dict[str, Any], expected: type, bundles: bool) -> None:
    transport = build_transport("desk", ChannelSection(**section), FakeContent(), {})
    assert type(transport) is expected
    assert transport.takes_batches is bundles
    assert transport.last_response() == ""


def test_a_mailbox_finds_its_transport() -> None:
    config = EmailConfig(smtp="localhost", sender="a@b.c", to=["d@e.f"])
    transport = build_transport("email", ChannelSection(email=config), FakeContent(), {})
    assert isinstance(transport, EmailTransport)
    assert transport.takes_batches


@pytest.mark.parametrize("kind", ["webhook", "slack"])
@pytest.mark.parametrize("url", ["tgram://hush/1", "hush", "http://", "https://[hush/", "file:///hush"])
def test_what_is_posted_to_needs_an_address_of_the_web(kind: Any, url: str) -> None:
    with pytest.raises(InvalidError, match=r"^channels\.desk\.url: expected http://") as caught:
        build_transport("desk", ChannelSection(url=url, type=kind), FakeContent(), {})
    assert "hush" not in str(caught.value)


def test_a_signature_is_not_lost_on_a_service_that_knows_none() -> None:
    with pytest.raises(InvalidError):
        build_transport("desk", ChannelSection(url="json://127.0.0.1/", secret="s"), FakeContent(), {})


def test_encrypted_values_are_used_in_clear(receiver: WebhookReceiver) -> None:
    environ = {"BOTWATCH_KEY": new_key()}
    section = ChannelSection(url=encrypt(receiver.url, environ), secret=encrypt("whsec", environ))
    build_transport("desk", section, FakeContent(), environ).send(make_message())
    clear = ChannelSection(url=receiver.url, secret="whsec")
    build_transport("desk", clear, FakeContent(), environ).send(make_message())
    one, other = (headers["botwatch-signature"].split("v1=")[1] for headers in receiver.headers)
    assert len(one) == len(other) == 64
    assert section.url.startswith("encrypted:")


def test_a_mailbox_has_encrypted_credentials() -> None:
    environ = {"BOTWATCH_KEY": new_key()}
    hidden = encrypt("right", environ)
    config = EmailConfig(smtp="h", sender="a@b.c", to=["d@e.f"], username=hidden, password=hidden)
    transport = build_transport("mail", ChannelSection(email=config), FakeContent(), environ)
    assert isinstance(transport, EmailTransport)
    assert (transport.config.username, transport.config.password) == ("right", "right")


def test_a_value_that_cannot_be_decrypted_is_named_by_its_channel() -> None:
    section = ChannelSection(url=encrypt("https://example.org", {"BOTWATCH_KEY": new_key()}))
    with pytest.raises(InvalidError, match=r"^channels\.desk: BOTWATCH_KEY: not set"):
        build_transport("desk", section, FakeContent(), {})

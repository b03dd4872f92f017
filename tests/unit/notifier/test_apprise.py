"""Apprise, against receivers on loopback."""

import base64
import logging
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from apprise.plugins import N_MGR

from services.notifier.channels import apprise
from services.notifier.channels.apprise import AppriseTransport, service_of
from services.notifier.channels.base import TransportError
from services.notifier.content.message import NotificationMessage
from tests.support import free_port
from tests.unit.notifier.fake_receivers import FakeContent, WebhookReceiver, make_message, make_notice

# apprise imports it; it says so on Python 3.11 and 3.12.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")


def transport(url: str, picture: bytes | None = None) -> AppriseTransport:
    return AppriseTransport(service_of(url), FakeContent(picture))


def failure(url: str) -> TransportError:
    with pytest.raises(TransportError) as caught:
        transport(url).send(make_message())
    return caught.value


def test_a_service_gets_the_message_in_words(receiver: WebhookReceiver) -> None:
    chat = transport(f"json://127.0.0.1:{receiver.port}/")
    chat.send(make_message())
    (body,) = receiver.bodies
    assert body["title"] == "[HIGH] demo: Maximum drawdown exceeded 20%"
    assert body["message"] == "Bot: demo"
    assert body["attachments"] == []
    assert chat.last_response() == "accepted by JSON"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (make_message(), "failure"),
        (make_message(make_notice(severity="MEDIUM")), "warning"),
        (make_message(make_notice("resolved")), "success"),
        (make_message(make_notice("resolved"), make_notice(alert="a2", severity="LOW")), "warning"),
        (make_message(make_notice(), make_notice("resolved")), "success"),
    ],
)
def test_a_service_is_told_how_bad_it_is(
    receiver: WebhookReceiver, told: NotificationMessage, expected: str
) -> None:
    transport(f"json://127.0.0.1:{receiver.port}/").send(told)
    assert receiver.bodies[0]["type"] == expected


def test_a_chart_is_attached_and_leaves_no_file(
    receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    transport(f"json://127.0.0.1:{receiver.port}/", b"\x89PNG picture").send(make_message())
    (picture,) = receiver.bodies[0]["attachments"]
    assert picture["mimetype"] == "image/png"
    assert base64.b64decode(picture["base64"]) == b"\x89PNG picture"
    assert list(tmp_path.iterdir()) == []


def test_a_service_without_attachments_is_not_kept_from_the_words(
    receiver: WebhookReceiver,
) -> None:
    chat = service_of(f"json://127.0.0.1:{receiver.port}/")
    chat.attachment_support = False
    AppriseTransport(chat, FakeContent(b"png")).send(make_message())
    assert receiver.bodies[0]["attachments"] == []


@pytest.mark.parametrize(
    ("status", "permanent", "reason"),
    [(500, False, "failing"), (429, False, "busy"), (404, True, "refused"), (401, True, "refused")],
)
def test_the_status_that_apprise_logs_decides_whether_trying_again_helps(
    receiver: WebhookReceiver, status: int, permanent: bool, reason: str
) -> None:
    receiver.answers.append((status, {}))
    error = failure(f"json://127.0.0.1:{receiver.port}/")
    assert (error.permanent, error.reason) == (permanent, reason)


def test_what_apprise_heard_before_is_not_said_of_the_next_failure(receiver: WebhookReceiver) -> None:
    receiver.answers.append((404, {}))
    assert failure(f"json://127.0.0.1:{receiver.port}/").permanent
    assert failure(f"json://127.0.0.1:{free_port()}/").reason == "unreachable"


def test_a_service_that_hangs_is_left_after_a_while(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apprise, "READ_TIMEOUT_S", 0.1)
    receiver.answering.clear()
    error = failure(f"json://127.0.0.1:{receiver.port}/hush")
    assert (str(error), error.reason) == ("request to the service timed out", "timeout")


def test_a_service_has_the_timeouts_of_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "READ_TIMEOUT_S", 30)
    assert service_of("json://127.0.0.1/?rto=7&cto=2").request_timeout == (2, 7)
    assert service_of("json://127.0.0.1/").request_timeout == (3, 30)


def test_unsupported_apprise_url_fails_permanently_and_stays_secret(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    error = failure("nonsense://hush")
    assert error.permanent
    written = capfd.readouterr()
    assert "hush" not in str(error) + written.out + written.err + caplog.text


def test_no_address_reaches_the_logs(
    receiver: WebhookReceiver, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers += [(500, {}), (301, {"Location": "/hush"})]
    with caplog.at_level(logging.INFO):
        failure(f"json://ann:hush@127.0.0.1:{receiver.port}/hush")
        failure(f"json://ann:hush@127.0.0.1:{receiver.port}/hush")
        with closing(socket.socket()) as unused:
            unused.bind(("127.0.0.1", 0))
            failure(f"json://ann:hush@127.0.0.1:{unused.getsockname()[1]}/hush")
    written = capfd.readouterr()
    assert "hush" not in written.out + written.err + caplog.text


def test_a_long_text_is_sent_in_parts_rather_than_refused(receiver: WebhookReceiver) -> None:
    chat = service_of(f"json://127.0.0.1:{receiver.port}/")
    chat.body_maxlen = 120
    notices = [make_notice(alert=f"a{number}") for number in range(30)]
    AppriseTransport(chat, FakeContent()).send(make_message(*notices))
    assert len(receiver.bodies) > 1
    assert sum(body["message"].count("Bot: demo") for body in receiver.bodies) == 30


WICKED = "@everyone [click](http://evil.example/a_b) <@123> <!channel> *bold* a@b.example"


def said(receiver: WebhookReceiver, url: str, address: str = "") -> dict[str, Any]:
    """Send a message about a bot of a wicked name to a service that is served at `address` here."""
    service = service_of(url)
    assert service is not None
    if address:
        service.notify_url = f"http://127.0.0.1:{receiver.port}/{address}"
    details = msgspec.structs.replace(make_notice().details, bot=WICKED)
    AppriseTransport(service, FakeContent()).send(
        make_message(make_notice(details=details, component=WICKED))
    )
    return receiver.bodies[-1]


def test_discord_mentions_nobody_that_a_name_names(receiver: WebhookReceiver) -> None:
    """Discord reads plain text as Markdown: a name is shown as it is, and the payload forbids mentions."""
    body = said(receiver, "discord://4174216298/jHMHyMSSBqHVnvBj", "api")
    assert body["allowed_mentions"] == {"parse": [], "users": [], "roles": []}
    shown = body["content"].replace("\u200b", "")
    assert r"@everyone \[click\](http://evil.example/a_b) \<@123\> \<!channel\> \*bold\* a@b.example" in shown
    assert "@everyone" not in body["content"]
    assert "](" not in body["content"]


def test_discord_mentions_whom_its_own_url_names(receiver: WebhookReceiver) -> None:
    """`?ping=` is the operator's wish."""
    body = said(receiver, "discord://4174216298/jHMHyMSSBqHVnvBj?ping=@here,<@456>", "api")
    assert body["allowed_mentions"] == {"parse": ["everyone"], "users": ["456"], "roles": []}


def test_mattermost_shows_a_name_as_it_is(receiver: WebhookReceiver) -> None:
    """Mattermost reads mentions and Markdown in plain text."""
    body = said(receiver, f"mmost://127.0.0.1:{receiver.port}/3ccdd113474722377935511fc85d3dd4")
    assert "@everyone" not in body["text"]
    assert "](" not in body["text"]
    assert r"\*bold\*" in body["text"]


def test_addresses_stay_links_where_apprise_would_escape_them(receiver: WebhookReceiver) -> None:
    """Rocket.Chat is sent Markdown: names are escaped in it, the addresses of acknowledge links are not."""
    body = said(receiver, f"rocket://webhook/token@127.0.0.1:{receiver.port}/%23desk")
    assert "(http://evil.example/a_b)" in body["text"]
    assert r"\*bold\*" in body["text"]
    assert "](" not in body["text"]


def test_telegram_shows_a_name_as_it_is(receiver: WebhookReceiver) -> None:
    """Telegram takes HTML, in which apprise escapes tags; mentions are plain text there."""
    receiver.body = b'{"ok": true}'
    body = said(receiver, "tgram://123456789:abcdefg_hijklmnop/12315544/?detect=no", "bot")
    assert body["parse_mode"] == "HTML"
    assert "@everyone" not in body["text"]
    assert "<@123>" not in body["text"]
    assert "](" not in body["text"]


@pytest.mark.parametrize("name", sorted(apprise.MARKDOWN))
def test_the_services_that_read_markdown_are_known_to_apprise(name: str) -> None:
    """A service that is renamed must not lose its escaping unnoticed."""
    assert name in {plugin.__name__ for plugin in N_MGR.plugins()}  # type: ignore[no-untyped-call]

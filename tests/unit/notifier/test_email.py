"""The e-mail transport against real SMTP servers on loopback."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from services.notifier.channels import email
from services.notifier.channels.email import EmailTransport, compose, security_of
from services.notifier.channels.transport import Message, TransportError
from shared.runtime.notifications import EmailConfig
from tests.support import free_port
from tests.unit.notifier.receivers import NOON, FakeContent, message, notice


class Mailbox:
    """Keeps what arrives; answers as told."""

    def __init__(self, answer: str = "250 OK", recipient: str = "250 OK", refused: str = "") -> None:
        self.envelopes: list[Envelope] = []
        self.refused = refused
        self.answer = answer
        self.recipient = recipient

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: object, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
        if address == self.refused:
            return "550 nobody"
        if self.recipient.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Envelope) -> str:  # noqa: N802
        """Keep a mail."""
        self.envelopes.append(envelope)
        return self.answer


def authenticate(
    _server: SMTP,
    _session: object,
    _envelope: object,
    _mechanism: str,
    data: Any,
) -> AuthResult:
    return AuthResult(success=data.login == b"ann" and data.password == b"right", handled=False)


@contextmanager
def serving(mailbox: Mailbox, **options: Any) -> Iterator[int]:
    """Serve `mailbox` and yield its port."""
    port = free_port()
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = (
        f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 "
        f"-addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    )
    subprocess.run(command.split(), check=True, capture_output=True, timeout=30)
    return certificate, key


def server_context(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


def config(port: int, **further: Any) -> EmailConfig:
    return EmailConfig(
        smtp="127.0.0.1", sender="watch@example.org", to=["ann@example.org"], port=port, **further
    )


def failure(port: int, **further: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        EmailTransport(config(port, **further), FakeContent()).send(message())
    return caught.value


def received(mailbox: Mailbox) -> EmailMessage:
    """Return the only mail that came."""
    (envelope,) = mailbox.envelopes
    mail = message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[arg-type]
    assert isinstance(mail, EmailMessage)
    return mail


def body_of(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    assert part is not None
    text = part.get_content()
    assert isinstance(text, str)
    return text.strip()


def test_a_mail_arrives_as_text_and_as_html() -> None:
    mailbox = Mailbox(answer="250 2.0.0 queued as 4FpX")
    with serving(mailbox) as port:
        transport = EmailTransport(config(port), FakeContent())
        transport.send(message())
    mail = received(mailbox)
    assert mail["Subject"] == "[HIGH] demo: Maximum drawdown exceeded 20%"
    assert mail["From"] == "watch@example.org"
    assert mail["Date"].datetime == NOON
    assert mailbox.envelopes[0].rcpt_tos == ["ann@example.org"]
    assert mail.get_content_type() == "multipart/alternative"
    assert body_of(mail, "plain") == "Bot: demo"
    assert body_of(mail, "html") == "<p>1 alerts</p>"
    assert transport.answer() == "250 2.0.0 queued as 4FpX"


def test_a_chart_stands_in_the_mail_itself() -> None:
    mailbox = Mailbox()
    picture = b"\x89PNG picture"
    with serving(mailbox) as port:
        EmailTransport(config(port), FakeContent(picture)).send(message())
    mail = received(mailbox)
    (image,) = (part for part in mail.walk() if part.get_content_type() == "image/png")
    assert image.get_payload(decode=True) == picture
    assert image["Content-Disposition"] == "inline"
    assert f'src="cid:{image["Content-ID"].strip("<>")}"' in body_of(mail, "html")


def test_the_mails_of_an_alert_are_one_thread() -> None:
    opened = compose(config(25), message(), FakeContent())
    resolved = compose(config(25), message(notice("resolved"), key="a1-9"), FakeContent())
    assert opened["Message-ID"] == "<a1@example.org>"
    assert opened["References"] is None
    assert resolved["Message-ID"] == "<a1-9@example.org>"
    assert resolved["In-Reply-To"] == resolved["References"] == "<a1@example.org>"


def test_trying_again_makes_a_mail_of_the_same_identity() -> None:
    for one in (message(), message(notice("repeated")), message(notice(), notice(alert="a2"))):
        first, second = (compose(config(25), one, FakeContent())["Message-ID"] for _ in range(2))
        assert first == second


@pytest.mark.parametrize(
    "apart",
    [message(notice(), notice(alert="a2"), key="digest-3"), message(key="digest-3", is_test=True)],
)
def test_a_digest_and_a_test_are_in_no_alerts_thread(apart: Message) -> None:
    mail = compose(config(25), apart, FakeContent())
    assert mail["Message-ID"] == "<digest-3@example.org>"
    assert mail["References"] is None


def test_several_notices_of_one_alert_are_in_its_thread() -> None:
    both = compose(config(25), message(notice(), notice("raised")), FakeContent())
    later = compose(config(25), message(notice("raised"), notice("resolved")), FakeContent())
    assert both["Message-ID"] == later["References"] == "<a1@example.org>"


def test_no_value_can_smuggle_a_header_in() -> None:
    wicked = config(25, security="none")
    wicked.to = ["ann@example.org\r\nBcc: eve@example.org"]
    told = notice("raised", message="x\r\nBcc: eve@example.org", component="d\nX: y", alert="a\r\nX: y")
    mail = compose(wicked, message(told, key="k\r\nX: y"), FakeContent(b"png"))
    assert mail["Bcc"] is None
    assert mail["X"] is None
    for header in ("Subject", "Message-ID", "References", "To"):
        assert "\n" not in mail[header]
    assert b"\nX: y" not in mail.as_bytes()


@pytest.mark.parametrize(
    ("port", "configured", "expected"),
    [
        (25, None, "none"),
        (465, None, "tls"),
        (587, None, "starttls"),
        (2525, None, "offered"),
        (587, "none", "none"),
        (2525, "tls", "tls"),
    ],
)
def test_the_port_implies_the_encryption_unless_it_is_configured(
    port: int,
    configured: Any,
    expected: str,
) -> None:
    assert security_of(config(port, security=configured)) == expected


def test_a_password_is_not_sent_unencrypted_because_of_a_port() -> None:
    assert security_of(config(25, username="ann", password="secret")) == "offered"
    assert security_of(config(25, username="ann", password="secret", security="none")) == "none"


@pytest.mark.parametrize("security", ["starttls", None])
def test_starttls_with_credentials(certificate: tuple[Path, Path], security: Any) -> None:
    mailbox = Mailbox()
    options = {
        "tls_context": server_context(certificate),
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with serving(mailbox, **options) as port:
        credentials = {"username": "ann", "password": "right", "security": security}
        EmailTransport(config(port, **credentials), FakeContent(), trusting).send(message())
        with pytest.raises(TransportError) as caught:
            wrong = config(port, **credentials | {"password": "wrong"})
            EmailTransport(wrong, FakeContent(), trusting).send(message())
    assert len(mailbox.envelopes) == 1
    assert caught.value.permanent
    assert "wrong" not in str(caught.value)


def test_an_unknown_certificate_is_not_accepted(certificate: tuple[Path, Path]) -> None:
    mailbox = Mailbox()
    with serving(mailbox, tls_context=server_context(certificate)) as port:
        assert not failure(port, security="starttls").permanent
    assert mailbox.envelopes == []


def test_a_demanded_starttls_that_is_not_offered_is_permanent() -> None:
    with serving(Mailbox()) as port:
        assert failure(port, security="starttls").permanent


def test_a_password_does_not_travel_unencrypted_unasked() -> None:
    with serving(Mailbox(), authenticator=authenticate, auth_require_tls=False) as port:
        assert failure(port, username="ann", password="right").permanent


def test_tls_from_the_first_byte(certificate: tuple[Path, Path]) -> None:
    mailbox = Mailbox(answer="250 queued")
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with serving(mailbox, ssl_context=server_context(certificate)) as port:
        transport = EmailTransport(config(port, security="tls"), FakeContent(), trusting)
        transport.send(message())
    assert received(mailbox)["Subject"]
    assert transport.answer() == "250 queued"


def test_a_password_that_smtp_does_not_carry_is_permanent_and_stays_secret() -> None:
    with serving(Mailbox(), authenticator=authenticate, auth_require_tls=False) as port:
        error = failure(port, username="ann", password="pässwort", security="none")
    assert error.permanent
    assert "wort" not in str(error)


@pytest.mark.parametrize(
    ("answer", "permanent", "reason"),
    [("451 later", False, "failing"), ("421 too many", False, "busy"), ("554 never", True, "refused")],
)
def test_the_servers_answer_decides_whether_trying_again_helps(
    answer: str, permanent: bool, reason: str
) -> None:
    with serving(Mailbox(answer=answer)) as port:
        error = failure(port)
    assert (error.permanent, error.reason) == (permanent, reason)
    assert answer in str(error)


@pytest.mark.parametrize(("answer", "permanent"), [("450 later", False), ("550 nobody", True)])
def test_refused_recipients(answer: str, permanent: bool) -> None:
    with serving(Mailbox(recipient=answer)) as port:
        assert failure(port).permanent is permanent


def test_one_refused_recipient_of_two_is_said_and_not_repeated() -> None:
    mailbox = Mailbox(refused="bob@example.org")
    with serving(mailbox) as port:
        both = config(port)
        both.to = ["ann@example.org", "bob@example.org"]
        transport = EmailTransport(both, FakeContent())
        transport.send(message())
    assert mailbox.envelopes[0].rcpt_tos == ["ann@example.org"]
    assert transport.answer() == "250 OK; some recipients were refused: [550]"


def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    with serving(Mailbox()) as port:
        pass
    error = failure(port)
    assert (error.permanent, error.reason) == (False, "unreachable")


def test_a_server_that_hangs_is_left_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email, "TIMEOUT_S", 0.1)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        error = failure(server.getsockname()[1])
    assert (error.permanent, error.reason) == (False, "timeout")


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff" * 10_000])
def test_a_server_that_hangs_up_or_speaks_otherwise_may_be_tried_again(greeting: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with closing(connection), suppress(OSError):
                connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        error = failure(server.getsockname()[1])
        thread.join(5)
    assert not error.permanent


@pytest.mark.parametrize("name", ["ANSWERS_BYTES", "CONNECTION_S"])
def test_a_server_that_never_comes_to_an_end_is_left(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(email, name, 0)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def pour() -> None:
            connection, _ = server.accept()
            with closing(connection), suppress(OSError):
                while True:
                    connection.sendall(b"220-wait\r\n" * 1000)

        thread = threading.Thread(target=pour)
        thread.start()
        error = failure(server.getsockname()[1])
        thread.join(5)
    assert not thread.is_alive()
    assert "does not come to an end" in str(error)
    assert (error.permanent, error.reason) == (False, "unreachable")

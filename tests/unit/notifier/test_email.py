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
from services.notifier.channels.base import TransportError
from services.notifier.channels.email import EmailTransport, build_envelope, build_mail, connection_security
from services.notifier.channels.email_addresses import parse_mailbox
from services.notifier.content.message import NotificationMessage
from shared.runtime.config.notifications import EmailConfig
from tests.support import free_port, unavailable
from tests.unit.notifier.fake_receivers import NOON, FakeContent, make_message, make_notice


class FakeMailServer:
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
def serving(mailbox: FakeMailServer, **options: Any) -> Iterator[int]:
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
        unavailable("needs openssl to make a certificate")
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
        EmailTransport(config(port, **further), FakeContent()).send(make_message())
    return caught.value


def received(mailbox: FakeMailServer) -> EmailMessage:
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
    mailbox = FakeMailServer(answer="250 2.0.0 queued as 4FpX")
    with serving(mailbox) as port:
        transport = EmailTransport(config(port), FakeContent())
        transport.send(make_message())
    mail = received(mailbox)
    assert mail["Subject"] == "[HIGH] demo: Maximum drawdown exceeded 20%"
    assert mail["From"] == "watch@example.org"
    assert mail["Date"].datetime == NOON
    assert mailbox.envelopes[0].rcpt_tos == ["ann@example.org"]
    assert mail.get_content_type() == "multipart/alternative"
    assert body_of(mail, "plain") == "Bot: demo"
    assert body_of(mail, "html") == "<p>1 alerts</p>"
    assert transport.last_response() == "250 2.0.0 queued as 4FpX"


def test_a_chart_stands_in_the_mail_itself() -> None:
    mailbox = FakeMailServer()
    picture = b"\x89PNG picture"
    with serving(mailbox) as port:
        EmailTransport(config(port), FakeContent(picture)).send(make_message())
    mail = received(mailbox)
    (image,) = (part for part in mail.walk() if part.get_content_type() == "image/png")
    assert image.get_payload(decode=True) == picture
    assert image["Content-Disposition"] == "inline"
    assert f'src="cid:{image["Content-ID"].strip("<>")}"' in body_of(mail, "html")


def test_the_mails_of_an_alert_are_one_thread() -> None:
    opened = build_mail(build_envelope(config(25)), make_message(), FakeContent())
    resolved = build_mail(
        build_envelope(config(25)), make_message(make_notice("resolved"), key="a1-9"), FakeContent()
    )
    assert opened["Message-ID"] == "<a1@example.org>"
    assert opened["References"] is None
    assert resolved["Message-ID"] == "<a1-9@example.org>"
    assert resolved["In-Reply-To"] == resolved["References"] == "<a1@example.org>"


def test_trying_again_makes_a_mail_of_the_same_identity() -> None:
    for one in (
        make_message(),
        make_message(make_notice("repeated")),
        make_message(make_notice(), make_notice(alert="a2")),
    ):
        first, second = (
            build_mail(build_envelope(config(25)), one, FakeContent())["Message-ID"] for _ in range(2)
        )
        assert first == second


@pytest.mark.parametrize(
    "apart",
    [
        make_message(make_notice(), make_notice(alert="a2"), key="digest-3"),
        make_message(key="digest-3", is_test=True),
    ],
)
def test_a_digest_and_a_test_are_in_no_alerts_thread(apart: NotificationMessage) -> None:
    mail = build_mail(build_envelope(config(25)), apart, FakeContent())
    assert mail["Message-ID"] == "<digest-3@example.org>"
    assert mail["References"] is None


def test_several_notices_of_one_alert_are_in_its_thread() -> None:
    both = build_mail(
        build_envelope(config(25)), make_message(make_notice(), make_notice("raised")), FakeContent()
    )
    later = build_mail(
        build_envelope(config(25)),
        make_message(make_notice("raised"), make_notice("resolved")),
        FakeContent(),
    )
    assert both["Message-ID"] == later["References"] == "<a1@example.org>"


def test_no_value_can_smuggle_a_header_in() -> None:
    wicked = config(25, security="none")
    wicked.to = ["ann@example.org\r\nBcc: eve@example.org"]
    told = make_notice("raised", message="x\r\nBcc: eve@example.org", component="d\nX: y", alert="a\r\nX: y")
    mail = build_mail(build_envelope(wicked), make_message(told, key="k\r\nX: y"), FakeContent(b"png"))
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
    assert connection_security(config(port, security=configured)) == expected


def test_a_password_is_not_sent_unencrypted_because_of_a_port() -> None:
    assert connection_security(config(25, username="ann", password="secret")) == "offered"
    assert connection_security(config(25, username="ann", password="secret", security="none")) == "none"


@pytest.mark.parametrize("security", ["starttls", None])
def test_starttls_with_credentials(certificate: tuple[Path, Path], security: Any) -> None:
    mailbox = FakeMailServer()
    options = {
        "tls_context": server_context(certificate),
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with serving(mailbox, **options) as port:
        credentials = {"username": "ann", "password": "right", "security": security}
        EmailTransport(config(port, **credentials), FakeContent(), trusting).send(make_message())
        with pytest.raises(TransportError) as caught:
            wrong = config(port, **credentials | {"password": "wrong"})
            EmailTransport(wrong, FakeContent(), trusting).send(make_message())
    assert len(mailbox.envelopes) == 1
    assert caught.value.permanent
    assert "wrong" not in str(caught.value)


def test_an_unknown_certificate_is_not_accepted(certificate: tuple[Path, Path]) -> None:
    mailbox = FakeMailServer()
    with serving(mailbox, tls_context=server_context(certificate)) as port:
        assert not failure(port, security="starttls").permanent
    assert mailbox.envelopes == []


def test_a_demanded_starttls_that_is_not_offered_is_permanent() -> None:
    with serving(FakeMailServer()) as port:
        assert failure(port, security="starttls").permanent


def test_a_password_does_not_travel_unencrypted_unasked() -> None:
    with serving(FakeMailServer(), authenticator=authenticate, auth_require_tls=False) as port:
        assert failure(port, username="ann", password="right").permanent


def test_tls_from_the_first_byte(certificate: tuple[Path, Path]) -> None:
    mailbox = FakeMailServer(answer="250 queued")
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    with serving(mailbox, ssl_context=server_context(certificate)) as port:
        transport = EmailTransport(config(port, security="tls"), FakeContent(), trusting)
        transport.send(make_message())
    assert received(mailbox)["Subject"]
    assert transport.last_response() == "250 queued"


def test_a_password_that_smtp_does_not_carry_is_permanent_and_stays_secret() -> None:
    with serving(FakeMailServer(), authenticator=authenticate, auth_require_tls=False) as port:
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
    with serving(FakeMailServer(answer=answer)) as port:
        error = failure(port)
    assert (error.permanent, error.reason) == (permanent, reason)
    assert answer in str(error)


@pytest.mark.parametrize(("answer", "permanent"), [("450 later", False), ("550 nobody", True)])
def test_refused_recipients(answer: str, permanent: bool) -> None:
    with serving(FakeMailServer(recipient=answer)) as port:
        assert failure(port).permanent is permanent


def test_one_refused_recipient_of_two_is_said_and_not_repeated() -> None:
    mailbox = FakeMailServer(refused="bob@example.org")
    with serving(mailbox) as port:
        both = config(port)
        both.to = ["ann@example.org", "bob@example.org"]
        transport = EmailTransport(both, FakeContent())
        transport.send(make_message())
    assert mailbox.envelopes[0].rcpt_tos == ["ann@example.org"]
    assert transport.last_response() == "250 OK; not sent to bob@example.org (550 nobody)"


def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    with serving(FakeMailServer()) as port:
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


@pytest.mark.parametrize("name", ["MAX_RESPONSE_BYTES", "CONNECTION_S"])
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
    assert "response too long" in str(error)
    assert (error.permanent, error.reason) == (False, "unreachable")


def sent(to: list[str], sender: str = "watch@example.org", **server: Any) -> tuple[FakeMailServer, str]:
    """Send a mail to a server with `server` as its options; return what came, and its answer in words."""
    mailbox = FakeMailServer()
    with serving(mailbox, **server) as port:
        transport = EmailTransport(
            EmailConfig(smtp="127.0.0.1", sender=sender, to=to, port=port, security="none"), FakeContent()
        )
        transport.send(make_message())
    return mailbox, transport.last_response()


def test_an_international_domain_travels_in_ascii() -> None:
    """No server needs an extension for a domain with an umlaut, and the header has it in ASCII too."""
    mailbox, answer = sent(["ann@bücher.example", "bob@example.org"], enable_SMTPUTF8=False)
    assert mailbox.envelopes[0].rcpt_tos == ["ann@xn--bcher-kva.example", "bob@example.org"]
    assert received(mailbox)["To"] == "ann@xn--bcher-kva.example, bob@example.org"
    assert answer == "250 OK"


def test_one_address_that_needs_smtputf8_does_not_stop_the_others() -> None:
    """Without the extension the others get the mail, and the answer names who does not and why."""
    mailbox, answer = sent(["jürgen@example.org", "bob@example.org"], enable_SMTPUTF8=False)
    assert mailbox.envelopes[0].rcpt_tos == ["bob@example.org"]
    assert answer.startswith("250 OK; not sent to jürgen@example.org (needs SMTPUTF8")


def test_smtputf8_address_gets_mail_if_the_server_supports_it() -> None:
    """It stands in the envelope only: in a header it would keep the mail from other servers."""
    mailbox, answer = sent(["jürgen@example.org", "bob@example.org"], enable_SMTPUTF8=True)
    assert mailbox.envelopes[0].rcpt_tos == ["jürgen@example.org", "bob@example.org"]
    assert received(mailbox)["To"] == "bob@example.org"
    assert answer == "250 OK"


def test_an_impossible_domain_is_refused_alone() -> None:
    """A domain that has no ASCII form is named; with nobody else to send to that is permanent."""
    bad = "ann@" + "ü" * 70 + ".example"
    mailbox, answer = sent([bad, "bob@example.org"])
    assert mailbox.envelopes[0].rcpt_tos == ["bob@example.org"]
    assert f"not sent to {bad} (invalid domain" in answer
    with pytest.raises(TransportError, match="all recipients rejected") as caught:
        sent([bad])
    assert caught.value.permanent


def test_a_sender_that_needs_smtputf8_is_said_where_the_server_lacks_it() -> None:
    """The sender's address is written as it is only where the server takes it."""
    mailbox, _ = sent(["bob@example.org"], "wächter@bücher.example", enable_SMTPUTF8=True)
    assert mailbox.envelopes[0].mail_from == "wächter@xn--bcher-kva.example"
    with pytest.raises(TransportError, match=r"wächter@xn--bcher-kva\.example needs SMTPUTF8") as caught:
        sent(["bob@example.org"], "wächter@bücher.example", enable_SMTPUTF8=False)
    assert caught.value.permanent


def test_a_display_name_with_a_comma_is_one_recipient() -> None:
    """A name is what stands before the address, with or without quotes; commas divide addresses only."""
    mailbox, _ = sent(['Doe, John <john@example.org>, "Roe, Jane" <jane@example.org>', "a@b.example, root"])
    assert mailbox.envelopes[0].rcpt_tos == ["john@example.org", "jane@example.org", "a@b.example", "root"]
    shown = [(one.display_name, one.addr_spec) for one in received(mailbox)["To"].addresses]
    assert shown[:2] == [("Doe, John", "john@example.org"), ("Roe, Jane", "jane@example.org")]


def test_ids_of_a_long_domain_are_neither_folded_nor_encoded() -> None:
    """Mail clients find a thread by ids that are the same letter by letter."""
    domain = f"{'monitoring' * 5}.{'trading' * 6}.example.org"
    later = make_message(make_notice("resolved", alert="a" * 36), key="k" * 40)
    long = build_envelope(config(25))._replace(sender=parse_mailbox(f"watch@{domain}"))
    lines = build_mail(long, later, FakeContent(b"png")).as_bytes().decode().splitlines()
    root = f"<{'a' * 36}@{domain}>"
    assert f"In-Reply-To: {root}" in lines
    assert f"References: {root}" in lines
    assert f"Message-ID: <{'k' * 40}@{domain}>" in lines
    assert f"Content-ID: <chart-{'k' * 40}@{domain}>" in lines
    assert f"watch@{domain}" in "".join(lines)

"""The e-mail transport against real SMTP servers on loopback."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from services.notifier.channels.email import EmailTransport, compose, security_of
from services.notifier.channels.transport import TransportError
from shared.runtime.notifications import EmailConfig
from tests.unit.notifier.receivers import notice


class Mailbox:
    """Keeps what arrives; answers as told."""

    def __init__(self, answer: str = "250 OK", recipient: str = "250 OK") -> None:
        self.envelopes: list[Envelope] = []
        self.answer = answer
        self.recipient = recipient

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: object, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept or refuse a recipient."""
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
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
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
        EmailTransport(config(port, **further)).send(notice(), "a1-1")
    return caught.value


def test_a_mail_arrives_in_words_and_with_a_stable_identity() -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        EmailTransport(config(port)).send(notice(), "a1-1")
    (envelope,) = mailbox.envelopes
    mail = message_from_bytes(envelope.content, policy=policy.default)  # type: ignore[arg-type]
    assert mail["Subject"] == "[HIGH] demo: Maximum drawdown exceeded 20% (21.3 > 20)"
    assert mail["From"] == "watch@example.org"
    assert mail["Message-ID"] == "<a1-1@example.org>"
    assert envelope.rcpt_tos == ["ann@example.org"]
    assert "Bot: demo" in mail.get_content()


def test_no_value_can_smuggle_a_header_in() -> None:
    wicked = config(25, security="none")
    wicked.to = ["ann@example.org\r\nBcc: eve@example.org"]
    mail = compose(wicked, notice(message="x\r\nBcc: eve@example.org", component="d\nX: y"), "k\r\nX: y")
    assert mail["Bcc"] is None
    assert mail["X"] is None
    assert "\n" not in mail["Subject"]


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
        EmailTransport(config(port, **credentials), trusting).send(notice(), "a1-1")
        with pytest.raises(TransportError) as caught:
            EmailTransport(config(port, **credentials | {"password": "wrong"}), trusting).send(notice(), "k")
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


@pytest.mark.parametrize(("answer", "permanent"), [("451 later", False), ("554 never", True)])
def test_the_servers_answer_decides_whether_trying_again_helps(answer: str, permanent: bool) -> None:
    with serving(Mailbox(answer=answer)) as port:
        error = failure(port)
    assert error.permanent is permanent
    assert answer in str(error)


@pytest.mark.parametrize(("answer", "permanent"), [("450 later", False), ("550 nobody", True)])
def test_refused_recipients(answer: str, permanent: bool) -> None:
    with serving(Mailbox(recipient=answer)) as port:
        assert failure(port).permanent is permanent


def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    with serving(Mailbox()) as port:
        pass
    assert not failure(port).permanent

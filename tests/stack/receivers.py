"""Receivers of notices outside the stack: a webhook and a mail server on this machine."""

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


def gateway() -> str:
    """Return the address at which containers reach this machine as `host.docker.internal`.

    On Linux that is the bridge's own address; Docker Desktop hands such calls to loopback.
    """
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    address = done.stdout.strip()
    try:
        socket.create_server((address, 0)).close()
    except OSError:
        return "127.0.0.1"
    return address


class WebhookServer:
    """An HTTP server that keeps every JSON body."""

    def __init__(self, address: str) -> None:
        self.bodies: list[dict[str, Any]] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                bodies.append(json.loads(self.rfile.read(length)))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                pass

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def of(self, component: str) -> list[dict[str, Any]]:
        """Return what came about one bot or host, in order."""
        return [body for body in list(self.bodies) if body["component"] == component]

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class MailServer:
    """A mail server that keeps every message."""

    def __init__(self, address: str) -> None:
        self.messages: list[EmailMessage] = []
        with socket.create_server((address, 0)) as taken:
            self.port: int = taken.getsockname()[1]
        self._controller = Controller(self, hostname=address, port=self.port)
        self._controller.start()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message; aiosmtpd calls this."""
        content = envelope.content or b""
        body = content.encode() if isinstance(content, str) else content
        self.messages.append(BytesParser(EmailMessage, policy=default).parsebytes(body))
        return "250 taken"

    def about(self, component: str) -> list[EmailMessage]:
        """Return the messages that name a bot or host."""
        return [one for one in list(self.messages) if component in one.as_string()]

    def close(self) -> None:
        """Stop listening."""
        self._controller.stop()


@contextmanager
def receivers() -> Iterator[tuple[WebhookServer, MailServer]]:
    """Run both."""
    address = gateway()
    webhook = WebhookServer(address)
    mailbox = MailServer(address)
    try:
        yield webhook, mailbox
    finally:
        mailbox.close()
        webhook.close()

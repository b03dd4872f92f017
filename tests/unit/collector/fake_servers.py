"""Servers on loopback for tests of probes: sockets that do as told, TLS with certificates made here."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ConnectionHandler = Callable[[socket.socket], None]


@contextmanager
def listening(converse: ConnectionHandler, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen on loopback, hold `converse` with each client, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server, answering(server, converse, tls):
        yield int(server.getsockname()[1])


@contextmanager
def listening_at(path: Path, converse: ConnectionHandler) -> Iterator[None]:
    """Listen on a unix socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with answering(server, converse):
            yield


@contextmanager
def answering(
    server: socket.socket, converse: ConnectionHandler, tls: ssl.SSLContext | None = None
) -> Iterator[None]:
    """Accept clients until the end; then every conversation loses its connection."""
    clients: list[socket.socket] = []
    threads = []

    def talk(client: socket.socket) -> None:
        with suppress(OSError):
            line = tls.wrap_socket(client, server_side=True) if tls else client
            clients.append(line)
            with line:
                converse(line)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                clients.append(client)
                thread = threading.Thread(target=talk, args=(client,), daemon=True)
                threads.append(thread)
                thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield
    finally:
        for one in (server, *clients):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in (accepting, *threads):
            thread.join(10)


def never_respond(line: socket.socket) -> None:
    """Take everything, say nothing."""
    while line.recv(65_536):
        pass


def respond_with(answer: bytes) -> ConnectionHandler:
    """Return a conversation that answers the first that comes, and ends."""

    def say(line: socket.socket) -> None:
        line.recv(65_536)
        line.sendall(answer)
        line.shutdown(socket.SHUT_WR)
        never_respond(line)

    return say


class SelfSignedCertificate:
    """A self-signed certificate for `names`, valid for `days` from yesterday on (or until a day ago)."""

    def __init__(self, folder: Path, *names: str, days: float = 30) -> None:
        now = datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = [_general(one) for one in names]
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1 if days > 0 else 30))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate, self.key = folder / f"{names[0]}.pem", folder / f"{names[0]}.key"
        self.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    @property
    def server(self) -> ssl.SSLContext:
        """TLS for a server with this certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    @property
    def client(self) -> ssl.SSLContext:
        """TLS for a client that trusts this certificate and no other."""
        return ssl.create_default_context(cafile=str(self.certificate))


def _general(name: str) -> x509.GeneralName:
    with suppress(ValueError):
        return x509.IPAddress(ipaddress.ip_address(name))
    return x509.DNSName(name)


def hang_up(line: socket.socket) -> None:
    """Hang up as soon as something comes."""
    line.recv(1)

"""TLS of the public ports: certificates are checked at the start, and followed when they are renewed."""

import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from shared.runtime.settings import REPOSITORY, PartSettings
from shared.runtime.web.tls import TlsFiles, tls_files
from shared.schema.faults import InvalidError
from tests.support import free_port, wait_until
from tests.unit.collector.certificate_authority import IssuedCertificate, authority, certificate

pytestmark = pytest.mark.slow  # starts processes

ROOT = authority()


def save(issued: IssuedCertificate, folder: Path) -> TlsFiles:
    files = TlsFiles(folder / "tls.crt", folder / "tls.key")
    files.certificate.write_bytes(issued.pem)
    files.key.write_bytes(issued.key_pem)
    return files


def client() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ROOT.pem.decode())


def serial(port: int) -> int:
    """Connect as a client that verifies, and return the serial number of the server's certificate."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        client().wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        found = secure.getpeercert()
        assert found
        return int(str(found["serialNumber"]), 16)


def test_without_files_the_ports_are_plain() -> None:
    """TLS is off unless both settings name files."""
    assert tls_files(PartSettings()) is None


def test_unusable_files_are_named_with_the_reason(tmp_path: Path) -> None:
    """Missing settings, missing files, a key of another certificate and no PEM: one sentence each."""
    files = save(certificate(ROOT, "localhost"), tmp_path)
    other = tmp_path / "other.key"
    other.write_bytes(certificate(ROOT, "localhost").key_pem)
    text = tmp_path / "text"
    text.write_text("no PEM")
    for settings, sentence in (
        (PartSettings(tls_certificate=files.certificate), "TLS_KEY: required: TLS needs both"),
        (PartSettings(tls_key=files.key), "TLS_CERTIFICATE: required: TLS needs both"),
        (
            PartSettings(tls_certificate=tmp_path / "gone", tls_key=files.key),
            "gone cannot be read: No such file",
        ),
        (PartSettings(tls_certificate=files.certificate, tls_key=other), "KEY_VALUES_MISMATCH"),
        (PartSettings(tls_certificate=text, tls_key=files.key), "expected a PEM certificate"),
    ):
        with pytest.raises(InvalidError) as raised:
            tls_files(settings)
        assert sentence in str(raised.value)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    """Return the certificate and key of the server."""
    return save(certificate(ROOT, "localhost"), tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def port(files: TlsFiles) -> Iterator[int]:
    """Serve an app as the web parts are served, with TLS and time limits that fit a test."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "--config", str(REPOSITORY / "deploy" / "gunicorn.conf.py")),
        *("--bind", f"127.0.0.1:{port}", "--certfile", str(files.certificate), "--keyfile", str(files.key)),
        *("--worker-class", "tests.unit.runtime.short_timeouts_app.ShortTimeoutWorker"),
        "tests.unit.runtime.short_timeouts_app:app()",
    ]
    with subprocess.Popen(command) as process:
        try:
            wait_until(lambda: answers(port), "gunicorn serves")
            yield port
        finally:
            process.terminate()
            process.wait(timeout=10)


def answers(port: int) -> bool:
    try:
        return get(port).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def get(port: int) -> bytes:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        client().wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return secure.recv(1000)


def test_gunicorn_answers_over_tls_only(port: int) -> None:
    """A client that verifies the certificate is answered; plain HTTP is not."""
    assert get(port).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert not plain.recv(100).startswith(b"HTTP")


def test_clients_that_do_not_end_the_handshake_stop_no_other(port: int) -> None:
    """Others are served meanwhile, and they are dropped after the time for the head."""
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(64)]
        assert get(port).startswith(b"HTTP/1.1 200 ")
        silent[0].settimeout(10)
        assert silent[0].recv(1) == b""


def test_a_renewed_certificate_is_served_without_a_restart(port: int, files: TlsFiles) -> None:
    """New connections get it; while the renewed files do not match, the old one stays."""
    first = serial(port)
    second = certificate(ROOT, "localhost")
    files.certificate.write_bytes(second.pem)
    assert serial(port) == first
    files.key.write_bytes(second.key_pem)
    assert serial(port) == second.certificate.serial_number

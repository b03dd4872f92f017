"""TLS of the public ports: certificate and key from PEM files that may be renewed while the part runs."""

import ssl
from pathlib import Path
from typing import NamedTuple

import structlog

from shared.runtime.settings import PartSettings
from shared.schema.faults import Fault, InvalidError

log = structlog.get_logger()


class TlsFiles(NamedTuple):
    """PEM files: the certificate with its chain, and its private key without a password."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Load the files; OSError or ssl.SSLError (a kind of it) if one is missing, or they do not match."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # An empty password: OpenSSL would ask for one at the terminal.
        context.load_cert_chain(self.certificate, self.key, password="")
        context.set_alpn_protocols(["http/1.1"])
        return context

    def changed_at(self) -> tuple[int, ...]:
        """Return the modification times of the files, in ns."""
        return tuple(path.stat().st_mtime_ns for path in self)


def tls_files(settings: PartSettings) -> TlsFiles | None:
    """Return the files of the settings, None without TLS; InvalidError if they cannot be used."""
    if settings.tls_certificate is None and settings.tls_key is None:
        return None
    if settings.tls_certificate is None or settings.tls_key is None:
        missing = "TLS_KEY" if settings.tls_key is None else "TLS_CERTIFICATE"
        raise InvalidError([Fault(missing, "required: TLS needs both TLS_CERTIFICATE and TLS_KEY")])
    files = TlsFiles(settings.tls_certificate, settings.tls_key)
    for name, path in (("TLS_CERTIFICATE", files.certificate), ("TLS_KEY", files.key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise InvalidError([Fault(name, f"{path} cannot be read: {error.strerror}")]) from error
    try:
        files.context()
    except (OSError, ValueError) as error:  # ValueError: the key has a password
        message = "expected a PEM certificate and its private key without a password"
        raise InvalidError([Fault("TLS_CERTIFICATE", f"{message}: {error}")]) from error
    return files


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a server's context; new connections get the new certificate after the files were renewed.

    While renewed files cannot be used, such as between the writing of the two, the old certificate stays.
    """
    context = current = files.context()
    loaded_at = files.changed_at()

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext) -> None:
        nonlocal current, loaded_at
        try:
            if (changed_at := files.changed_at()) != loaded_at:
                current = files.context()
                loaded_at = changed_at
                log.info("TLS certificate reloaded", certificate=str(files.certificate))
        except (OSError, ValueError) as error:
            log.warning("renewed TLS certificate cannot be used", reason=str(error))
        connection.context = current

    context.sni_callback = choose  # called at every handshake, also without a server name
    return context


def scheme(settings: PartSettings, plain: str = "http") -> str:
    """Return the scheme of the public ports: `plain`, with an `s` if they speak TLS."""
    return f"{plain}s" if settings.tls_certificate else plain

"""Certificates made for a test: an authority, and whatever of servers it signs, right and wrong."""

import ipaddress
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class IssuedCertificate(NamedTuple):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key alone."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def save(self, path: Path, *others: "IssuedCertificate") -> Path:
        """Write what a server wants: certificate, chain and key in one file."""
        path.write_bytes(b"".join((self.pem, *(other.pem for other in others), self.key_pem)))
        return path


def authority(
    name: str = "Test Root", by: IssuedCertificate | None = None, days: float = 3650
) -> IssuedCertificate:
    """Make an authority, a root or one below `by`."""
    return _issue(name, by, (), days, ec.generate_private_key(ec.SECP256R1()), is_authority=True)


def cross_signed(root: IssuedCertificate, by: IssuedCertificate, days: float) -> IssuedCertificate:
    """Return a certificate of the authority `root` that another one, `by`, has signed."""
    name = root.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return _issue(str(name), by, (), days, root.key, is_authority=True)


def certificate(
    by: IssuedCertificate | None,
    *names: str,
    days: float = 90,
    since: float = 0,
    rsa_bits: int = 0,
) -> IssuedCertificate:
    """Make a server's certificate for `names`: begun `since` days ago, over in `days`; by None: by itself."""
    key: Key = ec.generate_private_key(ec.SECP256R1())
    if rsa_bits:
        key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits)
    return _issue(names[0], by, names, days, key, since=since)


def _issue(
    name: str,
    by: IssuedCertificate | None,
    names: tuple[str, ...],
    days: float,
    key: Key,
    *,
    since: float = 1,
    is_authority: bool = False,
) -> IssuedCertificate:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = by.certificate.subject if by else subject
    signer = by.key if by else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now - timedelta(days=since), now + timedelta(days=days - 1)))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if is_authority:
        usage = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "encipher_only", "decipher_only"), False,
        )  # fmt: skip
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True, **usage), critical=True
        )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
        )
    return IssuedCertificate(builder.sign(signer, hashes.SHA256()), key)


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class TlsServer:
    """A server that shakes hands and says nothing more; with `file` None it does not even shake hands."""

    def __init__(self, file: Path | None) -> None:
        self.context: ssl.SSLContext | None = None
        if file is not None:
            self.use(file)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def use(self, file: Path) -> None:
        """Show this certificate from now on: with chain and key, as it was saved."""
        self.context = server_context(file)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.context is None:
                self._open.append(connection)
                continue
            connection.settimeout(10)
            try:
                self._open.append(self.context.wrap_socket(connection, server_side=True))
            except OSError:  # The client did not like it: what it says is what is tested.
                connection.close()


def server_context(file: Path) -> ssl.SSLContext:
    """Return the TLS settings of a server with the certificate, chain and key in `file`; weak ones, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(file)
    return context

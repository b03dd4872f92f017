"""Certificates of servers and in PEM files: how long they last, and whether clients accept them.

Whether a server's is trusted, and for that name, `ssl` decides: it is what bots use. Judged is the path
that it verified, from the server's certificate to a trusted root; what the server sends besides is no
client's concern. Only when it refuses one, a second handshake without verification fetches it, to say what
is wrong.
"""

import functools
import ssl
import time
from datetime import datetime

from cryptography import x509

from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.certificates.chain import (
    CertificateProblem,
    ExpiryThresholds,
    chain_problems,
    evaluate_chain,
    host_mismatch,
    subject_name,
    unused_expired,
)
from services.collector.host.watched_host import WatchedHost, resolve_within
from shared.runtime.config.check_sections import CertificateSection
from shared.runtime.http.dial import NetworkError, TimedConnection, client_context, dial
from shared.runtime.http.urls import ascii_host
from shared.schema.formatting import format_value
from shared.schema.records import CheckReason, CheckType
from shared.schema.units import BYTES

MAX_BYTES = 4_194_304
"""Of a PEM file: all authorities of a system have a tenth of it."""

_WRONG_HOST = (62, 64)
_UNKNOWN = "Certificate {name} is not trusted: issuer {issuer} missing from the chain"
_WEAK = "Certificate {name} or one of its issuers is too weak: clients reject it"
_VERIFY_ERRORS: dict[int, tuple[CheckReason, str]] = {
    2: ("untrusted", _UNKNOWN),
    9: ("other", "An issuer of certificate {name} is not yet valid: clients reject both"),
    10: ("expired", "An issuer of certificate {name} has expired: clients reject both"),
    18: ("untrusted", "Certificate {name} is self-signed"),
    19: (
        "untrusted",
        "Certificate {name} is not trusted: unknown authority, see issuer {issuer}",
    ),
    20: ("untrusted", _UNKNOWN),
    21: ("untrusted", _UNKNOWN),
    66: ("weak", _WEAK),
    67: ("weak", _WEAK),
    68: ("weak", _WEAK),
}
"""What OpenSSL's codes mean, see X509_verify_cert_error_string(3)."""


def create_probe(section: CertificateSection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section`."""
    if section.file is not None:
        return CertificateFileProbe(section, place)
    return ServerCertificateProbe(section, timeout_s, place)


class ServerCertificateProbe:
    """Checks the certificate of a server."""

    type: CheckType = "certificate"

    def __init__(self, section: CertificateSection, timeout_s: float, place: WatchedHost) -> None:
        host, _, port = (section.address or "").rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._server_name = ascii_host(section.server_name or self._host)
        self._marks = ExpiryThresholds(section.days)
        self._timeout_s = timeout_s
        self._trust = section.trust
        self._root = place.root

    def run(self, now: datetime) -> CheckResult:
        """Run once; `unknown` if the server cannot be reached."""
        deadline = time.monotonic() + self._timeout_s
        try:
            tls = self._verifying()
        except OSError:
            return CheckResult("unknown", f"Cannot read the authorities in {self._trust}", "denied")
        try:
            return self._evaluate(self._connect(deadline, tls), None, now)
        except NetworkError as error:
            refusal = error.__cause__
            if not isinstance(refusal, ssl.SSLCertVerificationError):
                return _unreachable_result(error)
        try:
            tls = (
                self._verifying(any_name=True)
                if refusal.verify_code in _WRONG_HOST
                else _unverified_context()
            )
            return self._evaluate(self._connect(deadline, tls), refusal, now)
        except NetworkError as error:
            return _unreachable_result(error)

    def _connect(self, deadline: float, tls: ssl.SSLContext) -> TimedConnection:
        return dial(self._host, self._port, deadline, tls, self._server_name)

    def _verifying(self, *, any_name: bool = False) -> ssl.SSLContext:
        if self._trust is None and not any_name:
            return client_context()
        context = ssl.create_default_context()
        context.check_hostname = not any_name
        if self._trust is not None:
            context.load_verify_locations(resolve_within(self._root, self._trust))
        return context

    def _evaluate(
        self, connected: TimedConnection, refusal: ssl.SSLCertVerificationError | None, now: datetime
    ) -> CheckResult:
        with connected.socket:
            sent, path = sent_chain(connected), verified_chain(connected)
        try:
            chain = [x509.load_der_x509_certificate(der) for der in path or sent]
            unused = [x509.load_der_x509_certificate(der) for der in sent if path and der not in path]
        except ValueError:
            return CheckResult("critical", "The server sent an unreadable certificate", "corrupt")
        problems = chain_problems(chain, self._marks, now)
        if refusal is not None and (problem := self._verification_problem(refusal, chain[0], problems)):
            problems.insert(0, problem)
        result = evaluate_chain(problems, chain, now)
        text = "; ".join((result.text, *unused_expired(unused, now)))
        return result._replace(text=text, figures={**connected.metrics, **result.figures})

    def _verification_problem(
        self, refusal: ssl.SSLCertVerificationError, shown: x509.Certificate, known: list[CertificateProblem]
    ) -> CertificateProblem | None:
        """Say why clients refuse the certificate; None when its dates have said it."""
        code = refusal.verify_code
        if code in _WRONG_HOST and (problem := host_mismatch(shown, self._server_name)):
            return problem
        unknown: tuple[CheckReason, str] = ("untrusted", "Certificate {name} is rejected by clients: {words}")
        reason, sentence = _VERIFY_ERRORS.get(code, unknown)
        if reason in ("expired", "other") and any(problem.reason == reason for problem in known):
            return None
        name, issuer = subject_name(shown.subject), subject_name(shown.issuer)
        text = sentence.format(name=name, issuer=issuer, words=refusal.verify_message)
        return CertificateProblem(reason, text)


class CertificateFileProbe:
    """Checks every certificate in a PEM file."""

    type: CheckType = "certificate"

    def __init__(self, section: CertificateSection, place: WatchedHost) -> None:
        self._file = section.file or ""
        self._server_name = section.server_name
        self._marks = ExpiryThresholds(section.days)
        self._root = place.root

    def run(self, now: datetime) -> CheckResult:
        """Run once; links are followed each time, because a renewal may only move a link."""
        try:
            with resolve_within(self._root, self._file).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                limit = format_value(MAX_BYTES, BYTES)
                text = f"{self._file} is larger than {limit}, too large for a certificate file"
                return CheckResult("unknown", text, "other")
            chain = x509.load_pem_x509_certificates(data)
        except FileNotFoundError:
            return CheckResult("critical", f"Certificate file {self._file} does not exist", "failed")
        except OSError as error:
            return CheckResult("unknown", f"{self._file} cannot be read: {error.strerror or error}", "denied")
        except ValueError:
            return CheckResult("critical", f"{self._file} contains no readable certificate", "corrupt")
        problems = chain_problems(chain, self._marks, now, f" in {self._file}")
        if self._server_name and (problem := host_mismatch(chain[0], self._server_name, f" in {self._file}")):
            problems.append(problem)
        return evaluate_chain(problems, chain, now)


def sent_chain(connected: TimedConnection) -> list[bytes]:
    """Return the certificates that the server sent, DER, its own first.

    Before Python 3.13 `ssl` returns only the server's own.
    """
    if hasattr(connected.socket, "get_unverified_chain"):
        return list(connected.socket.get_unverified_chain())
    return [connected.certificate] if connected.certificate else []


def verified_chain(connected: TimedConnection) -> list[bytes]:
    """Return the path by which the server's certificate was verified, DER, from it to the trusted root.

    Empty where nothing was verified, and before Python 3.13, where `ssl` does not return it.
    """
    tls = connected.socket
    if not isinstance(tls, ssl.SSLSocket) or not hasattr(tls, "get_verified_chain"):
        return []
    return [] if tls.context.verify_mode == ssl.CERT_NONE else list(tls.get_verified_chain())


def _unreachable_result(error: NetworkError) -> CheckResult:
    """Missing TLS is a failure of this check; a server that is down is one of other checks."""
    if error.reason == "tls":
        return CheckResult("critical", error.text, "tls")
    return CheckResult("unknown", f"Certificate not checked: {error.text}", error.reason)


@functools.cache
def _unverified_context() -> ssl.SSLContext:
    """Return TLS settings that accept any certificate, however weak: to read it, never to trust it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context

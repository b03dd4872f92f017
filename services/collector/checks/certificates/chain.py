"""Certificates: what is wrong with a chain by its dates and keys, and for how long it lasts. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.x509.oid import NameOID

from services.collector.checks.base import CheckResult
from shared.schema.records import CheckReason, CheckStatus

DAY_S = 86_400
MIN_KEY_BITS = {"RSA": 2048, "DSA": 2048, "EC": 224}
"""Shorter keys are refused by authorities and by ever more clients."""
_MAX_LISTED = 3
"""How many of a certificate's names are shown."""
_MAX_NAME = 100
"""Characters of a name that are shown: a certificate's author writes any text into it."""


class CertificateProblem(NamedTuple):
    """One thing that is wrong."""

    reason: CheckReason
    text: str
    status: CheckStatus = "critical"


class ExpiryThresholds:
    """Days before the expiry at which there is a warning; critical from the last but one on."""

    def __init__(self, days: Sequence[int]) -> None:
        self._days = sorted(set(days))
        self._critical = self._days[1] if len(self._days) > 1 else -1

    def reached(self, days_left: float) -> tuple[int, CheckStatus] | None:
        """Return the latest mark that has passed and what it means; None before the first."""
        mark = next((day for day in self._days if days_left <= day), None)
        if mark is None:
            return None
        return mark, "critical" if mark <= self._critical else "warning"


def chain_problems(
    chain: Sequence[x509.Certificate], marks: ExpiryThresholds, now: datetime, where: str = ""
) -> list[CertificateProblem]:
    """List what is wrong with the dates and keys of a chain; `where` follows each name."""
    found = []
    for certificate in chain:
        name = f"Certificate {subject_name(certificate.subject)}{where}"
        found += [_validity_problem(certificate, name, marks, now), _strength_problem(certificate, name)]
    return [problem for problem in found if problem]


def host_mismatch(certificate: x509.Certificate, host: str, where: str = "") -> CertificateProblem | None:
    """Return a fault if a certificate is not for `host`; a star matches the first label of a name."""
    names = subject_hosts(certificate)
    if host.lower() in names or f"*.{host.lower().partition('.')[2]}" in names:
        return None
    known = ", ".join(repr(name[:_MAX_NAME]) for name in names[:_MAX_LISTED]) + (
        " and others" if len(names) > _MAX_LISTED else ""
    )
    return CertificateProblem("wrong_host", f"Certificate{where} is for {known or 'no host'}, not for {host}")


def unused_expired(certificates: Sequence[x509.Certificate], now: datetime) -> list[str]:
    """Name the expired ones among certificates that a server sends and clients do not use."""
    return [
        f"unused certificate {subject_name(one.subject)} sent by the server expired on "
        f"{_format_time(one.not_valid_after_utc)}; remove it"
        for one in certificates
        if now > one.not_valid_after_utc
    ]


def evaluate_chain(
    problems: Sequence[CertificateProblem], chain: Sequence[x509.Certificate], now: datetime
) -> CheckResult:
    """Return one result for all problems, the worst first."""
    left = min(_days_left(certificate, now) for certificate in chain)
    figures = {"certificate_days": round(left, 3)}
    if not problems:
        return CheckResult("ok", f"Valid for {left:.0f} more days", None, figures)
    ranked = sorted(problems, key=lambda problem: problem.status != "critical")
    return CheckResult(
        ranked[0].status, "; ".join(problem.text for problem in ranked), ranked[0].reason, figures
    )


def subject_name(subject: x509.Name) -> str:
    """Return what a certificate calls its owner or its issuer, in quotes and no longer than a line."""
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = names[0].value if names else subject.rfc4514_string()
    return repr(str(name)[:_MAX_NAME])


def subject_hosts(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses that a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return [name.lower() for name in (*names.get_values_for_type(x509.DNSName), *addresses)]


def _validity_problem(
    certificate: x509.Certificate, name: str, marks: ExpiryThresholds, now: datetime
) -> CertificateProblem | None:
    """Evaluate the dates; the text changes only at a threshold, so that each threshold is reported once."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now < begin:
        return CertificateProblem("other", f"{name} is not valid before {_format_time(begin)}")
    if now > end:
        return CertificateProblem("expired", f"{name} expired on {_format_time(end)}")
    passed = marks.reached(_days_left(certificate, now))
    if passed is None:
        return None
    mark, status = passed
    left = f"{mark} days" if mark > 1 else "1 day"
    return CertificateProblem(
        "expiring", f"{name} expires on {_format_time(end)} (less than {left} left)", status
    )


def _strength_problem(certificate: x509.Certificate, name: str) -> CertificateProblem | None:
    """Evaluate the key and the signature; the signature of a root is its own and is not checked."""
    kind, bits = _key(certificate)
    if bits < MIN_KEY_BITS.get(kind, 0):
        text = f"{name} has a weak key: {kind} {bits} bits (minimum {MIN_KEY_BITS[kind]})"
        return CertificateProblem("weak", text, "warning")
    is_root = certificate.issuer == certificate.subject
    if isinstance(certificate.signature_hash_algorithm, (SHA1, MD5)) and not is_root:
        algorithm = certificate.signature_hash_algorithm.name.upper()
        return CertificateProblem(
            "weak", f"{name} is signed with {algorithm}, expected SHA-256 or better", "warning"
        )
    return None


def _key(certificate: x509.Certificate) -> tuple[str, int]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    return type(key).__name__, 0


def _days_left(certificate: x509.Certificate, now: datetime) -> float:
    return (certificate.not_valid_after_utc - now).total_seconds() / DAY_S


def _format_time(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y at %H:%M} UTC"

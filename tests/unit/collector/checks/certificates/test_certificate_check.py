"""Certificates: real handshakes with real servers, and files as servers and renewal tools leave them."""

import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.certificates import certificate_check as module
from services.collector.checks.certificates.certificate_check import create_probe
from services.collector.checks.certificates.chain import ExpiryThresholds
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import CertificateSection
from tests.support import free_port, require_program
from tests.unit.collector.certificate_authority import (
    IssuedCertificate,
    TlsServer,
    authority,
    certificate,
    cross_signed,
)

pytestmark = pytest.mark.slow  # starts processes

ROOT = authority()
LOCAL = "127.0.0.1"
HAS_CHAIN = hasattr(ssl.SSLSocket, "get_unverified_chain")


def now() -> datetime:
    return datetime.now(UTC)


def look(*, at: datetime | None = None, timeout_s: float = 5.0, **section: Any) -> CheckResult:
    check = CertificateSection(**section)
    return create_probe(check, timeout_s, WatchedHost("here", Path("/proc"), Path("/"))).run(at or now())


def shown(
    tmp_path: Path,
    leaf: IssuedCertificate,
    *above: IssuedCertificate,
    trusted: IssuedCertificate = ROOT,
    **section: Any,
) -> CheckResult:
    """Look at a server that shows `leaf` and what is `above` it."""
    trust = tmp_path / "trust.pem"
    trust.write_bytes(trusted.pem)
    with TlsServer(leaf.save(tmp_path / "server.pem", *above)) as server:
        return look(address=server.address, trust=str(trust), **section)


def test_a_good_certificate_is_fine_and_its_days_are_told(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, LOCAL, days=63.5))
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.figures["certificate_days"] == pytest.approx(63.5, abs=0.01)
    assert {"dns_ms", "connect_ms", "tls_ms"} <= seen.figures.keys()


def test_an_expired_certificate_is_told_with_its_day(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, LOCAL, days=-2, since=90))
    assert (seen.status, seen.reason) == ("critical", "expired")
    assert seen.text.startswith(f"Certificate '127.0.0.1' expired on {(now() - timedelta(2)).day} ")
    assert "see" not in seen.text
    assert seen.figures["certificate_days"] == pytest.approx(-2, abs=0.01)


def test_a_certificate_that_is_not_yet_valid_is_told_with_its_day(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, LOCAL, days=90, since=-3))
    assert (seen.status, seen.reason) == ("critical", "other")
    assert f"is not valid before {(now() + timedelta(3)).day} " in seen.text


def test_a_certificate_for_another_host_is_told_with_its_hosts(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, "api.example.org", "*.example.net"))
    assert (seen.status, seen.reason) == ("critical", "wrong_host")
    assert seen.text == "Certificate is for 'api.example.org', '*.example.net', not for 127.0.0.1"


def test_a_server_name_is_what_the_certificate_must_be_for(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, "*.example.net"), server_name="api.example.net")
    assert seen.status == "ok"


def test_a_wrong_host_is_told_besides_an_end_that_comes_near(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, "api.example.org", days=5))
    assert seen.reason == "wrong_host"
    assert "expires on" in seen.text


def test_a_self_signed_certificate_is_told_as_such(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(None, LOCAL))
    assert (seen.status, seen.reason) == ("critical", "untrusted")
    assert seen.text == "Certificate '127.0.0.1' is self-signed"


def test_a_chain_without_its_intermediate_names_who_is_missing(tmp_path: Path) -> None:
    middle = authority("Test Intermediate", ROOT)
    seen = shown(tmp_path, certificate(middle, LOCAL))
    assert (seen.status, seen.reason) == ("critical", "untrusted")
    assert "issuer 'Test Intermediate' missing from the chain" in seen.text


def test_a_chain_with_its_intermediate_is_fine(tmp_path: Path) -> None:
    middle = authority("Test Intermediate", ROOT)
    assert shown(tmp_path, certificate(middle, LOCAL), middle).status == "ok"


def test_a_chain_to_a_root_that_nobody_knows_is_told(tmp_path: Path) -> None:
    other = authority("Other Root")
    seen = shown(tmp_path, certificate(other, LOCAL), other)
    assert (seen.status, seen.reason) == ("critical", "untrusted")
    assert "'Other Root'" in seen.text


def test_an_expired_intermediate_is_told_though_the_servers_own_is_good(tmp_path: Path) -> None:
    middle = authority("Test Intermediate", ROOT, days=-1)
    seen = shown(tmp_path, certificate(middle, LOCAL), middle)
    assert (seen.status, seen.reason) == ("critical", "expired")
    assert (
        "'Test Intermediate' expired on" if HAS_CHAIN else "issuer of certificate '127.0.0.1' has expired"
    ) in seen.text


@pytest.mark.skipif(not HAS_CHAIN, reason="before Python 3.13 ssl shows no chain")
def test_an_intermediate_that_ends_first_decides_the_days(tmp_path: Path) -> None:
    middle = authority("Test Intermediate", ROOT, days=10)
    seen = shown(tmp_path, certificate(middle, LOCAL), middle)
    assert (seen.status, seen.reason) == ("warning", "expiring")
    assert seen.figures["certificate_days"] == pytest.approx(10, abs=0.01)


def test_an_expired_cross_sign_of_a_trusted_root_is_information_only(tmp_path: Path) -> None:
    """Clients verify the server's certificate by the root they know, whatever the server sends besides."""
    expired = cross_signed(ROOT, authority("Old Root"), days=-3)
    seen = shown(tmp_path, certificate(ROOT, LOCAL, days=63.4), expired)
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.figures["certificate_days"] == pytest.approx(63.4, abs=0.01)
    if HAS_CHAIN:
        assert seen.text.startswith(
            "Valid for 63 more days; unused certificate 'Test Root' sent by the server expired on "
        )
        assert seen.text.endswith("; remove it")


def test_an_expired_cross_sign_does_not_hide_a_wrong_host(tmp_path: Path) -> None:
    """The name is the only fault that clients see."""
    expired = cross_signed(ROOT, authority("Old Root"), days=-3)
    seen = shown(tmp_path, certificate(ROOT, "other.example"), expired)
    assert (seen.status, seen.reason) == ("critical", "wrong_host")
    assert "' expired on" not in seen.text


def test_the_root_by_which_clients_verify_counts(tmp_path: Path) -> None:
    """The server does not send its root; when it ends, clients refuse all that it signed."""
    ending = authority("Ending Root", days=5)
    seen = shown(tmp_path, certificate(ending, LOCAL), trusted=ending)
    if HAS_CHAIN:
        assert (seen.status, seen.reason) == ("critical", "expiring")
        assert "Certificate 'Ending Root' expires on" in seen.text


def test_a_short_key_is_weak(tmp_path: Path) -> None:
    seen = shown(tmp_path, certificate(ROOT, LOCAL, rsa_bits=1024))
    assert seen.reason == "weak"
    assert "RSA 1024 bits (minimum 2048)" in seen.text


def test_a_signature_by_sha_1_is_weak(tmp_path: Path) -> None:
    root, key, file = (tmp_path / name for name in ("root.pem", "key.pem", "sha1.pem"))
    root.write_bytes(ROOT.pem + ROOT.key_pem)
    signed = openssl(
        "req", "-x509", "-sha1", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-days", "90",
        "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-addext", "authorityKeyIdentifier=keyid", "-addext", "basicConstraints=CA:FALSE",
        "-CA", root, "-CAkey", root,
    )  # fmt: skip
    file.write_bytes(signed + key.read_bytes())
    seen = look(file=str(file))
    assert (seen.status, seen.reason) == ("warning", "weak")
    assert "signed with SHA1, expected SHA-256 or better" in seen.text
    with TlsServer(file) as server:
        seen = look(address=server.address, trust=str(root))
    assert seen.reason == "weak", seen.text


def openssl(*arguments: str | Path) -> bytes:
    require_program("openssl")
    return subprocess.run(("openssl", *arguments), check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    ("days", "status", "left"),
    [(22, "ok", ""), (21, "warning", "21 days"), (14.5, "warning", "21 days"), (14, "warning", "14 days"),
     (7, "critical", "7 days"), (1.5, "critical", "7 days"), (1, "critical", "1 day")],
)  # fmt: skip
def test_each_mark_that_passes_changes_the_sentence(
    tmp_path: Path, days: float, status: str, left: str
) -> None:
    leaf = certificate(ROOT, LOCAL, days=90)
    leaf.save(tmp_path / "leaf.pem")
    at = leaf.certificate.not_valid_after_utc - timedelta(days=days)
    seen = look(at=at, file=str(tmp_path / "leaf.pem"))
    assert seen.status == status
    assert seen.reason == (None if status == "ok" else "expiring")
    if left:
        assert seen.text.endswith(f"(less than {left} left)")


def test_between_two_marks_the_sentence_stays_the_same(tmp_path: Path) -> None:
    leaf = certificate(ROOT, LOCAL, days=90)
    leaf.save(tmp_path / "leaf.pem")
    end = leaf.certificate.not_valid_after_utc
    texts = {
        look(at=end - timedelta(days=days), file=str(tmp_path / "leaf.pem")).text for days in (20.9, 18, 14.1)
    }
    assert len(texts) == 1


def test_a_renewed_certificate_ends_the_warning_while_it_is_watched(tmp_path: Path) -> None:
    trust = tmp_path / "trust.pem"
    trust.write_bytes(ROOT.pem)
    old = certificate(ROOT, LOCAL, days=3).save(tmp_path / "old.pem")
    new = certificate(ROOT, LOCAL, days=90).save(tmp_path / "new.pem")
    with TlsServer(old) as server:
        section = CertificateSection(address=server.address, trust=str(trust))
        watching = create_probe(section, 5.0, WatchedHost("here", Path("/proc"), Path("/")))
        assert watching.run(now()).status == "critical"
        server.use(new)
        assert watching.run(now()).status == "ok"


def test_a_handshake_that_times_out_is_unknown() -> None:
    with TlsServer(None) as server:
        seen = look(address=server.address, timeout_s=0.3)
    assert (seen.status, seen.reason) == ("unknown", "timeout")
    assert seen.text.startswith("Certificate not checked: ")


def test_a_server_that_is_away_says_nothing_about_its_certificate() -> None:
    seen = look(address=f"127.0.0.1:{free_port()}")
    assert (seen.status, seen.reason) == ("unknown", "refused")


def test_a_trust_file_that_is_missing_is_told(tmp_path: Path) -> None:
    seen = look(address="127.0.0.1:1", trust=str(tmp_path / "none.pem"))
    assert seen.status == "unknown"
    assert "none.pem" in seen.text


def test_every_certificate_in_a_file_counts(tmp_path: Path) -> None:
    file = certificate(ROOT, "a.example", days=90).save(
        tmp_path / "many.pem", certificate(ROOT, "b.example", days=-1, since=9), ROOT
    )
    seen = look(file=str(file))
    assert (seen.status, seen.reason) == ("critical", "expired")
    assert f"Certificate 'b.example' in {file} expired on" in seen.text
    assert seen.figures["certificate_days"] == pytest.approx(-1, abs=0.01)


def test_the_gravest_comes_first(tmp_path: Path) -> None:
    file = certificate(ROOT, "a.example", days=15).save(
        tmp_path / "many.pem", certificate(ROOT, "b.example", days=2)
    )
    seen = look(file=str(file))
    assert seen.status == "critical"
    assert seen.text.index("b.example") < seen.text.index("a.example")


def test_a_file_for_another_host_is_told(tmp_path: Path) -> None:
    file = certificate(ROOT, "a.example").save(tmp_path / "a.pem")
    assert look(file=str(file), server_name="A.example").status == "ok"
    assert look(file=str(file), server_name="b.example").reason == "wrong_host"


def _missing(path: Path) -> None:
    path.unlink(missing_ok=True)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _key_only(path: Path) -> None:
    path.write_bytes(ROOT.key_pem)


def _garbage(path: Path) -> None:
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(_missing, "failed"), (_empty, "corrupt"), (_key_only, "corrupt"), (_garbage, "corrupt")],
)
def test_a_file_without_a_certificate_is_critical(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str
) -> None:
    spoil(tmp_path / "file.pem")
    seen = look(file=str(tmp_path / "file.pem"))
    assert (seen.status, seen.reason) == ("critical", reason)
    assert "file.pem" in seen.text


def test_a_file_that_is_too_long_to_be_read_whole_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificates that are not read may have expired."""
    path = certificate(ROOT, "a.example", days=90).save(tmp_path / "file.pem")
    monkeypatch.setattr(module, "MAX_BYTES", path.stat().st_size)
    assert look(file=str(path)).status == "ok"
    path.write_bytes(path.read_bytes() + certificate(ROOT, "b.example", days=-3).pem)
    seen = look(file=str(path))
    assert (seen.status, seen.reason) == ("unknown", "other")
    assert "is larger than" in seen.text


def test_a_folder_instead_of_a_file_is_unknown(tmp_path: Path) -> None:
    assert look(file=str(tmp_path)).status == "unknown"


def test_a_renewal_that_moves_a_link_within_the_watched_host_is_seen(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    certificate(ROOT, "a.example", days=3).save(tmp_path / "etc" / "1.pem")
    certificate(ROOT, "a.example", days=90).save(tmp_path / "etc" / "2.pem")
    link = tmp_path / "etc" / "live.pem"
    link.symlink_to("/etc/1.pem")
    section = CertificateSection(file="/etc/live.pem")
    watching = create_probe(section, 5.0, WatchedHost("there", Path("/proc"), tmp_path))
    assert watching.run(now()).status == "critical"
    link.unlink()
    link.symlink_to("/etc/2.pem")
    assert watching.run(now()).status == "ok"


def test_one_mark_alone_is_a_warning() -> None:
    assert ExpiryThresholds([30]).reached(29) == (30, "warning")

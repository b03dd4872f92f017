"""Diagnostics of the configuration: documents and secrets."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.native.diagnostics.configuration import check_certificate, check_documents, check_secrets
from services.native.diagnostics.site import Site
from shared.runtime import clock


def test_every_fault_of_the_documents(tmp_path: Path) -> None:
    """Each with the command that checks again."""
    (tmp_path / "performance_logger.json").write_text('{"alertng": {}}')
    (tmp_path / "health_monitor.json").write_text("{")
    found = list(check_documents(Site({"BOTWATCH_CONFIG": str(tmp_path)})))
    assert [one.status for one in found] == ["critical", "critical"]
    assert found[0].fix.endswith(f"`botwatch rules check {tmp_path}`")


@pytest.mark.parametrize("url", ["localhost", "botwatch.example/page", "https://"])
def test_an_address_of_the_page_that_is_no_url_is_a_warning(url: str, tmp_path: Path) -> None:
    """Every link in a notification begins with it."""
    (tmp_path / "notifications.yml").write_text("channels: { desk: { url: 'https://desk.example/' } }")
    environ = {"BOTWATCH_CONFIG": str(tmp_path), "DASHBOARD_URL": url}
    valid, found = check_documents(Site(environ))
    assert (valid.status, found.status) == ("ok", "warning")
    assert found.what == f"DASHBOARD_URL is {url!r}: links in notifications lead nowhere"


def test_a_channel_without_a_scheme_is_a_warning(tmp_path: Path) -> None:
    """Before the start, not at the first alert."""
    environ = {"BOTWATCH_CONFIG": str(tmp_path), "WEBHOOK": "hooks.slack.com/s3cret"}
    (tmp_path / "notifications.yml").write_text("channels: { desk: { url: '${WEBHOOK}' } }")
    valid, found = check_documents(Site(environ))
    assert (valid.status, found.status) == ("ok", "warning")
    assert found.what.startswith("channel desk: expected a URL such as https://…, ")
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"INGEST_TOKEN": "a-short-token-1"}, "INGEST_TOKEN has 15 characters"),
        ({"BOTWATCH_SECRET_FILE": "/nonexistent"}, "BOTWATCH_SECRET_FILE cannot be read"),
        ({"REDIS_URL": "redis://127.0.0.1:6379/0"}, "REDIS_URL has no password"),
        ({"ACCESS": "open"}, "ACCESS is 'open'"),
        ({"GRAFANA_PASSWORD": "admin"}, "GRAFANA_PASSWORD is 'admin'"),
    ],
)
def test_production_refuses_missing_and_weak_secrets(environ: dict[str, str], what: str) -> None:
    """The secret itself is not shown."""
    [found] = [one for one in check_secrets(Site(environ, production=True)) if one.status != "ok"]
    assert found.status == "critical"
    assert found.what.startswith(what)
    assert "a-short-token-1" not in str(found)


def test_a_default_password_for_grafana_in_the_file_of_compose_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Compose tells what .env sets."""
    text = '{"services": {"secrets": {"environment": {"GRAFANA_PASSWORD": "admin"}}}}'
    done = subprocess.CompletedProcess([], 0, text, "")
    monkeypatch.setattr("subprocess.run", lambda *_, **__: done)
    found = [
        one.what for one in check_secrets(Site({}, "compose", production=True)) if one.status == "critical"
    ]
    assert found == ["GRAFANA_PASSWORD is 'admin', which everybody knows"]


def write_certificate(folder: Path, until: datetime) -> dict[str, str]:
    """Write a certificate and its key, and return the settings that name them."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, until - timedelta(days=90), until)
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(pem))
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(text)
    return {"TLS_CERTIFICATE": str(folder / "cert.pem"), "TLS_KEY": str(folder / "key.pem")}


def test_an_expired_certificate_is_said_with_its_day(tmp_path: Path) -> None:
    """Rather than that it is valid for a negative number of days."""
    until = clock.now() - timedelta(days=28)
    [found] = check_certificate(Site(write_certificate(tmp_path, until)))
    assert found.status == "warning"
    assert f"expired on {until:%Y-%m-%d}: browsers and bots refuse it" in found.what

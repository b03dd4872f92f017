"""Diagnostics of the configuration: documents, and secrets from the environment."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from cryptography import x509

from services.native.diagnostics.finding import Finding, critical, ok, warning
from services.native.diagnostics.site import Site
from shared.runtime import clock
from shared.runtime.http.urls import parse_http_url
from shared.runtime.settings import ENCRYPTED_PREFIX, read_variable
from shared.runtime.web.tls import tls_files
from shared.schema.faults import InvalidError

TOKENS = ("INGEST_TOKEN", "COLLECTOR_TOKEN", "BOTWATCH_SECRET")
FEW_DAYS = 14
"""Certificates are renewed well before."""
GRAFANA_DEFAULT = "admin"
"""Grafana's own default password, which everybody knows."""
SHORTEST_SECRET = 20
"""Characters; `openssl rand -hex 32` prints 64."""


def check_documents(site: Site) -> Iterator[Finding]:
    """Check the config documents as every part reads them."""
    folder = site.settings.botwatch_config
    for fault in site.faults:
        yield critical(fault, f"edit it, then run `botwatch rules check {folder}`")
    if site.documents:
        yield ok(f"config documents in {folder} are valid", str(folder))
        if not _is_http_url(site.settings.dashboard_url):
            what = f"DASHBOARD_URL is {site.settings.dashboard_url!r}: links in notifications lead nowhere"
            yield warning(what, "set it to the page's address, such as https://botwatch.example")
        for name, channel in site.documents.channels.items():
            if channel.url and not channel.url.startswith(ENCRYPTED_PREFIX) and "://" not in channel.url:
                what = f"channel {name}: expected a URL such as https://…, without it nothing can be sent"
                yield warning(what, f"botwatch notify test {name}")
        if not site.documents.channels:
            fix = f"set ALERT_WEBHOOK_URL, or add a channel to {folder}/notifications.yml"
            yield warning("no notification channel is configured: alerts appear only on the page", fix)


def _is_http_url(text: str) -> bool:
    try:
        parse_http_url(text)
    except ValueError:
        return False
    return True


def check_certificate(site: Site) -> Iterator[Finding]:
    """Check the certificate and key of the public ports, if they are set."""
    try:
        files = tls_files(site.settings)
    except InvalidError as error:
        for fault in error.faults:
            yield critical(str(fault), "set TLS_CERTIFICATE and TLS_KEY to PEM files that belong together")
        return
    if files is None:
        return
    [certificate, *_] = x509.load_pem_x509_certificates(files.certificate.read_bytes())
    days = (certificate.not_valid_after_utc - clock.now()).days
    what = f"the certificate {files.certificate} is valid for {days} days"
    if days < 0:
        expired = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        what = f"the certificate {files.certificate} expired on {expired}: browsers and bots refuse it"
        yield warning(what, "renew it; it is loaded without a restart", days)
    elif days < FEW_DAYS:
        yield warning(f"{what} (≥ {FEW_DAYS})", "renew it; it is loaded without a restart", days)
    else:
        yield ok(what, days)


def check_secrets(site: Site) -> Iterator[Finding]:
    """Check secrets that the environment sets; the others are generated at the first start."""
    weak = missing = False
    for name in TOKENS:
        try:
            value = read_variable(name, site.environ)
        except OSError as error:
            missing = True
            fix = f"ls -l {site.environ[f'{name}_FILE']}"
            yield critical(f"{name}_FILE cannot be read: {error.strerror}", fix)
            continue
        if value and len(value) < SHORTEST_SECRET:
            weak = True
            what = f"{name} has {len(value)} characters (≥ {SHORTEST_SECRET}): it can be guessed"
            fix = f"set {name} to the output of `openssl rand -hex 32`"
            yield critical(what, fix, len(value)) if site.production else warning(what, fix, len(value))
    if not site.is_redis_embedded and site.way == "native" and not urlsplit(site.redis_url).password:
        weak = True
        what = "REDIS_URL has no password: every process on its network may change records"
        fix = "add a user and password to Redis and to REDIS_URL (docs/security.md#redis)"
        yield critical(what, fix) if site.production else warning(what, fix)
    if site.production and site.environ.get("ACCESS", "required") != "required":
        yield critical(
            f"ACCESS is {site.environ['ACCESS']!r}: anyone who reaches the ports may do everything",
            "unset ACCESS, or set ACCESS=required",
        )
    if site.grafana_password == GRAFANA_DEFAULT:
        weak = True
        what = f"GRAFANA_PASSWORD is {GRAFANA_DEFAULT!r}, which everybody knows"
        fix = "unset GRAFANA_PASSWORD: one is generated (docker compose run --rm secrets grafana prints it)"
        yield critical(what, fix) if site.production else warning(what, fix)
    if not weak and not missing:
        made = site.credentials.exists() or site.way == "container"
        yield ok("secrets are in place" if made else "secrets will be generated at the first start")

"""Which Host and Origin headers are answered."""

import socket

import pytest

from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.settings import PartSettings

SETTINGS = PartSettings(
    dashboard_url="https://watch.example/botwatch/",
    allowed_hosts="desk.example, other.example:9090, https://own.example:8443",
)
HOSTS = AllowedHosts(SETTINGS, page_port=3001)


@pytest.mark.parametrize(
    "host",
    [
        *(None, "localhost", "LOCALHOST:9090", "127.0.0.1:3001", "[::1]:8080", "192.168.1.7:9090"),
        *("watch.example", "watch.example:443", "watch.example.", "ingestion:9090", "dashboard:3001"),
        *("desk.example:9090", "other.example", "own.example", socket.gethostname()),
    ],
)
def test_own_names_and_addresses_are_answered(host: str | None) -> None:
    assert HOSTS.host_refusal(host) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.com", "evil.com:3001", "localhost.evil.com", "127.0.0.1.nip.io", "evil.com/localhost"),
        *("", "localhost:x", "evil.com@localhost", "localhost@evil.com", "localhost,evil.com", "[::1", " "),
    ],
)
def test_other_names_are_421_and_told_what_to_set(host: str) -> None:
    refusal = HOSTS.host_refusal(host)
    assert refusal is not None
    assert refusal.status == 421
    assert "ALLOWED_HOSTS" in refusal.message


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "localhost:8080"),
        ("http://localhost:8080", "localhost:8080"),
        ("http://localhost:3001", "localhost:8080"),
        ("http://127.0.0.1:3001", "127.0.0.1:8080"),
        ("http://192.168.1.7", "192.168.1.7:80"),
        ("https://watch.example", "localhost:8080"),
        ("https://own.example:8443", "localhost:8080"),
    ],
)
def test_the_page_and_allowed_origins_may_ask(origin: str | None, host: str) -> None:
    assert HOSTS.origin_refusal(origin, host) is None


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.com", "http://localhost:5000", "http://evil.com//localhost:3001", "null", "", "x"),
        *("http://localhost:3001/x", "http://evil@localhost:3001", "file://localhost:3001", "localhost:3001"),
        *("https://watch.example:444", "http://desk.example", "http://127.0.0.1:3001"),
    ],
)
def test_pages_of_other_sites_are_403(origin: str) -> None:
    refusal = HOSTS.origin_refusal(origin, "localhost:8080")
    assert refusal is not None
    assert refusal.status == 403


@pytest.mark.parametrize(
    ("method", "origin", "fetch_site", "refused"),
    [
        ("POST", None, None, False),
        ("POST", None, "same-origin", False),
        ("POST", None, "none", False),
        ("POST", None, "cross-site", True),
        ("POST", None, "same-site", True),
        ("DELETE", "http://evil.com", None, True),
        ("DELETE", "http://localhost:3001", "same-origin", False),
        ("GET", "http://evil.com", "cross-site", False),
    ],
)
def test_what_a_foreign_page_makes_a_browser_change_is_refused(
    method: str, origin: str | None, fetch_site: str | None, refused: bool
) -> None:
    assert bool(HOSTS.change_refusal(method, "localhost:3001", origin, fetch_site)) == refused

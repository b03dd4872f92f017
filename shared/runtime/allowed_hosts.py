"""Allowed Host and Origin headers, against DNS rebinding and cross-site requests.

A page of evil.example can point its own name at this machine, and then has the same origin as this server for
the browser: only the Host header reveals it (421, RFC 9110, 7.4). An IP address cannot be rebound, so
addresses are always allowed.
"""

import ipaddress
import socket
from collections.abc import Collection
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.runtime.redis.presence import EXPECTED_PARTS
from shared.runtime.settings import PartSettings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_READING = ("GET", "HEAD", "OPTIONS")


class RequestRefusal(NamedTuple):
    """Why a request is rejected, and the HTTP status of the response."""

    status: HTTPStatus
    message: str


class _HostPort(NamedTuple):
    name: str
    port: int | None
    """None for the default port of the scheme."""


class AllowedHosts:
    """The host names that a server accepts, and the origins whose pages may send requests.

    Names: loopback, this machine, the parts (as compose names them), the host of DASHBOARD_URL, and those of
    ALLOWED_HOSTS. Origins: the server's own, the page's, and those of ALLOWED_HOSTS.
    """

    def __init__(self, settings: PartSettings, page_port: int | None = None) -> None:
        """Read the settings; `page_port` is the port of the page, on a server that does not serve it."""
        given = [entry.strip() for entry in settings.allowed_hosts.split(",") if entry.strip()]
        origins = [settings.dashboard_url.rstrip("/"), *(entry for entry in given if "://" in entry)]
        self._origins = {site for origin in origins if (site := _parse_url_host(origin))}
        own = socket.gethostname().lower()
        names = {"localhost", "host.docker.internal", own, f"{own}.local", *EXPECTED_PARTS}
        names |= {site.name for site in self._origins}
        names |= {site.name for entry in given if "://" not in entry and (site := _parse_host_port(entry))}
        self._names = names
        self._page_port = page_port

    def host_refusal(self, host: str | None) -> RequestRefusal | None:
        """Return why a request with this Host is rejected; one without Host is not from a browser."""
        if host is None:
            return None
        site = _parse_host_port(host)
        if site and (site.name in self._names or _is_address(site.name)):
            return None
        name = site.name if site else host[:100]
        message = f"Host {name!r} is not allowed; add it to ALLOWED_HOSTS"
        return RequestRefusal(HTTPStatus.MISDIRECTED_REQUEST, message)

    def origin_refusal(self, origin: str | None, host: str | None) -> RequestRefusal | None:
        """Return why a request with this Origin is refused; programs other than browsers send none."""
        if origin is None:
            return None
        site, own = _parse_url_host(origin, only_origin=True), _parse_host_port(host or "")
        is_page = site and own and site.name == own.name and site.port == self._page_port
        if site and (site == own or site in self._origins or is_page):
            return None
        message = f"cross-site request from {origin[:100]!r} rejected; add it to ALLOWED_HOSTS to allow it"
        return RequestRefusal(HTTPStatus.FORBIDDEN, message)

    def change_refusal(
        self, method: str, host: str | None, origin: str | None, fetch_site: str | None
    ) -> RequestRefusal | None:
        """Return why a request that may change something is refused; `fetch_site` is its Sec-Fetch-Site."""
        if method in _READING:
            return None
        if origin is None and fetch_site in ("cross-site", "same-site"):
            return RequestRefusal(HTTPStatus.FORBIDDEN, "cross-site request rejected")
        return self.origin_refusal(origin, host)


def _parse_url_host(url: str, *, only_origin: bool = False) -> _HostPort | None:
    """Return where a URL leads; with `only_origin`, None when there is more to it than scheme, host, port."""
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in _DEFAULT_PORTS:
        return None
    return _parse_host_port(rest if only_origin else rest.partition("/")[0], schemes=(scheme.lower(),))


@lru_cache(maxsize=256)
def _parse_host_port(netloc: str, schemes: Collection[str] = tuple(_DEFAULT_PORTS)) -> _HostPort | None:
    """Read `host[:port]`; None when it is anything else."""
    try:
        parts = urlsplit(f"//{netloc}")
        port = parts.port
    except ValueError:
        return None
    if parts.netloc != netloc or "@" in netloc or not parts.hostname:
        return None
    is_default = port in [_DEFAULT_PORTS[scheme] for scheme in schemes]
    return _HostPort(parts.hostname.rstrip("."), None if is_default else port)


@lru_cache(maxsize=256)
def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True

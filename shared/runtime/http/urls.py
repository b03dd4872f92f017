"""URLs: which server they name, and which parts of them are secret. Errors contain no part of the URL."""

import base64
import string
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

import idna

_PORTS = {"http": 80, "https": 443}
_MIN_SECRET_LENGTH = 4
"""Shorter parts of a URL are not secrets, and masking them would garble the response."""


class ServerAddress(NamedTuple):
    """The server that a URL names."""

    host: str
    port: int
    tls: bool

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def ascii_host(host: str) -> str:
    """Return `host` in ASCII, its other labels in their `xn--` form (IDNA 2008). Raises UnicodeError."""
    return host if host.isascii() else idna.encode(host, uts46=True).decode()


def split_url(url: str) -> SplitResult:
    """Split a URL. Raises ValueError if its host or port is invalid."""
    try:
        parts = urlsplit(url)
        readable = parts.port != 0
    except ValueError:
        readable = False
    if not readable:
        raise ValueError("invalid URL: bad host or port (percent-encode special characters in passwords)")
    return parts


def parse_http_url(url: str) -> SplitResult:
    """Split an `http://` or `https://` URL. Raises ValueError if it is anything else."""
    parts = split_url(url)
    parse_server_address(parts)
    return parts


def parse_server_address(url: SplitResult) -> ServerAddress:
    """Return the server of an HTTP URL. Raises ValueError if it names none."""
    if url.scheme not in _PORTS or not url.hostname:
        raise ValueError("expected a URL such as https://host/path")
    return ServerAddress(ascii_host(url.hostname), url.port or _PORTS[url.scheme], url.scheme == "https")


def host_header(url: SplitResult) -> str:
    """Return the value of `Host`: host and, if given, port, in ASCII and without credentials."""
    authority = url.netloc.rpartition("@")[2]
    if authority.isascii():
        return authority
    port = f":{url.port}" if url.port else ""
    return f"{ascii_host(url.hostname or '')}{port}"


def request_target(url: SplitResult) -> str:
    """Return path and query as a request names them; what may not be in them is percent-encoded."""
    return quote(f"{url.path or '/'}{'?' if url.query else ''}{url.query}", safe=string.punctuation)


def basic_auth(url: SplitResult) -> dict[str, str]:
    """Return the header for the credentials in a URL, none if it has none."""
    if url.username is None:
        return {}
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def secrets_in_request(url: SplitResult, authorization: str = "") -> list[str]:
    """Return what to mask if a receiver echoes the request: parts of its URL and its token, longest first."""
    parts: Iterable[str] = (
        url.path,
        url.query,
        *url.path.split("/"),
        *(value for _, value in parse_qsl(url.query)),
        url.username or "",
        url.password or "",
        *authorization.split()[1:],
    )
    found = {form for part in parts for form in (part, unquote(part)) if len(form) >= _MIN_SECRET_LENGTH}
    return sorted(found, key=len, reverse=True)

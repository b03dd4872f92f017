"""A request over HTTP: whether the answer is as it must be, and where the time went."""

import re
import time
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import SplitResult, urljoin

from services.collector.checks.base import CheckResult, Probe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import HttpSection
from shared.runtime.http.client import fetch
from shared.runtime.http.dial import NetworkError, TimedConnection, client_context
from shared.runtime.http.responses import HttpResponse, format_status
from shared.runtime.http.urls import basic_auth, host_header, parse_http_url, parse_server_address
from shared.schema.patterns import Regex
from shared.schema.records import CheckType

MAX_REDIRECTS = 5
REDIRECTS = frozenset((301, 302, 303, 307, 308))
_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")


class FinalResponse(NamedTuple):
    """The last answer, its server, and the connection it came on."""

    server: str
    answer: HttpResponse
    connected: TimedConnection


def create_probe(section: HttpSection, timeout_s: float, place: WatchedHost) -> Probe:
    """Make the probe of `section`; ValueError when it could never be asked."""
    del place  # It is asked over the network.
    return HttpProbe(section, timeout_s)


class HttpProbe:
    """Requests the URL over a new connection each time, as a new client does."""

    type: CheckType = "http"

    def __init__(self, section: HttpSection, timeout_s: float) -> None:
        self._section = section
        self._url = parse_http_url(section.url)
        self._body = Regex(section.body) if section.body is not None else None
        self._timeout_s = timeout_s
        self._headers = dict(section.headers) | basic_auth(self._url)
        for name, value in self._headers.items():
            if _UNSAFE.search(name + value):
                raise ValueError(f"header {name!r} contains a line break or control character")

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now
        began = time.monotonic()
        try:
            answered = self._request(began + self._timeout_s)
        except NetworkError as error:
            return CheckResult("unknown" if error.reason == "other" else "critical", error.text, error.reason)
        took_ms = 1000 * (time.monotonic() - began)
        figures = {
            "check_latency_ms": took_ms,
            "status_code": answered.answer.status,
            **answered.connected.metrics,
        }
        return evaluate_response(self._section.status, self._body, answered, took_ms)._replace(
            figures=figures
        )

    def _request(self, deadline: float) -> FinalResponse:
        """Follow redirects, unless a redirect is what must come."""
        url, headers = self._url, self._headers
        for _ in range(MAX_REDIRECTS + 1):
            answered = self._request_once(url, headers, deadline)
            status, location = answered.answer.status, answered.answer.headers.get("Location")
            if status not in REDIRECTS or location is None or status in (self._section.status or ()):
                return answered
            target = _redirect_target(url, location, answered.server)
            # Keys are for the one they were given for.
            headers = headers if parse_server_address(target) == parse_server_address(url) else {}
            url = target
        raise NetworkError(
            "http", f"{parse_server_address(self._url)} redirects more than {MAX_REDIRECTS} times"
        )

    def _request_once(self, url: SplitResult, headers: dict[str, str], deadline: float) -> FinalResponse:
        tls = client_context(verify=self._section.verify)
        fetched = fetch(url, deadline, method=self._section.method, headers=headers, tls=tls)
        return FinalResponse(host_header(url), fetched.answer, fetched.connected)


def _redirect_target(url: SplitResult, location: str, server: str) -> SplitResult:
    # http.client reads headers as Latin-1; many servers send UTF-8.
    with suppress(UnicodeError):
        location = location.encode("latin-1").decode()
    try:
        target = parse_http_url(urljoin(url.geturl(), location))
    except ValueError as error:
        raise NetworkError("protocol", f"{server} redirects to an invalid URL") from error
    return target


def evaluate_response(
    expected: list[int] | None, body: Regex | None, answered: FinalResponse, took_ms: float
) -> CheckResult:
    """Compare an answer with what it must be like. Pure."""
    server, answer, connected = answered
    said = f"{server} answered {format_status(answer.status)}"
    fits = answer.status in expected if expected else 200 <= answer.status < 400  # noqa: PLR2004
    if not fits and answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        wait = answer.headers.get("Retry-After", "")
        text = said + (f"; retry after {wait} s" if wait.isdecimal() else "")
        return CheckResult("critical", text, "rate_limited")
    if not fits:
        wanted = " or ".join(map(str, expected)) if expected else "200 to 399"
        return CheckResult("critical", f"{said}, expected {wanted}", "http")
    if body is not None and answer.encoding:
        text = (
            f"{said} with Content-Encoding {answer.encoding}, which was not requested; "
            f"the body cannot be searched for {body.pattern}"
        )
        return CheckResult("critical", text, "http")
    if body is not None and not body.search(answer.text):
        where = "the body" if answer.is_complete else "the first MiB of the body"
        return CheckResult("critical", f"{said}, but {where} does not match {body.pattern}", "http")
    parts = {"DNS": connected.dns_ms, "connection": connected.connect_ms, "TLS": connected.tls_ms}
    phases = [f"{name} {ms:.0f}" for name, ms in parts.items() if ms is not None]
    phases.append(f"first byte {answer.first_byte_ms:.0f}")
    return CheckResult("ok", f"{said} in {took_ms:.0f} ms ({', '.join(phases)})")

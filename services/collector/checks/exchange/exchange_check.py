"""Exchanges: whether REST and the WebSocket answer, how fast, and whether the clocks agree.

Every request has a connection of its own: one that is kept open hides for hours that the name no longer
resolves, that new connections are refused or that the certificate ran out, and a bot learns it when it has
to reconnect. What a bot feels on an open connection is the latency less the phases of connecting.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import SplitResult

from services.collector.checks.base import CheckResult
from services.collector.checks.exchange.presets import apply_preset, ping_message
from services.collector.checks.exchange.server_time import Skew, clock_skew, parse_server_time
from services.collector.checks.exchange.websocket import (
    HandshakeRefusedError,
    WebSocketProbeConnection,
    parse_websocket_url,
)
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import ExchangeSection
from shared.runtime.http.client import fetch
from shared.runtime.http.dial import NetworkError, client_context, dial
from shared.runtime.http.responses import HttpResponse, format_status, parse_retry_after_s
from shared.runtime.http.urls import parse_http_url
from shared.schema.durations import milliseconds
from shared.schema.records import CheckReason, CheckStatus, CheckType

DEFAULT_RETRY_AFTER = timedelta(minutes=1)
"""After a 429 without Retry-After."""
MAX_RETRY_AFTER = timedelta(days=1)
"""Whatever Retry-After says: an exchange is not given up for ever."""
_KEY_IN_PATH = re.compile(r"/(?=[^/]*\d)(?=[^/]*[A-Za-z])[^/]{16,}")
"""An API key in a path, as of many RPC providers: long, with letters and digits."""
_FINE = range(200, 300)
_LIMITED, _BANNED = 429, 418
"""Too many requests; 418 is Binance's word to an address that did not stop after a 429."""


class EndpointFailure(NamedTuple):
    """What is wrong with one way to the exchange."""

    reason: CheckReason
    text: str
    status: CheckStatus = "critical"


class EndpointResult(NamedTuple):
    """What one way to the exchange, REST or the WebSocket, showed."""

    fault: EndpointFailure | None
    figures: Mapping[str, float | int] = {}
    skew: Skew | None = None


class ExchangeProbe:
    """Checks one exchange; REST and the WebSocket have half the timeout each."""

    type: CheckType = "exchange"

    def __init__(
        self, section: ExchangeSection, timeout_s: float, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._rest = [parse_http_url(url) for url in (section.rest, section.time) if url]
        self._time_path = section.time_path if section.time else None
        self._web_socket = parse_websocket_url(section.web_socket) if section.web_socket else None
        self._ping = ping_message(section)
        self._most_skew_ms = milliseconds(section.skew)
        self._half_s = timeout_s / 2 if self._rest and self._web_socket else timeout_s
        self._wall_clock = wall_clock
        self._rate_limited_until: datetime | None = None
        self._last = CheckResult("unknown", "not checked yet")

    def run(self, now: datetime) -> CheckResult:
        """Run once; while the exchange limits the rate, only report that."""
        if self._rate_limited_until and now < self._rate_limited_until:
            return self._last._replace(figures={})
        self._rate_limited_until = None
        rest = self._run_endpoint(self._probe_rest, now) if self._rest else None
        web_socket = None
        if self._web_socket and not self._rate_limited_until:
            web_socket = self._run_endpoint(self._probe_web_socket, now)
        self._last = evaluate_exchange(rest, web_socket, self._most_skew_ms)
        return self._last

    def _run_endpoint(
        self, ask_it: Callable[[float, dict[str, float | int]], Skew | None], now: datetime
    ) -> EndpointResult:
        figures: dict[str, float | int] = {}
        try:
            skew = ask_it(time.monotonic() + self._half_s, figures)
        except NetworkError as error:
            # A fault of this machine is no fault of the exchange.
            status: CheckStatus = "unknown" if error.reason == "other" else "critical"
            return EndpointResult(EndpointFailure(error.reason, error.text, status), figures)
        except _StatusError as error:
            return EndpointResult(self._status_failure(error, now), figures)
        return EndpointResult(None, figures, skew)

    def _probe_rest(self, deadline: float, figures: dict[str, float | int]) -> Skew | None:
        """Request the ping URL, then the time; if only one of them is known it serves as both."""
        started, wall_ms = time.monotonic(), 1000 * self._wall_clock()
        for place, url in enumerate(self._rest):
            fetched = fetch(url, deadline)
            if place == 0:
                figures.update(fetched.connected.metrics)
                figures["check_latency_ms"] = 1000 * (time.monotonic() - started)
                figures["status_code"] = fetched.answer.status
            _raise_unless_api(url, fetched.answer)
        if self._time_path is None:
            return None
        fetched.answer.require_whole(url.hostname or "")
        try:
            server = parse_server_time(json.loads(fetched.answer.body), self._time_path)
        except (ValueError, RecursionError) as error:
            text = f"{url.hostname}{_shown_path(url.path)} returned no server time"
            raise NetworkError("protocol", text) from error
        moments = (wall_ms + 1000 * (at - started) for at in (fetched.asked_at, fetched.answered_at))
        skew = clock_skew(server, *moments)
        figures["clock_skew_ms"] = skew.ms
        return skew

    def _probe_web_socket(self, deadline: float, figures: dict[str, float | int]) -> None:
        if self._web_socket is None:
            return
        started = time.monotonic()
        host, port = self._web_socket.host, self._web_socket.port
        connected = dial(host, port, deadline, client_context() if self._web_socket.secure else None)
        with connected.socket:
            web_socket = WebSocketProbeConnection(connected.socket, self._web_socket, deadline)
            try:
                web_socket.open()
            except HandshakeRefusedError as error:
                said, path = error.response.headers.get("Retry-After"), self._web_socket.path
                raise _StatusError(host, path, error.response.status_code, said) from error
            figures["web_socket_ms"] = web_socket.ping(self._ping)
        if not self._rest:
            figures.update(connected.metrics, check_latency_ms=1000 * (time.monotonic() - started))

    def _status_failure(self, error: "_StatusError", now: datetime) -> EndpointFailure:
        words = f"{error.host} answered {format_status(error.code)}"
        if error.code not in (_LIMITED, _BANNED):
            return EndpointFailure("http", f"{words} for {_shown_path(error.path)}")
        until = now + parse_retry_after(error.retry_after, now)
        paused = f"paused until {until:%H:%M:%S} UTC"
        self._rate_limited_until = until
        if error.code == _BANNED:
            text = f"This host's IP is banned by {error.host} ({_BANNED}); {paused}"
            return EndpointFailure("rate_limited", text)
        return EndpointFailure(
            "rate_limited", f"Rate-limited by {error.host} ({format_status(error.code)}); {paused}", "warning"
        )


def _shown_path(path: str) -> str:
    """Return the path of a URL without API keys, which some providers want there."""
    return _KEY_IN_PATH.sub("/***", path.partition("?")[0]) or "/"


def create_probe(section: ExchangeSection, timeout_s: float, place: WatchedHost) -> ExchangeProbe:
    """Return the probe of an exchange; ValueError when nothing says where it is."""
    del place  # An exchange is as far from every host's files.
    return ExchangeProbe(apply_preset("", section), timeout_s)


def evaluate_exchange(
    rest: EndpointResult | None, web_socket: EndpointResult | None, most_skew_ms: float
) -> CheckResult:
    """Evaluate both endpoints; None is one that was not tested."""
    ways = [seen for seen in (rest, web_socket) if seen]
    figures = {name: value for seen in ways for name, value in seen.figures.items()}
    faults = [seen.fault for seen in ways if seen.fault]
    if faults:
        worst = next((fault for fault in faults if fault.status == "critical"), faults[0])
        return CheckResult(worst.status, _describe_failures(rest, web_socket), worst.reason, figures)
    skew = rest.skew if rest else None
    if skew and skew.exceeds(most_skew_ms):
        return CheckResult("warning", _describe_skew(skew, most_skew_ms), "skewed", figures)
    took = []
    if rest:
        took.append(f"REST {figures['check_latency_ms']:.0f} ms")
    if web_socket:
        took.append(f"WebSocket ping {figures['web_socket_ms']:.0f} ms")
    return CheckResult("ok", ", ".join(took), None, figures)


def parse_retry_after(said: str | None, now: datetime) -> timedelta:
    """Read a Retry-After, seconds or a date; WAIT without one that makes sense, LONGEST_WAIT at most."""
    asked = parse_retry_after_s(said, now)
    seconds = DEFAULT_RETRY_AFTER.total_seconds() if asked is None else asked
    return timedelta(seconds=min(max(seconds, 1.0), MAX_RETRY_AFTER.total_seconds()))


class _StatusError(Exception):
    """The answer had a status that is not fine."""

    def __init__(self, host: str, path: str, code: int, retry_after: str | None) -> None:
        super().__init__(f"{code}")
        self.host = host
        self.path = path
        self.code = code
        self.retry_after = retry_after


def _raise_unless_api(url: SplitResult, answer: HttpResponse) -> None:
    """Raise what is wrong with an answer; a page for people comes from a portal or a notice in between."""
    if answer.status not in _FINE:
        raise _StatusError(url.hostname or "", url.path, answer.status, answer.headers["Retry-After"])
    if answer.headers.get_content_type() == "text/html":
        raise NetworkError("protocol", f"{url.hostname} returned an HTML page instead of an API response")


def _describe_failures(rest: EndpointResult | None, web_socket: EndpointResult | None) -> str:
    """Say which way does not work, and whether the other one does."""
    bad_rest, bad_web_socket = rest and rest.fault, web_socket and web_socket.fault
    if bad_rest and bad_web_socket:
        texts = dict.fromkeys((bad_rest.text, bad_web_socket.text))
        return f"REST and WebSocket failed: {'; '.join(texts)}"
    if bad_rest:
        return f"REST failed{' (WebSocket OK)' if web_socket else ''}: {bad_rest.text}"
    text = bad_web_socket.text if bad_web_socket else ""
    return f"WebSocket failed{' (REST OK)' if rest else ''}: {text}"


def _describe_skew(skew: Skew, most_ms: float) -> str:
    way = "ahead of" if skew.ms > 0 else "behind"
    return (
        f"Exchange clock {abs(skew.ms) / 1000:.1f} s {way} this host (±{skew.uncertainty_ms / 1000:.1f} s, "
        f"limit {most_ms / 1000:g} s); orders may be rejected"
    )

"""Exchanges: whether REST and the WebSocket answer, how fast, and whether the clocks agree.

Every request has a connection of its own: one that is kept open hides for hours that the name no longer
resolves, that new connections are refused or that the certificate ran out, and a bot learns it when it has
to reconnect. What a bot feels on an open connection is the latency less the phases of connecting.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import SplitResult

from services.collector.asking import Answer
from services.collector.connecting import ConnectError, client_context, connect
from services.collector.place import Place
from services.collector.presets import complete, ping_of
from services.collector.probe import Look
from services.collector.rest import checked_url, fetch, status_words
from services.collector.server_time import Skew, read_time, skew_of
from services.collector.websocket import RefusedError, WebSocket, address_of
from shared.runtime.answers import asked_wait
from shared.runtime.checks import ExchangeSection
from shared.schema.durations import milliseconds
from shared.schema.records import CheckReason, CheckStatus, CheckType

WAIT = timedelta(minutes=1)
"""After a 429 without Retry-After."""
LONGEST_WAIT = timedelta(days=1)
"""Whatever Retry-After says: an exchange is not given up for ever."""
_FINE = range(200, 300)
_LIMITED, _BANNED = 429, 418
"""Too many requests; 418 is Binance's word to an address that did not stop after a 429."""


class Fault(NamedTuple):
    """What is wrong with one way to the exchange."""

    reason: CheckReason
    text: str
    status: CheckStatus = "critical"


class Seen(NamedTuple):
    """What one way to the exchange, REST or the WebSocket, showed."""

    fault: Fault | None
    figures: Mapping[str, float | int] = {}
    skew: Skew | None = None


class ExchangeProbe:
    """Looks at one exchange; REST and the WebSocket have half the timeout each."""

    type: CheckType = "exchange"

    def __init__(
        self, section: ExchangeSection, timeout_s: float, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._rest = [checked_url(url) for url in (section.rest, section.time) if url]
        self._time_path = section.time_path if section.time else None
        self._web_socket = address_of(section.web_socket) if section.web_socket else None
        self._ping = ping_of(section)
        self._most_skew_ms = milliseconds(section.skew)
        self._half_s = timeout_s / 2 if self._rest and self._web_socket else timeout_s
        self._wall_clock = wall_clock
        self._quiet_until: datetime | None = None
        self._last = Look("unknown", "not looked at yet")

    def look(self, now: datetime) -> Look:
        """Look once; while the exchange wants not to be asked, only say so."""
        if self._quiet_until and now < self._quiet_until:
            return self._last._replace(figures={})
        self._quiet_until = None
        rest = self._seen(self._ask_rest, now) if self._rest else None
        web_socket = None
        if self._web_socket and not self._quiet_until:
            web_socket = self._seen(self._ask_web_socket, now)
        self._last = judge(rest, web_socket, self._most_skew_ms)
        return self._last

    def _seen(self, ask_it: Callable[[float, dict[str, float | int]], Skew | None], now: datetime) -> Seen:
        figures: dict[str, float | int] = {}
        try:
            skew = ask_it(time.monotonic() + self._half_s, figures)
        except ConnectError as error:
            # This machine's own trouble says nothing about the exchange.
            status: CheckStatus = "unknown" if error.reason == "other" else "critical"
            return Seen(Fault(error.reason, error.text, status), figures)
        except _StatusError as error:
            return Seen(self._fault_of(error, now), figures)
        return Seen(None, figures, skew)

    def _ask_rest(self, deadline: float, figures: dict[str, float | int]) -> Skew | None:
        """Ask for a sign of life, then for the time; where only one is known it is both."""
        begun, wall_ms = time.monotonic(), 1000 * self._wall_clock()
        for place, url in enumerate(self._rest):
            fetched = fetch(url, deadline)
            if place == 0:
                figures.update(fetched.connected.figures)
                figures["check_latency_ms"] = 1000 * (time.monotonic() - begun)
                figures["status_code"] = fetched.answer.status
            _expect_api(url, fetched.answer)
        if self._time_path is None:
            return None
        fetched.answer.require_whole(url.hostname or "")
        try:
            server = read_time(json.loads(fetched.answer.body), self._time_path)
        except (ValueError, RecursionError) as error:
            text = f"{url.hostname}{url.path} answered without the time that was expected"
            raise ConnectError("protocol", text) from error
        moments = (wall_ms + 1000 * (at - begun) for at in (fetched.asked_at, fetched.answered_at))
        skew = skew_of(server, *moments)
        figures["clock_skew_ms"] = skew.ms
        return skew

    def _ask_web_socket(self, deadline: float, figures: dict[str, float | int]) -> None:
        if self._web_socket is None:
            return
        begun = time.monotonic()
        host, port = self._web_socket.host, self._web_socket.port
        connected = connect(host, port, deadline, client_context() if self._web_socket.secure else None)
        with connected.socket:
            web_socket = WebSocket(connected.socket, self._web_socket, deadline)
            try:
                web_socket.open()
            except RefusedError as error:
                said, path = error.response.headers.get("Retry-After"), self._web_socket.path
                raise _StatusError(host, path, error.response.status_code, said) from error
            figures["web_socket_ms"] = web_socket.ping(self._ping)
        if not self._rest:
            figures.update(connected.figures, check_latency_ms=1000 * (time.monotonic() - begun))

    def _fault_of(self, error: "_StatusError", now: datetime) -> Fault:
        words = f"{error.host} answered {status_words(error.code)}"
        if error.code not in (_LIMITED, _BANNED):
            return Fault("http", f"{words} for {error.path or '/'}")
        until = now + retry_after(error.retry_after, now)
        asking = f"it is not asked again before {until:%H:%M:%S} UTC"
        self._quiet_until = until
        if error.code == _BANNED:
            text = f"{error.host} answered {_BANNED}, which bans this host's address; {asking}"
            return Fault("rate_limited", text)
        return Fault("rate_limited", f"{words} to this host's address; {asking}", "warning")


def probe(section: ExchangeSection, timeout_s: float, place: Place) -> ExchangeProbe:
    """Return the probe of an exchange; ValueError when nothing says where it is."""
    del place  # An exchange is as far from every host's files.
    return ExchangeProbe(complete("", section), timeout_s)


def judge(rest: Seen | None, web_socket: Seen | None, most_skew_ms: float) -> Look:
    """Judge what both ways showed; None is a way that was not looked at."""
    ways = [seen for seen in (rest, web_socket) if seen]
    figures = {name: value for seen in ways for name, value in seen.figures.items()}
    faults = [seen.fault for seen in ways if seen.fault]
    if faults:
        gravest = next((fault for fault in faults if fault.status == "critical"), faults[0])
        return Look(gravest.status, _told(rest, web_socket), gravest.reason, figures)
    skew = rest.skew if rest else None
    if skew and skew.exceeds(most_skew_ms):
        return Look("warning", _skewed(skew, most_skew_ms), "skewed", figures)
    took = []
    if rest:
        took.append(f"REST answered after {figures['check_latency_ms']:.0f} ms")
    if web_socket:
        took.append(f"the WebSocket answered a ping after {figures['web_socket_ms']:.0f} ms")
    return Look("ok", ", ".join(took), None, figures)


def retry_after(said: str | None, now: datetime) -> timedelta:
    """Read a Retry-After, seconds or a date; WAIT without one that makes sense, LONGEST_WAIT at most."""
    asked = asked_wait(said, now)
    seconds = WAIT.total_seconds() if asked is None else asked
    return timedelta(seconds=min(max(seconds, 1.0), LONGEST_WAIT.total_seconds()))


class _StatusError(Exception):
    """The answer had a status that is not fine."""

    def __init__(self, host: str, path: str, code: int, retry_after: str | None) -> None:
        super().__init__(f"{code}")
        self.host = host
        self.path = path
        self.code = code
        self.retry_after = retry_after


def _expect_api(url: SplitResult, answer: Answer) -> None:
    """Raise what is wrong with an answer; a page for people comes from a portal or a notice in between."""
    if answer.status not in _FINE:
        raise _StatusError(url.hostname or "", url.path, answer.status, answer.headers["Retry-After"])
    if answer.headers.get_content_type() == "text/html":
        raise ConnectError("protocol", f"{url.hostname} answered with a web page, not as an API")


def _told(rest: Seen | None, web_socket: Seen | None) -> str:
    """Say which way does not work, and whether the other one does."""
    bad_rest, bad_web_socket = rest and rest.fault, web_socket and web_socket.fault
    if bad_rest and bad_web_socket:
        texts = dict.fromkeys((bad_rest.text, bad_web_socket.text))
        return f"neither REST nor the WebSocket works: {'; '.join(texts)}"
    if bad_rest:
        return f"REST does not work{', the WebSocket does' if web_socket else ''}: {bad_rest.text}"
    text = bad_web_socket.text if bad_web_socket else ""
    return f"the WebSocket does not work{', REST does' if rest else ''}: {text}"


def _skewed(skew: Skew, most_ms: float) -> str:
    way = "ahead of" if skew.ms > 0 else "behind"
    return (
        f"the exchange's clock is {abs(skew.ms) / 1000:.1f} s {way} this host's (give or take "
        f"{skew.uncertainty_ms / 1000:.1f} s), expected within {most_ms / 1000:g} s: orders may be refused"
    )

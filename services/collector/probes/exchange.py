"""Exchanges: whether REST and the WebSocket answer, how fast, and whether the clocks agree.

Every look opens its connections anew: a connection that is kept open hides for hours that the name no longer
resolves, that new connections are refused or that the certificate ran out, and a bot learns it when it has
to reconnect. The time is then asked for on the connection that is open, where the round trip is shortest.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from services.collector.connecting import Connected, ConnectError, client_context, connect
from services.collector.place import Place
from services.collector.presets import complete, ping_of
from services.collector.probe import Look
from services.collector.rest import Answer, ask, server_of, status_words
from services.collector.server_time import Skew, read_time, skew_of
from services.collector.websocket import RefusedError, WebSocket, address_of
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
        self._rest = [urlsplit(url) for url in (section.rest, section.time) if url]
        self._time_path = section.time_path if section.time else None
        for url in self._rest:
            server_of(url)  # What is wrong with it is told at the start.
        self._web_socket = address_of(section.web_socket) if section.web_socket else None
        self._ping = ping_of(section)
        self._most_skew_ms = milliseconds(section.skew)
        self._half_s = timeout_s / 2 if self._rest and self._web_socket else timeout_s
        self._wall_clock = wall_clock
        self._quiet: tuple[datetime, Fault] | None = None

    def look(self, now: datetime) -> Look:
        """Look once; while the exchange wants not to be asked, only say so."""
        if self._quiet and now < self._quiet[0]:
            return judge(Seen(self._quiet[1]), None, self._most_skew_ms)
        self._quiet = None
        rest = self._seen(self._ask_rest, now) if self._rest else None
        web_socket = None
        if self._web_socket and not self._quiet:
            web_socket = self._seen(self._ask_web_socket, now)
        return judge(rest, web_socket, self._most_skew_ms)

    def _seen(
        self, ask_it: Callable[[float, dict[str, float | int]], Fault | Skew | None], now: datetime
    ) -> Seen:
        figures: dict[str, float | int] = {}
        try:
            found = ask_it(time.monotonic() + self._half_s, figures)
        except ConnectError as error:
            found = Fault(error.reason, error.text)
        except _StatusError as error:
            found = self._fault_of(error, now)
        if isinstance(found, Skew):
            return Seen(None, figures, found)
        return Seen(found, figures)

    def _ask_rest(self, deadline: float, figures: dict[str, float | int]) -> Fault | Skew | None:
        """Ask for a sign of life, then for the time; on one connection where it is one server."""
        begun, wall_ms = time.monotonic(), 1000 * self._wall_clock()
        first, *others = self._rest
        with ExitStack() as closing:
            connected = closing.enter_context(_connection_to(first, deadline))
            figures.update(connected.figures)
            answer = ask(connected.socket, first, deadline)
            figures["check_latency_ms"] = 1000 * (time.monotonic() - begun)
            figures["status_code"] = answer.status
            _expect_api(first, answer)
            for url in others:
                if url[:2] != first[:2] or not answer.keeps_open:
                    connected = closing.enter_context(_connection_to(url, deadline))
                answer = ask(connected.socket, url, deadline)
                _expect_api(url, answer)
        if self._time_path is None:
            return None
        try:
            server = read_time(answer.document(), self._time_path)
        except ValueError:
            url = self._rest[-1]
            return Fault("protocol", f"{url.hostname}{url.path} answered without the time that was expected")
        skew = skew_of(
            server, *(wall_ms + 1000 * (at - begun) for at in (answer.sent_at, answer.answered_at))
        )
        figures["clock_skew_ms"] = skew.ms
        return skew

    def _ask_web_socket(self, deadline: float, figures: dict[str, float | int]) -> None:
        if self._web_socket is None:
            return
        host, port, secure = self._web_socket.host, self._web_socket.port, self._web_socket.secure
        with _connection(host, port, deadline, secure=secure) as connected:
            if not self._rest:
                figures.update(connected.figures)
            web_socket = WebSocket(connected.socket, self._web_socket, deadline)
            try:
                web_socket.open()
            except RefusedError as error:
                said, path = error.response.headers.get("Retry-After"), self._web_socket.path
                raise _StatusError(host, path, error.response.status_code, said) from error
            figures["web_socket_ms"] = web_socket.ping(self._ping)

    def _fault_of(self, error: "_StatusError", now: datetime) -> Fault:
        words = f"{error.host} answered {status_words(error.code)}"
        if error.code not in (_LIMITED, _BANNED):
            return Fault("http", f"{words} for {error.path or '/'}")
        until = now + retry_after(error.retry_after, now)
        asking = f"it is not asked again before {until:%H:%M:%S} UTC"
        if error.code == _BANNED:
            fault = Fault("rate_limited", f"{words}: it has banned this host's address; {asking}")
        else:
            fault = Fault(
                "rate_limited", f"{words}: too many requests from this address; {asking}", "warning"
            )
        self._quiet = (until, fault)
        return fault


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
    named = {"REST": "check_latency_ms", "the WebSocket": "web_socket_ms"}
    took = [f"{way} answered after {figures[name]:.0f} ms" for way, name in named.items() if name in figures]
    return Look("ok", ", ".join(took), None, figures)


def retry_after(said: str | None, now: datetime) -> timedelta:
    """Read a Retry-After, seconds or a date; WAIT without one that makes sense, LONGEST_WAIT at most."""
    try:
        if said and said.strip().isdecimal():
            wait = timedelta(seconds=min(int(said), LONGEST_WAIT.total_seconds()))
        else:
            moment = parsedate_to_datetime(said or "")
            wait = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    except (ValueError, OverflowError):
        wait = WAIT
    return min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)


class _StatusError(Exception):
    """The answer had a status that is not fine."""

    def __init__(self, host: str, path: str, code: int, retry_after: str | None) -> None:
        super().__init__(f"{code}")
        self.host = host
        self.path = path
        self.code = code
        self.retry_after = retry_after


@contextmanager
def _connection(host: str, port: int, deadline: float, *, secure: bool) -> Iterator[Connected]:
    connected = connect(host, port, deadline, client_context() if secure else None)
    with connected.socket:
        yield connected


def _connection_to(url: SplitResult, deadline: float) -> AbstractContextManager[Connected]:
    return _connection(*server_of(url), deadline, secure=url.scheme == "https")


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

"""Exchanges: every way in which a local one can fail, and what the alert would say; and the presets."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from services.collector.checks.base import CheckResult
from services.collector.checks.exchange import exchange_check as module
from services.collector.checks.exchange.exchange_check import ExchangeProbe, create_probe, parse_retry_after
from services.collector.checks.exchange.presets import apply_preset, ping_message, presets
from services.collector.checks.exchange.server_time import ServerTime, clock_skew, parse_server_time
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import ExchangeSection
from shared.runtime.http import client, responses
from shared.runtime.http.dial import client_context
from tests.support import free_port
from tests.unit.collector.certificate_authority import authority, certificate, server_context
from tests.unit.collector.fake_exchange import FakeExchange, local_exchange

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLACE = WatchedHost("here", Path("/proc"), Path("/"))


@pytest.fixture
def local() -> Iterator[FakeExchange]:
    with local_exchange() as running:
        yield running


def section(local: FakeExchange, **given: Any) -> ExchangeSection:
    """Watch all ways of the local exchange, but what is given otherwise."""
    ways = {
        "rest": local.url("/ping"),
        "time": local.url("/time"),
        "time_path": "now",
        "web_socket": local.url("/stream", "ws"),
    }
    return ExchangeSection(**(ways | given))


def look(local: FakeExchange, timeout_s: float = 4.0, **given: Any) -> CheckResult:
    return create_probe(section(local, **given), timeout_s, PLACE).run(NOON)


def test_a_time_in_an_answer_too_long_to_be_read_whole_is_not_believed(
    local: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 4)
    assert "sent a response larger than" in look(local).text


def test_an_exchange_that_works_is_fine_with_every_phase_timed(local: FakeExchange) -> None:
    seen = look(local)
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.text.startswith("REST ")
    assert {
        "dns_ms",
        "connect_ms",
        "check_latency_ms",
        "web_socket_ms",
        "clock_skew_ms",
    } <= seen.figures.keys()
    assert seen.figures["status_code"] == 200
    assert local.asked == ["/ping", "/time", "/stream"]


def test_tls_is_verified_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = authority()
    (tmp_path / "root.pem").write_bytes(root.pem)
    trusting = client_context().__class__(client_context().protocol)
    trusting.load_verify_locations(tmp_path / "root.pem")
    tls = server_context(certificate(root, "127.0.0.1").save(tmp_path / "server.pem"))
    with local_exchange(tls) as local:
        ways: dict[str, Any] = {
            "rest": local.url("/ping", "https"),
            "web_socket": local.url("/stream", "wss"),
            "time": None,
        }
        seen = look(local, **ways)
        assert (seen.status, seen.reason) == ("critical", "tls")
        assert "rejected: " in seen.text
        for user in (module, client):
            monkeypatch.setattr(user, "client_context", lambda: trusting)
        seen = look(local, **ways)
    assert seen.status == "ok"
    assert seen.figures["tls_ms"] > 0


def test_a_dead_web_socket_is_told_apart_from_a_dead_exchange(local: FakeExchange) -> None:
    local.web_socket = "drop"
    seen = look(local)
    assert (seen.status, seen.reason) == ("critical", "protocol")
    assert seen.text.startswith("WebSocket failed (REST OK): 127.0.0.1 ")
    assert "check_latency_ms" in seen.figures


def test_a_dead_rest_is_told_apart_from_a_dead_exchange(local: FakeExchange) -> None:
    local.rest = 503
    seen = look(local)
    assert (seen.status, seen.reason) == ("critical", "http")
    expected = "REST failed (WebSocket OK): 127.0.0.1 answered 503 Service Unavailable for /ping"
    assert seen.text == expected
    assert seen.figures["status_code"] == 503


def test_an_api_key_in_the_path_is_not_told(local: FakeExchange) -> None:
    """Providers of nodes want it there; the words for people go into logs, alerts and notices."""
    local.rest = 503
    seen = look(local, rest=local.url("/v3/9aa3d95b3bc440fa88ea12eaa4456161?key=x"), time=None)
    assert "127.0.0.1 answered 503 Service Unavailable for /v3/***" in seen.text
    assert "9aa3d9" not in seen.text


def test_an_exchange_that_is_gone_is_one_sentence(local: FakeExchange) -> None:
    port = free_port()
    seen = look(local, rest=f"http://127.0.0.1:{port}/", time=None, web_socket=f"ws://127.0.0.1:{port}/")
    assert (seen.status, seen.reason) == ("critical", "refused")
    assert seen.text.count("connection refused by") == 1
    assert seen.text.startswith("REST and WebSocket failed: ")


def test_a_name_that_does_not_exist_is_told(local: FakeExchange) -> None:
    seen = look(local, rest="http://nobody.invalid/ping", time=None, web_socket=None)
    assert (seen.status, seen.reason) == ("critical", "dns")
    assert "nobody.invalid" in seen.text


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ("hang", "timeout", "timed out after 0.2 s"),
        ("drip", "timeout", "timed out after 0.2 s"),
        ("drop", "protocol", "closed the connection without a response"),
        ("garbage", "protocol", "sent an invalid HTTP response"),
        ("half", "protocol", "closed the connection mid-response"),
        ("page", "protocol", "returned an HTML page instead of an API response"),
        (451, "http", "answered 451 Unavailable For Legal Reasons for /ping"),
        (302, "http", "answered 302 Found for /ping"),
    ],
)
def test_each_failure_of_rest_has_its_own_reason(
    local: FakeExchange, how: str | int, reason: str, words: str
) -> None:
    local.rest = how
    seen = look(local, 0.4)
    assert (seen.status, seen.reason) == ("critical", reason)
    assert words in seen.text


@pytest.mark.parametrize(
    ("how", "reason", "words"),
    [
        ("hang", "timeout", "WebSocket of 127.0.0.1 timed out"),
        ("mute", "timeout", "WebSocket of 127.0.0.1 timed out"),
        ("chatty", "timeout", "WebSocket of 127.0.0.1 timed out"),
        ("drop", "protocol", "127.0.0.1 closed the WebSocket connection"),
        ("garbage", "protocol", "sent an invalid WebSocket handshake"),
        ("wrong key", "protocol", "sent an invalid WebSocket handshake"),
        ("closing", "protocol", "closed the WebSocket with code 1013"),
        ("page", "http", "answered 200 OK for /stream"),
        (403, "http", "answered 403 Forbidden for /stream"),
    ],
)
def test_each_failure_of_the_web_socket_has_its_own_reason(
    local: FakeExchange, how: str | int, reason: str, words: str
) -> None:
    local.web_socket = how
    seen = look(local, 0.6)
    assert (seen.status, seen.reason) == ("critical", reason)
    assert words in seen.text


def test_a_rest_that_hangs_leaves_the_web_socket_its_time(local: FakeExchange) -> None:
    local.rest = "hang"
    assert "(WebSocket OK)" in look(local, 1.0).text


@pytest.mark.parametrize(("ahead_s", "words"), [(5, "5.0 s ahead of"), (-90, "90.0 s behind")])
def test_clocks_that_are_apart_are_a_warning(local: FakeExchange, ahead_s: float, words: str) -> None:
    local.ahead_s = ahead_s
    seen = look(local)
    assert (seen.status, seen.reason) == ("warning", "skewed")
    assert seen.text.startswith(f"Exchange clock {words} this host (±0.0 s, ")
    assert "limit 2 s); orders may be rejected" in seen.text
    assert seen.figures["clock_skew_ms"] == pytest.approx(1000 * ahead_s, abs=100)


def test_clocks_are_compared_with_the_time_of_asking_not_of_planning(local: FakeExchange) -> None:
    long_ago = create_probe(section(local), 4.0, PLACE).run(NOON - timedelta(days=400))
    assert long_ago.status == "ok"


def test_what_the_round_trip_hides_is_no_skew() -> None:
    assert not clock_skew(ServerTime(3_500.0, 1.0), 0.0, 4_000.0).exceeds(0.0)
    assert clock_skew(ServerTime(6_600.0, 1.0), 0.0, 4_000.0).exceeds(2_500.0)
    assert not clock_skew(ServerTime(6_400.0, 1.0), 0.0, 4_000.0).exceeds(2_500.0)


def test_a_clock_without_fractions_is_half_a_second_later_give_or_take() -> None:
    skew = clock_skew(ServerTime(5_000.0, 1000.0), 5_400.0, 5_600.0)
    assert skew.ms == 0.0
    assert skew.uncertainty_ms == 600.0


@pytest.mark.parametrize(
    ("document", "path", "expected"),
    [
        ({"serverTime": 1688639403423}, "serverTime", (1688639403423.0, 1.0)),
        ({"result": {"unixtime": 1688639403}}, "result.unixtime", (1688639403000.0, 1000.0)),
        ({"data": [{"ts": "1688639403423"}]}, "data.0.ts", (1688639403423.0, 1.0)),
        ({"result": {"timeNano": "1688639403423213947"}}, "result.timeNano", (1688639403423.214, 1.0)),
        ({"epoch": 1688639403.423}, "epoch", (1688639403423.0, 1.0)),
        ({"iso": "2023-07-06T10:30:03.423Z"}, "iso", (1688639403423.0, 1.0)),
        ({"iso": "2023-07-06T10:30:03"}, "iso", (1688639403000.0, 1000.0)),
        (1688639403423000, "", (1688639403423.0, 1.0)),
    ],
)
def test_the_time_is_read_in_every_unit(document: Any, path: str, expected: tuple[float, float]) -> None:
    assert parse_server_time(document, path) == pytest.approx(expected, abs=0.001)


@pytest.mark.parametrize(
    "document",
    [None, [], {"now": None}, {"now": True}, {"now": "soon"}, {"now": 12}, {"now": float("nan")},
     {"now": 1e300}, {"now": {"at": 1}}, {"now": "9" * 5000}, {"then": 1688639403423}],
)  # fmt: skip
def test_a_time_that_is_none_is_told_as_such(local: FakeExchange, document: Any) -> None:
    local.time = document
    if document is None:
        local.time = {}
    seen = look(local)
    assert (seen.status, seen.reason) == ("critical", "protocol")
    assert "/time returned no server time" in seen.text


def test_an_exchange_that_is_asked_too_often_is_left_alone_until_it_said(local: FakeExchange) -> None:
    local.rest, local.headers = 429, {"Retry-After": "30"}
    watching = ExchangeProbe(section(local), 4.0)
    first = watching.run(NOON)
    assert (first.status, first.reason) == ("warning", "rate_limited")
    assert first.text.endswith("paused until 12:00:30 UTC")
    assert local.asked == ["/ping"]
    local.rest = "fine"
    assert watching.run(NOON + timedelta(seconds=29)).text == first.text
    assert local.asked == ["/ping"]
    assert watching.run(NOON + timedelta(seconds=30)).status == "ok"


def test_an_address_that_was_banned_is_critical(local: FakeExchange) -> None:
    local.rest = 418
    seen = look(local)
    assert (seen.status, seen.reason) == ("critical", "rate_limited")
    assert "This host's IP is banned by 127.0.0.1 (418); paused until " in seen.text


def test_a_web_socket_that_is_asked_too_often_is_told_as_such_for_as_long(local: FakeExchange) -> None:
    local.web_socket = 429
    watching = ExchangeProbe(section(local), 4.0)
    texts = {watching.run(NOON).text, watching.run(NOON + timedelta(seconds=59)).text}
    assert len(texts) == 1
    assert "WebSocket failed (REST OK): " in texts.pop()


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("30", 30), ("0", 1), (None, 60), ("", 60), ("soon", 60), ("-5", 60), ("9" * 40, 86_400),
     (format_datetime(NOON + timedelta(minutes=5), usegmt=True), 300),
     (format_datetime(NOON - timedelta(minutes=5), usegmt=True), 1)],
)  # fmt: skip
def test_retry_after_is_honoured_within_reason(said: str | None, seconds: int) -> None:
    assert parse_retry_after(said, NOON).total_seconds() == seconds


def test_an_exchange_with_pings_of_its_own_is_pinged_its_way(
    local: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ping_message", lambda _: '{"op":"ping"}')
    assert look(local, rest=None, time=None).status == "ok"
    local.web_socket = "mute"
    assert look(local, 0.3, rest=None, time=None).reason == "timeout"


def test_a_web_socket_alone_is_watched_with_its_phases(local: FakeExchange) -> None:
    seen = look(local, rest=None, time=None)
    assert seen.status == "ok"
    assert seen.text.startswith("WebSocket ping ")
    assert {"connect_ms", "check_latency_ms", "web_socket_ms"} <= seen.figures.keys()


def test_neither_keys_nor_passwords_of_addresses_are_told(local: FakeExchange) -> None:
    local.rest = 403
    url = f"http://me:hidden@127.0.0.1:{local.port}/ping?key=hidden"
    assert "hidden" not in look(local, rest=url).text


@pytest.mark.parametrize("name", presets())
def test_each_preset_can_be_watched(name: str) -> None:
    preset = presets()[name]
    filled = apply_preset(name, ExchangeSection())
    assert filled.preset == name
    assert create_probe(filled, 10.0, PLACE).type == "exchange"
    addresses = (preset.rest, preset.time, preset.web_socket, preset.status_page)
    for address in filter(None, addresses):
        assert urlsplit(address).scheme in ("https", "wss")
    assert preset.rest or preset.time or preset.web_socket
    assert (preset.time is None) == (preset.time_path is None)
    assert (preset.status_page or "summary.json").endswith("summary.json")
    assert urlsplit(preset.source).hostname
    if preset.ping:
        assert preset.web_socket
        assert "ping" in preset.ping.lower()


@pytest.mark.parametrize("written", ["Binance-US", "binanceus", "BINANCE US", "binance.us"])
def test_a_preset_is_found_however_it_is_written(written: str) -> None:
    assert apply_preset(written, ExchangeSection()).preset == "binance-us"


def test_an_old_name_is_still_known() -> None:
    assert apply_preset("huobi", ExchangeSection()).preset == "htx"


def test_what_a_section_says_wins_over_the_preset() -> None:
    own = ExchangeSection(rest="https://testnet.example/ping")
    filled = apply_preset("binance", own)
    assert filled.rest == "https://testnet.example/ping"
    assert filled.web_socket == presets()["binance"].web_socket


def test_a_preset_by_another_name_brings_its_pings() -> None:
    assert ping_message(apply_preset("my-desk", ExchangeSection(preset="OKX"))) == "ping"


@pytest.mark.parametrize(
    "refused",
    [
        lambda: apply_preset("binanse", ExchangeSection()),
        lambda: apply_preset("mine", ExchangeSection(preset="binanse", rest="https://a.example/")),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(refused: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="did you mean 'binance'"):
        refused()


def test_an_unknown_name_with_an_address_is_an_exchange_of_ones_own() -> None:
    assert apply_preset("mine", ExchangeSection(rest="https://a.example/")).preset is None


def test_a_time_without_its_place_in_the_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="timePath"):
        apply_preset("mine", ExchangeSection(time="https://a.example/time"))


@pytest.mark.parametrize(
    "wrong",
    [{"rest": "http://a.example:99999/"}, {"rest": "https:///ping"}, {"web_socket": "wss://a.example/#b"}],
)
def test_an_address_that_cannot_be_asked_is_refused_at_the_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="URL"):
        create_probe(ExchangeSection(**wrong), 10.0, PLACE)

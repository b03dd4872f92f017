"""The probe over HTTP, against real servers on loopback that answer, misbehave, redirect and hang."""

import base64
import gzip
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from services.collector.checks import http
from services.collector.checks.base import CheckResult, Probe
from services.collector.checks.http import create_probe
from services.collector.host.watched_host import WatchedHost
from shared.runtime.config.check_sections import HttpSection
from shared.runtime.http import dial, responses
from tests.support import free_port
from tests.unit.collector.fake_servers import (
    ConnectionHandler,
    SelfSignedCertificate,
    hang_up,
    listening,
    never_respond,
    respond_with,
)

PLACE = WatchedHost("here", Path("/proc"), Path("/"))
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

Reply = Callable[[BaseHTTPRequestHandler], None]


def watching(url: str, timeout_s: float = 5.0, **further: Any) -> Probe:
    return create_probe(HttpSection(url=url, **further), timeout_s, PLACE)


def look(url: str, timeout_s: float = 5.0, **further: Any) -> CheckResult:
    return watching(url, timeout_s, **further).run(NOON)


@contextmanager
def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve HTTP with `reply` and yield the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply(self)

        do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def replying(status: int, body: bytes = b"", **headers: str) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return reply


def test_an_answer_is_told_with_its_phases() -> None:
    with serving(replying(200, b"alive")) as address:
        seen = look(f"http://{address}/health", body="ali+ve")
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.text.startswith(f"{address} answered 200 OK in ")
    assert "first byte" in seen.text
    assert seen.figures["status_code"] == 200
    assert seen.figures["check_latency_ms"] >= seen.figures["connect_ms"] > 0


def test_tls_is_a_phase_and_its_certificate_must_be_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = SelfSignedCertificate(tmp_path, "127.0.0.1")
    with serving(replying(200), identity.server) as address:
        strange = look(f"https://{address}/")
        lenient = look(f"https://{address}/", verify=False)
        monkeypatch.setattr(http, "client_context", lambda **_: identity.client)
        trusted = look(f"https://{address}/")
    assert (strange.status, strange.reason) == ("critical", "tls")
    assert strange.text == f"Certificate of {address} rejected: self-signed certificate"
    assert (lenient.status, trusted.status) == ("ok", "ok")
    assert trusted.figures["tls_ms"] > 0
    assert ", TLS " in trusted.text


@pytest.mark.parametrize(
    ("answer", "further", "expected"),
    [
        (503, {}, "answered 503 Service Unavailable, expected 200 to 399"),
        (404, {"status": [200, 204]}, "answered 404 Not Found, expected 200 or 204"),
        (599, {}, "answered 599, expected 200 to 399"),
    ],
)
def test_a_wrong_status_is_told_with_the_expected(answer: int, further: Any, expected: str) -> None:
    with serving(replying(answer)) as address:
        seen = look(f"http://{address}/", **further)
    assert (seen.status, seen.reason, seen.text) == ("critical", "http", f"{address} {expected}")
    assert seen.figures["status_code"] == answer


def test_an_expected_error_is_fine() -> None:
    with serving(replying(401)) as address:
        assert look(f"http://{address}/", status=[401]).status == "ok"


def test_a_rate_limit_is_told_apart_with_the_wait() -> None:
    with serving(replying(429, Retry_After="30")) as address:
        seen = look(f"http://{address}/")
    assert (seen.reason, seen.status) == ("rate_limited", "critical")
    assert seen.text == f"{address} answered 429 Too Many Requests; retry after 30 s"


def test_a_body_without_the_pattern_is_told() -> None:
    with serving(replying(200, b"maintenance")) as address:
        seen = look(f"http://{address}/", body="alive")
    assert seen.reason == "http"
    assert seen.text == f"{address} answered 200 OK, but the body does not match alive"


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS"])
def test_other_methods_are_asked(method: str) -> None:
    methods: list[str] = []

    def reply(request: BaseHTTPRequestHandler) -> None:
        methods.append(request.command)
        replying(200, b"body")(request)

    with serving(reply) as address:
        assert look(f"http://{address}/", method=method).status == "ok"
    assert methods == [method]


def test_redirects_are_followed_and_keys_stay_with_whom_they_are_for() -> None:
    seen: list[str | None] = []

    def reply(request: BaseHTTPRequestHandler) -> None:
        seen.append(request.headers.get("X-Key"))
        replying(200)(request)

    with serving(reply) as other:

        def redirect(request: BaseHTTPRequestHandler) -> None:
            seen.append(request.headers.get("X-Key"))
            where = "/b" if request.path == "/a" else f"http://{other}/"
            replying(302, Location=where)(request)

        with serving(redirect) as address:
            found = look(f"http://{address}/a", headers={"X-Key": "secret"})
    assert found.status == "ok"
    assert found.text.startswith(f"{other} answered 200 OK")
    assert seen == ["secret", "secret", None]


def test_a_circle_of_redirects_ends() -> None:
    with serving(replying(302, Location="/")) as address:
        seen = look(f"http://{address}/")
        wanted = look(f"http://{address}/", status=[302])
    assert (seen.reason, seen.text) == ("http", f"{address} redirects more than 5 times")
    assert wanted.status == "ok"


@pytest.mark.parametrize("location", ["file:///etc/passwd", "http://[::1", "http://x:99999/", "ftp://x/"])
def test_a_redirect_out_of_the_web_is_not_followed(location: str) -> None:
    with serving(replying(302, Location=location)) as address:
        seen = look(f"http://{address}/")
    assert seen.reason == "protocol"
    assert seen.text == f"{address} redirects to an invalid URL"


def test_a_redirect_cannot_put_lines_into_a_request() -> None:
    lines: list[str] = []

    def reply(request: BaseHTTPRequestHandler) -> None:
        lines.append(request.requestline)
        answer = replying(200) if request.path != "/" else replying(302, Location="/a b\tc\u00e9")
        answer(request)

    with serving(reply) as address:
        assert look(f"http://{address}/").status == "ok"
    assert lines[1].split()[0] == "GET"
    assert len(lines[1].split()) == 3


@pytest.mark.parametrize(
    ("conversation", "reason", "expected"),
    [
        (never_respond, "timeout", "timed out after 0.3 s"),
        (
            respond_with(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
            "protocol",
            "closed the connection mid-response",
        ),
        (respond_with(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol", "sent an invalid HTTP response"),
        (
            respond_with(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"),
            "protocol",
            "invalid HTTP response",
        ),
        (respond_with(b""), "protocol", "closed the connection without a response"),
        (hang_up, "protocol", "closed the connection without a response"),
    ],
)
def test_a_server_that_misbehaves_is_told_apart(
    conversation: ConnectionHandler, reason: str, expected: str
) -> None:
    with listening(conversation) as port:
        seen = look(f"http://127.0.0.1:{port}/", 0.3 if reason == "timeout" else 5.0)
    assert (seen.status, seen.reason) == ("critical", reason)
    assert expected in seen.text


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_bytes_that_trickle_in_do_not_stretch_the_timeout(head: bytes) -> None:
    over = threading.Event()

    def trickle(line: Any) -> None:
        line.recv(65_536)
        line.sendall(head)
        while not over.wait(0.05):
            line.sendall(b"x")

    with listening(trickle) as port:
        found: list[CheckResult] = []
        asked = threading.Thread(target=lambda: found.append(look(f"http://127.0.0.1:{port}/", 0.3)))
        asked.start()
        asked.join(10)
        ended = not asked.is_alive()
        over.set()
        asked.join(10)
    assert ended
    assert found[0].reason == "timeout"


def test_of_a_big_body_a_part_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 1000)
    with serving(replying(200, b"x" * 5000 + b"late")) as address:
        assert look(f"http://{address}/").status == "ok"
        seen = look(f"http://{address}/", body="late")
    assert "but the first MiB of the body does not match late" in seen.text


def test_nobody_listens_is_refused() -> None:
    assert look(f"http://127.0.0.1:{free_port()}/").reason == "refused"


def test_a_user_in_the_url_is_given_and_never_told() -> None:
    given: list[str] = []

    def reply(request: BaseHTTPRequestHandler) -> None:
        given.append(request.headers["Authorization"])
        replying(403)(request)

    with serving(reply) as address:
        seen = look(f"http://ann:s%40cret@{address}/key-in-path?token=key-in-query")
    assert base64.b64decode(given[0].removeprefix("Basic ")) == b"ann:s@cret"
    assert not any(secret in seen.text for secret in ("ann", "cret", "key-in"))


@pytest.mark.parametrize(
    "url", ["http://ann:se/cret@x/", "https://", "http://x:0/", "http://[::1/", "http://a\u2100secret/"]
)
def test_an_invalid_url_is_rejected_at_start_without_its_secrets(url: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        watching(url)
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_header_with_a_line_break_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="line break") as caught:
        watching("http://x/", headers={"X-Key": "sec\nret"})
    assert "ret" not in str(caught.value)


def test_the_checks_own_headers_win() -> None:
    given: list[Any] = []

    def reply(request: BaseHTTPRequestHandler) -> None:
        given.extend(request.headers.get_all("Host") or ())
        replying(200)(request)

    with serving(reply) as address:
        look(f"http://{address}/", headers={"host": "inner.example"})
    assert given == ["inner.example"]


def test_the_settings_of_tls_are_made_once() -> None:
    assert dial.client_context() is dial.client_context()


GREETING = "余额正常"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (GREETING.encode("gb2312"), "text/html; charset=gb2312"),
        (b"<html><meta charset='gbk'>" + GREETING.encode("gbk"), "text/html"),
        (b'<?xml version="1.0" encoding="GB18030"?>' + GREETING.encode("gb18030"), "text/xml"),
        (GREETING.encode("utf-16"), "text/plain"),
        (GREETING.encode(), "text/plain; charset=hex"),
    ],
)
def test_a_body_is_searched_in_the_charset_of_the_page(body: bytes, kind: str) -> None:
    """The header says it, or the page itself, or a byte order mark."""
    with serving(replying(200, body, Content_Type=kind)) as server:
        assert look(f"http://{server}/", body=GREETING).status == "ok"


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_server_that_always_packs_its_answers_is_read(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    """The check asks for `identity`; not every server cares."""
    with serving(replying(200, pack(b"all is well"), Content_Encoding=encoding)) as server:
        assert look(f"http://{server}/", body="all is well").status == "ok"


def test_a_packing_that_cannot_be_read_is_named_as_the_cause() -> None:
    """Without a pattern for the body it does not matter."""
    with serving(replying(200, b"\x0b\x05\x80", Content_Encoding="br")) as server:
        assert look(f"http://{server}/").status == "ok"
        seen = look(f"http://{server}/", body="well")
    assert (seen.status, seen.reason) == ("critical", "http")
    assert "with Content-Encoding br" in seen.text


def test_a_bomb_is_not_unpacked_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of what is read holds for what comes out, too."""
    monkeypatch.setattr(responses, "MAX_BODY_BYTES", 1000)
    with serving(replying(200, gzip.compress(bytes(100_000)), Content_Encoding="gzip")) as server:
        assert "the first MiB of the body" in look(f"http://{server}/", body="x").text


def test_all_gzip_members_are_read_and_a_cut_off_body_fails() -> None:
    """Behind a gzip body some servers send what is none: clients pass over it."""
    packed = gzip.compress(b"all is ") + gzip.compress(b"well")
    with serving(replying(200, packed + b"\0\0", Content_Encoding="gzip")) as server:
        assert look(f"http://{server}/", body="all is well").status == "ok"
    with serving(replying(200, packed[:-9], Content_Encoding="gzip")) as server:
        seen = look(f"http://{server}/", body="all is")
    assert (seen.reason, seen.text.partition(" ")[2]) == (
        "protocol",
        "answered 200, but the body cannot be decompressed: the gzip body is cut off",
    )


def test_what_is_not_packed_as_it_says_is_told() -> None:
    """A server that breaks its own answers fails for bots as well."""
    with serving(replying(200, b"plain", Content_Encoding="gzip")) as server:
        assert look(f"http://{server}/").reason == "protocol"


def test_early_hints_are_not_the_answer() -> None:
    """103 comes before it, perhaps more than once."""
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
    with listening(respond_with(hint + hint + answer)) as port:
        seen = look(f"http://127.0.0.1:{port}/", body="well")
    assert (seen.status, seen.figures["status_code"]) == ("ok", 200)


def test_a_location_in_raw_utf_8_is_followed() -> None:
    """Its characters reach the server as UTF-8, percent-encoded."""
    asked: list[str] = []

    def reply(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        if request.path == "/":
            location = "/bücher/年".encode().decode("latin-1")
            replying(302, Location=location)(request)
        else:
            replying(200)(request)

    with serving(reply) as server:
        assert look(f"http://{server}/").status == "ok"
    assert asked == ["/", "/b%C3%BCcher/%E5%B9%B4"]


def test_an_international_host_is_asked_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolver, TLS and `Host` get its `xn--` form, also after a redirect."""
    hosts: list[str] = []
    found = socket.getaddrinfo

    def local(host: str, port: int, **further: Any) -> Any:
        if host.startswith("xn--"):
            host = "127.0.0.1"
        return found(host, port, **further)

    def reply(request: BaseHTTPRequestHandler) -> None:
        hosts.append(request.headers["Host"])
        port = request.headers["Host"].rpartition(":")[2]
        if len(hosts) == 1:
            replying(302, Location=f"http://straße.example:{port}/".encode().decode("latin-1"))(request)
        else:
            replying(200)(request)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    with serving(reply) as server:
        port = server.rpartition(":")[2]
        assert look(f"http://bücher.example:{port}/").status == "ok"
    assert hosts == [f"xn--bcher-kva.example:{port}", f"xn--strae-oqa.example:{port}"]

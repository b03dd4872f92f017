"""Redis: a real server that is protected, full, unable to save, a replica; and some that are none."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis

from services.collector.checks.base import CheckResult
from services.collector.checks.databases.redis import RedisProbe, encode_command, evaluate_info, parse_info
from tests.support import free_port, valkey, wait_until
from tests.unit.collector.fake_servers import (
    ConnectionHandler,
    SelfSignedCertificate,
    hang_up,
    listening,
    never_respond,
    respond_with,
)

pytestmark = pytest.mark.slow  # starts processes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def look(url: str, timeout_s: float = 5.0) -> CheckResult:
    return RedisProbe(urlsplit(url), timeout_s).run(NOON)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a server of this test's own."""
    with valkey(tmp_path) as url:
        yield url


def test_a_server_that_answers_is_told_with_its_role_and_size(valkey_url: str) -> None:
    seen = look(valkey_url)
    assert (seen.status, seen.reason) == ("ok", None)
    assert " is up (primary), " in seen.text
    assert seen.figures["size_bytes"] > 100_000
    assert seen.figures["check_latency_ms"] > seen.figures["connect_ms"] > 0


def test_a_password_is_given_and_a_wrong_one_never_told(server: str) -> None:
    with Redis.from_url(server) as client:
        client.config_set("requirepass", "right@one")
        port = urlsplit(server).port
        assert look(f"redis://:right%40one@127.0.0.1:{port}").status == "ok"
        wrong, none = look(f"redis://:wrong-one@127.0.0.1:{port}"), look(server)
        client.execute_command("AUTH", "right@one")
        client.config_set("requirepass", "")
    assert (wrong.status, wrong.reason) == ("critical", "denied")
    assert wrong.text.startswith(f"Redis at 127.0.0.1:{port} answered: WRONGPASS")
    assert "wrong-one" not in wrong.text
    assert (none.reason, "NOAUTH" in none.text) == ("denied", True)


def test_a_user_who_may_only_ping_sees_that_it_answers(server: str) -> None:
    with Redis.from_url(server) as client:
        client.execute_command("ACL", "SETUSER", "watch", "on", ">pw", "+ping")
    seen = look(f"redis://watch:pw@127.0.0.1:{urlsplit(server).port}")
    assert (seen.status, seen.text.endswith("this user may not run INFO")) == ("ok", True)


def test_a_server_that_fills_up_is_told_unless_it_may_forget(server: str) -> None:
    with Redis.from_url(server) as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", round(used * 1.05))
        seen = look(server)
        client.config_set("maxmemory-policy", "allkeys-lru")
        cache = look(server)
    assert (seen.status, seen.reason) == ("warning", "too_many")
    assert seen.text.endswith("of maxmemory (limit 90%); writes fail when it is full")
    assert cache.status == "ok"


def test_a_failed_save_is_told(server: str, tmp_path: Path) -> None:
    with Redis.from_url(server) as client:
        client.set("bot", "alpha")
        (tmp_path / "dump.rdb").mkdir()
        client.config_set("save", "3600 100000")
        client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", "the save failed")
        strict = look(server)
        client.config_set("stop-writes-on-bgsave-error", "no")
        seen = look(server)
        # Otherwise it would not stop, lest its data be lost.
        client.config_set("save", "")
    assert (strict.status, strict.reason) == ("critical", "failed")
    assert "MISCONF" in strict.text
    assert (seen.status, seen.reason) == ("critical", "failed")
    assert "failed to save to disk (last saved: 20" in seen.text


def test_a_replica_that_lost_its_primary_is_told(server: str) -> None:
    nobody = free_port()
    with Redis.from_url(server) as client:
        client.replicaof("127.0.0.1", str(nobody))
        seen = look(server)
    assert (seen.status, seen.reason) == ("critical", "failed")
    assert f"is a replica and has lost its primary 127.0.0.1:{nobody}" in seen.text


def test_a_replica_that_follows_is_fine(server: str, tmp_path: Path) -> None:
    with Redis.from_url(server) as primary:
        primary.config_set("repl-diskless-sync-delay", 0)  # by default it waits 5 s for further replicas
    (tmp_path / "replica").mkdir()
    with valkey(tmp_path / "replica") as url, Redis.from_url(url) as client:
        client.replicaof("127.0.0.1", str(urlsplit(server).port))
        wait_until(lambda: look(url).status == "ok", "it follows")
        seen = look(url)
    assert " is up (replica), " in seen.text


def test_a_killed_server_is_refused(tmp_path: Path) -> None:
    with valkey(tmp_path) as url:
        assert look(url).status == "ok"
    seen = look(url)
    assert (seen.status, seen.reason) == ("critical", "refused")


def test_tls_is_told_apart(tmp_path: Path) -> None:
    identity = SelfSignedCertificate(tmp_path, "127.0.0.1")
    with listening(never_respond, identity.server) as port:
        seen = look(f"rediss://127.0.0.1:{port}")
    assert (seen.status, seen.reason) == ("critical", "tls")


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (never_respond, "timeout"),
        (hang_up, "protocol"),
        (respond_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
        (respond_with(b"+PONG"), "protocol"),
        (respond_with(b"+PONG\r\n$99999999999999\r\n"), "protocol"),
        (respond_with(b"+PONG\r\n$-1\r\n"), "protocol"),
        (respond_with(b"+PONG\r\n$100\r\nhalf"), "protocol"),
        (respond_with(b"+PONG\r\n$x\r\n"), "protocol"),
        (respond_with(b"-LOADING Redis is loading the dataset in memory\r\n"), "failed"),
        (respond_with(b"-DENIED Redis is running in protected mode\r\n"), "denied"),
    ],
)
def test_a_server_that_misbehaves_is_told_apart(conversation: ConnectionHandler, reason: str) -> None:
    with listening(conversation) as port:
        seen = look(f"redis://127.0.0.1:{port}", 0.3 if reason == "timeout" else 5.0)
    assert (seen.status, seen.reason) == ("critical", reason)


def test_a_password_that_the_server_repeats_is_not_told() -> None:
    with listening(respond_with(b"-ERR unknown command 'AUTH' 'secret-word'\r\n")) as port:
        seen = look(f"redis://:secret-word@127.0.0.1:{port}")
    assert "secret-word" not in seen.text


def test_words_are_counted_in_bytes() -> None:
    assert encode_command("AUTH", "é") == b"*2\r\n$4\r\nAUTH\r\n$2\r\n\xc3\xa9\r\n"


@pytest.mark.parametrize(
    ("told", "status", "expected"),
    [
        ({"aof_last_write_status": "err"}, "critical", "x cannot write its append-only file"),
        ({"aof_last_bgrewrite_status": "err"}, "warning", "x failed to rewrite its append-only file"),
        ({"rdb_last_bgsave_status": "err"}, "critical", "x failed to save to disk (last saved: never)"),
    ],
)
def test_what_info_tells_is_judged(told: Any, status: str, expected: str) -> None:
    seen = evaluate_info("x", {"used_memory": "1", "role": "master", **told})
    assert (seen.status, seen.text) == (status, expected)


def test_info_is_read_line_by_line() -> None:
    assert parse_info("# Server\r\nrole:master\r\n\r\nos:a:b\r\nbroken") == {"role": "master", "os": "a:b"}


def test_bytes_that_trickle_in_do_not_stretch_the_timeout() -> None:
    over = threading.Event()

    def trickle(line: socket.socket) -> None:
        line.recv(100)
        while not over.wait(0.05):
            line.sendall(b"+")

    with listening(trickle) as port:
        seen = look(f"redis://127.0.0.1:{port}", 0.3)
        over.set()
    assert seen.reason == "timeout"

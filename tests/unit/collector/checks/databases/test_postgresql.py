"""PostgreSQL: a real server that is full, stopped, killed, a replica; and some that are none."""

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pg8000 import native

from services.collector.checks.base import CheckResult
from services.collector.checks.databases import postgresql as module
from services.collector.checks.databases.postgresql import PostgresqlProbe, ServerState, evaluate_server_state
from shared.runtime.http.urls import split_url
from tests.support import wait_until
from tests.unit.collector import postgresql_server
from tests.unit.collector.fake_servers import (
    ConnectionHandler,
    SelfSignedCertificate,
    hang_up,
    listening,
    never_respond,
    respond_with,
)
from tests.unit.collector.postgresql_server import PASSWORD, PostgresqlServer

pytestmark = pytest.mark.slow  # starts processes

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FINE = ServerState(1, 100, 1000, replica=False, receivers=None, lag_s=None)


def look(url: str, timeout_s: float = 5.0) -> CheckResult:
    return PostgresqlProbe(split_url(url), timeout_s).run(NOON)


def started(server: PostgresqlServer) -> PostgresqlServer:
    wait_until(lambda: look(server.url()).status == "ok", "PostgreSQL answers", timeout_s=30)
    return server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresqlServer]:
    with postgresql_server.server() as one:
        started(one)
        one.run(f"CREATE ROLE bot LOGIN PASSWORD '{PASSWORD}'")
        yield one


def test_a_server_that_answers_is_told_with_its_connections_and_size(server: PostgresqlServer) -> None:
    seen = look(server.url())
    assert (seen.status, seen.reason) == ("ok", None)
    assert seen.text.startswith(f"PostgreSQL at 127.0.0.1:{server.port} is up (primary): 1 of 10 conn")
    assert seen.figures["size_bytes"] > 1_000_000
    assert seen.figures["check_latency_ms"] > seen.figures["connect_ms"] > 0
    assert look(server.url(user="bot")).status == "ok"


def test_a_wrong_password_is_denied_and_not_told(server: PostgresqlServer) -> None:
    seen = look(server.url(password="wrong-word"))
    assert (seen.status, seen.reason) == ("critical", "denied")
    assert seen.text.endswith('answered: password authentication failed for user "postgres"')
    assert "wrong-word" not in seen.text


def test_a_database_that_does_not_exist_is_told(server: PostgresqlServer) -> None:
    seen = look(server.url().removesuffix("postgres") + "bots")
    assert (seen.status, seen.reason) == ("critical", "failed")
    assert seen.text.endswith('answered: database "bots" does not exist')


def test_a_server_that_fills_up_is_told_and_then_that_it_is_full(server: PostgresqlServer) -> None:
    with ExitStack() as held:

        def hold(user: str) -> None:
            held.enter_context(native.Connection(user, "127.0.0.1", "postgres", server.port, PASSWORD))

        # Those of other users count, too, though this one sees little of them.
        for user in ["postgres"] * 5 + ["bot"] * 4:
            hold(user)
        almost = look(server.url(user="bot"))
        hold("bot")
        full = look(server.url(user="bot"))
    assert (almost.status, almost.reason) == ("warning", "too_many")
    assert almost.text.endswith("is running out of connections: 10 of 10 connections used (limit 90%)")
    assert (full.status, full.reason) == ("critical", "too_many")
    assert "remaining connection slots are reserved" in full.text


def test_a_server_that_hangs_is_a_timeout(server: PostgresqlServer) -> None:
    server.process.send_signal(signal.SIGSTOP)
    seen = look(server.url(), 0.3)
    server.process.send_signal(signal.SIGCONT)
    assert (seen.status, seen.reason) == ("critical", "timeout")
    assert seen.text == f"PostgreSQL at 127.0.0.1:{server.port} timed out after 0.3 s"
    started(server)


def test_tls_that_is_demanded_must_be_there(server: PostgresqlServer) -> None:
    assert look(server.url(rest="?sslmode=disable")).status == "ok"
    seen = look(server.url(rest="?sslmode=require"))
    assert (seen.status, seen.reason) == ("critical", "tls")
    assert seen.text == f"PostgreSQL at 127.0.0.1:{server.port} does not support TLS, which sslmode requires"


def test_tls_is_used_and_its_certificate_must_be_valid_where_that_is_asked(tmp_path: Path) -> None:
    identity = SelfSignedCertificate(tmp_path, "127.0.0.1")
    with postgresql_server.folder() as folder:
        files = [Path(shutil.copy(one, folder)) for one in (identity.certificate, identity.key)]
        for file in files:
            shutil.chown(file, folder.owner())
            file.chmod(0o600)
        with postgresql_server.server(
            "ssl=on", f"ssl_cert_file={files[0]}", f"ssl_key_file={files[1]}"
        ) as server:
            started(server)
            assert look(server.url(rest="?sslmode=require")).status == "ok"
            strict = look(server.url(rest="?sslmode=verify-full"))
    assert (strict.status, strict.reason) == ("critical", "tls")
    assert "rejected: self-signed certificate" in strict.text


def test_a_replica_that_falls_behind_or_loses_its_primary_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as both:
        primary = both.enter_context(postgresql_server.server())
        started(primary)
        replica = both.enter_context(postgresql_server.replica(primary))
        wait_until(lambda: " is up (replica): " in look(replica.url()).text, "it follows")
        replica.run("SELECT pg_wal_replay_pause()")
        primary.run("CREATE TABLE trades AS SELECT 1")
        monkeypatch.setattr(module, "MAX_LAG_S", 0.0)
        late = wait_until(lambda: _late(replica), "it is behind")
        primary.process.send_signal(signal.SIGINT)
        primary.process.wait(timeout=30)
        wait_until(lambda: look(replica.url()).status == "critical", "it noticed")
        lost = look(replica.url())
        killed = look(primary.url())
    assert (late.status, late.reason) == ("warning", "late")
    assert "behind its primary" in late.text
    assert (lost.reason, lost.text.endswith("is a replica without a connection to its primary")) == (
        "failed",
        True,
    )
    assert (killed.status, killed.reason) == ("critical", "refused")


def _late(replica: PostgresqlServer) -> Any:
    seen = look(replica.url())
    return seen if seen.reason == "late" else None


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (never_respond, "timeout"),
        (hang_up, "protocol"),
        (respond_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
        (respond_with(b"NHTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
        (respond_with(b"NR\0\0\0\x08\0\0\0\x63"), "protocol"),
        (respond_with(b"N"), "protocol"),
    ],
)
def test_a_server_that_misbehaves_is_told_apart(conversation: ConnectionHandler, reason: str) -> None:
    with listening(conversation) as port:
        seen = look(f"postgresql://x:y@127.0.0.1:{port}/x", 0.3 if reason == "timeout" else 5.0)
    assert (seen.status, seen.reason) == ("critical", reason)


def test_bytes_that_trickle_in_do_not_stretch_the_timeout() -> None:
    over = threading.Event()

    def trickle(line: Any) -> None:
        line.recv(100)
        line.sendall(b"NN\x00\x7f\xff\xff")
        while not over.wait(0.05):
            line.sendall(b"x")

    with listening(trickle) as port:
        seen = look(f"postgresql://x:y@127.0.0.1:{port}/x", 0.3)
        over.set()
    assert seen.reason == "timeout"


@pytest.mark.parametrize(
    ("state", "status", "expected"),
    [
        (FINE, "ok", "x is up (primary): 1 of 100 connections used, 1,000 B"),
        (FINE._replace(replica=True, receivers=1, lag_s=59.0), "ok", "x is up (replica): 1 of 100"),
        (
            FINE._replace(replica=True, receivers=1, lag_s=90.0),
            "warning",
            "x is 1.5 min behind its primary (limit 1 min)",
        ),
        (
            FINE._replace(connections=90),
            "warning",
            "x is running out of connections: 90 of 100 connections used",
        ),
    ],
)
def test_what_the_server_tells_is_judged(state: ServerState, status: str, expected: str) -> None:
    seen = evaluate_server_state("x", state)
    assert (seen.status, seen.text.startswith(expected)) == (status, True)

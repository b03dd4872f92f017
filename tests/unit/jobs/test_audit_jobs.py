"""Jobs of the audit log: shipped to syslog and webhook, verified, folded, pruned."""

import http.server
import json
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from services.jobs.audit.shipping import ShippingError, ship_audit
from services.jobs.audit.upkeep import AuditFaultError, check_audit
from services.jobs.config import JobsSettings
from services.jobs.context import JobContext
from services.jobs.syslog import MAX_DATAGRAM, format_syslog
from shared.runtime.audit_key import audit_key
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.runtime.http.signature import sign
from shared.schema.faults import InvalidError
from shared.store.audit import (
    FOLD_INTERVAL,
    AuditEntry,
    append_audit,
    verify_audit,
)
from shared.store.database import Database
from shared.store.tables import audit_log
from tests.support import free_port
from tests.unit.collector.certificate_authority import authority, certificate, server_context
from tests.unit.dashboard.sample_data import NOON

MESSAGE = re.compile(rb"<109>1 (\S+) \S+ botwatch \d+ (\S+) - (\{.*\})")


@pytest.fixture
def context(performance: Database, health: Database, tmp_path: Path) -> JobContext:
    documents = Documents(PerformanceLogger(), HealthMonitor(), Notifications())
    return JobContext(performance, health, documents, tmp_path, lambda: NOON)


def append(context: JobContext, number: int = 1, days_ago: int = 0, **fields: object) -> None:
    for _ in range(number):
        values = {"action": "user.add", "actor": "ann", "target": "bob"} | fields
        with context.health.write() as connection:
            entry = AuditEntry(**values)  # type: ignore[arg-type]
            append_audit(connection, entry, NOON - timedelta(days=days_ago), audit_key(context.home))


def configured(context: JobContext, **fields: object) -> JobContext:
    """Return the context with settings."""
    return context._replace(settings=JobsSettings(**fields))  # type: ignore[arg-type]


@pytest.fixture
def receive() -> Iterator[socket.socket]:
    """Yield a listening TCP socket of a syslog receiver."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def read_all(server: socket.socket) -> bytes:
    """Return what the next connection sends until its end."""
    connection, _ = server.accept()
    with connection:
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def ship_to(server: socket.socket, context: JobContext) -> list[int]:
    """Return the IDs of the entries that a run of the job sends."""
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(read_all(server)))
    thread.start()
    ship_audit(configured(context, audit_syslog=f"tcp://127.0.0.1:{server.getsockname()[1]}"))
    thread.join(10)
    return ids_in(found[0])


def ids_in(data: bytes) -> list[int]:
    """Return the IDs of the entries in counted messages."""
    ids = []
    while data:
        length, _, data = data.partition(b" ")
        message, data = data[: int(length)], data[int(length) :]
        match = MESSAGE.fullmatch(message)
        assert match
        ids.append(json.loads(match[3])["id"])
    return ids


def test_syslog_by_tcp(context: JobContext, receive: socket.socket) -> None:
    """Entries arrive once, in order, as counted messages of RFC 5424; the next run goes on after them."""
    append(context, 3)
    assert ship_to(receive, context) == [1, 2, 3]
    append(context)
    assert ship_to(receive, context) == [4]
    append(context)
    assert ship_to(receive, context) == [5]


@pytest.mark.parametrize("answers", [True, False])
def test_syslog_by_tls(
    context: JobContext,
    receive: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: bool,
) -> None:
    """The certificate is verified: a receiver of an unknown authority is sent nothing, and the job fails.

    The connection ends with a close_notify, not a reset; the receiver may answer it or just close.
    """
    root, found = authority(), []
    tls = server_context(certificate(root, "localhost").save(tmp_path / "tls.pem"))

    def serve() -> None:
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            tls.wrap_socket(receive.accept()[0], server_side=True)
        connection = receive.accept()[0]
        with tls.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False) as client:
            found.append(b"".join(iter(lambda: client.recv(65_536), b"")))
            if answers:
                client.unwrap()

    with ThreadPoolExecutor() as pool:
        served = pool.submit(serve)
        append(context, 2)
        shipping = configured(context, audit_syslog=f"tls://localhost:{receive.getsockname()[1]}")
        with pytest.raises(ShippingError, match=r"syslog: .*certificate"):
            ship_audit(shipping)
        trusting = ssl.create_default_context(cadata=root.pem.decode())
        monkeypatch.setattr("services.jobs.syslog.client_context", lambda: trusting)
        assert ship_audit(shipping) == {"syslog": 2}
        served.result(10)
    assert [ids_in(data) for data in found] == [[1, 2]]


def test_syslog_by_tls_broken_off(
    context: JobContext, receive: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries are sent again after a reset by the receiver."""
    root = authority()
    tls = server_context(certificate(root, "localhost").save(tmp_path / "tls.pem"))
    trusting = ssl.create_default_context(cadata=root.pem.decode())
    monkeypatch.setattr("services.jobs.syslog.client_context", lambda: trusting)

    def serve() -> None:
        with tls.wrap_socket(receive.accept()[0], server_side=True) as client:
            client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    append(context, 1)
    shipping = configured(context, audit_syslog=f"tls://localhost:{receive.getsockname()[1]}")
    with ThreadPoolExecutor() as pool:
        for _ in range(2):
            served = pool.submit(serve)
            with pytest.raises(ShippingError, match="syslog: "):
                ship_audit(shipping)
            served.result(10)


def test_syslog_by_udp(context: JobContext) -> None:
    """Each entry is one datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        shipping = configured(context, audit_syslog=f"udp://127.0.0.1:{server.getsockname()[1]}")
        append(context, 2)
        assert [ship_audit(shipping), ship_audit(shipping)] == [{"syslog": 2}, {"syslog": 0}]
        match = MESSAGE.fullmatch(server.recv(MAX_DATAGRAM))
    assert match
    assert match[2] == b"user.add"


def test_caught_up_after_an_outage(context: JobContext, receive: socket.socket) -> None:
    """While the receiver is away the job fails and says why; what was appended meanwhile is sent later."""
    append(context, 2)
    with pytest.raises(ShippingError, match=r"syslog: .*refused"):
        ship_audit(configured(context, audit_syslog=f"tcp://127.0.0.1:{free_port()}"))
    append(context)
    assert ship_to(receive, context) == [1, 2, 3]


class Hook(http.server.BaseHTTPRequestHandler):
    """Notes each request; answers with `status`."""

    status = 200
    seen: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:  # noqa: D102
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type(self).seen.append((dict(self.headers), body))
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:  # noqa: D102
        pass


def test_webhook(context: JobContext) -> None:
    """A signed post has the entries; one that is refused is posted again, also if syslog is fine."""
    hook = Hook
    hook.seen, hook.status = [], 500
    with http.server.HTTPServer(("127.0.0.1", 0), hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/planted-path"
        posting = configured(context, audit_webhook_url=url, audit_webhook_secret="hook-secret")
        append(context, 2)
        with pytest.raises(ShippingError, match="receiver returned 500") as raised:
            ship_audit(posting)
        hook.status = 204
        assert ship_audit(posting) == {"webhook": 2}
        server.shutdown()
        thread.join()
    assert "planted" not in str(raised.value)
    (_, first), (headers, second) = hook.seen
    assert first == second
    assert [entry["id"] for entry in json.loads(second)["entries"]] == [1, 2]
    assert headers["Botwatch-Signature"] == sign(second, "hook-secret", NOON)


@pytest.mark.parametrize("url", ["syslog.example", "http://h:1", "tcp://", "udp://h:1/x", "tcp://h:99999"])
def test_wrong_receiver(url: str) -> None:
    """A wrong receiver is refused at the start, by the name of its variable."""
    for name in ("audit_syslog", "audit_webhook_url"):
        if url != "http://h:1" or name == "audit_syslog":
            with pytest.raises(InvalidError, match=name.upper()):
                JobsSettings(**{name: url}).validated()  # type: ignore[arg-type]


def test_syslog_header() -> None:
    """A header field has no blanks and no line ends, whatever an action is called."""
    message = format_syslog(NOON, "user add\n<1>", b"{}")
    assert re.fullmatch(rb"<109>1 2026-01-31T12:00:00.000Z \S+ botwatch \d+ useradd<1> - \{\}", message)


def test_pruned(context: JobContext) -> None:
    """Old entries go by policy only, twice in a row; what remains verifies, and what is removed is stated."""
    append(context, 5, days_ago=40)
    append(context, 2)
    assert check_audit(context)["pruned"] == 0
    context = configured(context, audit_retention_days=30)
    assert check_audit(context) == {"verified": 7, "folded": 0, "pruned": 5}
    with context.health.read() as connection:
        report = verify_audit(connection, audit_key(context.home))
        assert (report.fault, report.entries) == (None, 3)
        after = connection.scalar(select(audit_log.c.after).where(audit_log.c.action == "audit.prune"))
    assert json.loads(after or "")["entries"] == 5
    later = context._replace(now=lambda: NOON + timedelta(days=31))
    append(later)
    assert check_audit(later)["pruned"] == 3
    with context.health.write() as connection:
        connection.execute(delete(audit_log).where(audit_log.c.id == 9))
    with context.health.read() as connection:
        fault = verify_audit(connection, audit_key(context.home)).fault
    assert fault
    assert fault.id == 9


def test_changed_log_fails_the_job(context: JobContext) -> None:
    """A changed entry makes the hourly job fail, and nothing is removed."""
    append(context, 3, days_ago=40)
    append(context)
    with context.health.write() as connection:
        connection.execute(update(audit_log).where(audit_log.c.id == 2).values(by="bob"))
    with pytest.raises(AuditFaultError, match="entry 2 was changed"):
        check_audit(configured(context, audit_retention_days=30))
    with context.health.read() as connection:
        assert len(connection.execute(select(audit_log.c.id)).all()) == 4


def test_folded(context: JobContext) -> None:
    """The counted denied requests become an entry an interval later."""
    for _ in range(3):
        append(context, action="user.login", outcome="denied", address="192.0.2.1")
    later = context._replace(now=lambda: NOON + FOLD_INTERVAL)
    assert check_audit(later) == {"verified": 2, "folded": 1, "pruned": 0}


def test_schedule() -> None:
    """Shipping runs every minute if there is a receiver, so that nothing is forked for nothing."""
    configured_jobs = JobsSettings(audit_syslog="udp://127.0.0.1").scheduled_jobs()
    assert configured_jobs["audit-shipping"].cron == "* * * * *"
    assert JobsSettings().scheduled_jobs()["audit-shipping"].cron == "42 * * * *"

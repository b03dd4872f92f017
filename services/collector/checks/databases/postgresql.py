"""PostgreSQL: whether it answers, has connections left, and as a replica follows its primary."""

import socket
import ssl
import struct
import time
from contextlib import closing
from datetime import datetime
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qs, unquote

from pg8000 import native

from services.collector.checks.base import CheckResult
from shared.runtime.http.dial import (
    DeadlineSocket,
    NetworkError,
    client_context,
    dial,
    seconds_left,
    wrap_tls,
)
from shared.schema.durations import format_rough
from shared.schema.formatting import format_value
from shared.schema.records import CheckReason, CheckType
from shared.schema.units import BYTES

FULL_PERCENT = 90.0
MAX_LAG_S = 60.0
SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
"""Source: PostgreSQL's documentation, chapter Message Formats."""
REASONS: dict[str, CheckReason] = {
    "28000": "denied",
    "28P01": "denied",
    "42501": "denied",
    "53300": "too_many",
}
"""By SQLSTATE; all others are `failed`."""
# What kind of backend another user has is not shown to everybody; its database and user are.
QUERY = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       pg_database_size(current_database()),
       pg_is_in_recovery(),
       CASE WHEN pg_is_in_recovery() THEN
         (SELECT count(*) FROM pg_stat_wal_receiver) END,
       CASE WHEN pg_is_in_recovery() AND pg_last_wal_receive_lsn() IS DISTINCT FROM pg_last_wal_replay_lsn()
         THEN extract(epoch FROM clock_timestamp()
           - coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()))::float8 END
"""


class ServerState(NamedTuple):
    """What the server reports."""

    connections: int
    most_connections: int
    size: int
    replica: bool
    receivers: int | None
    """How many connections to its primary a replica has; None for a primary."""
    lag_s: float | None
    """How old what it last replayed is; None when it has replayed all that it received."""


class PostgresqlProbe:
    """Logs in on a new connection and asks one question."""

    type: CheckType = "database"

    def __init__(self, url: SplitResult, timeout_s: float) -> None:
        self._host = url.hostname or ""
        self._port = url.port or 5432
        self._user = unquote(url.username or "postgres")
        self._password = unquote(url.password) if url.password else None
        self._database = unquote(url.path.lstrip("/")) or self._user
        self._tls, self._must = parse_sslmode(parse_qs(url.query).get("sslmode", ["prefer"])[-1])
        self._timeout_s = timeout_s

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now
        began = time.monotonic()
        deadline = began + self._timeout_s
        server = f"PostgreSQL at {self._host}:{self._port}"
        try:
            found = dial(self._host, self._port, deadline)
            with closing(found.socket) as plain, closing(self._start_tls(plain, deadline)) as connection:
                state = self._query_state(connection, deadline)
        except NetworkError as error:
            return CheckResult("unknown" if error.reason == "other" else "critical", error.text, error.reason)
        except native.DatabaseError as error:
            return self._refused_result(server, error)
        except (native.InterfaceError, OSError, ValueError, LookupError, struct.error) as error:
            if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
                return CheckResult("critical", f"{server} timed out after {self._timeout_s:g} s", "timeout")
            return CheckResult("critical", f"{server} closed the connection or is not PostgreSQL", "protocol")
        figures = {
            "check_latency_ms": 1000 * (time.monotonic() - began), "size_bytes": state.size, **found.metrics,
        }  # fmt: skip
        return evaluate_server_state(server, state)._replace(figures=figures)

    def _start_tls(self, connection: socket.socket, deadline: float) -> socket.socket:
        """Start TLS as PostgreSQL does: on a connection that began without it."""
        if self._tls is None:
            return connection
        server = f"{self._host}:{self._port}"
        connection.settimeout(seconds_left(deadline))
        connection.sendall(SSL_REQUEST)
        answer = connection.recv(1)
        if answer == b"S":
            return wrap_tls(connection, deadline, self._tls, self._host, server)
        if answer != b"N":
            raise NetworkError("protocol", f"{server} is not PostgreSQL")
        if self._must:
            raise NetworkError("tls", f"PostgreSQL at {server} does not support TLS, which sslmode requires")
        return connection

    def _query_state(self, connection: socket.socket, deadline: float) -> ServerState:
        client = native.Connection(
            self._user,
            database=self._database,
            password=self._password,
            sock=DeadlineSocket(connection, deadline),
            ssl_context=False,
            application_name="botwatch",
        )
        try:
            (row,) = client.run(QUERY)
        finally:
            client.close()
        return ServerState(*row)

    def _refused_result(self, server: str, error: Exception) -> CheckResult:
        fields = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        message = str(fields.get("M", error))
        if self._password:
            message = message.replace(self._password, "***")
        return CheckResult(
            "critical", f"{server} answered: {message[:200]}", REASONS.get(fields.get("C", ""), "failed")
        )


def parse_sslmode(mode: str) -> tuple[ssl.SSLContext | None, bool]:
    """Return what `sslmode` means, as libpq reads it: how to use TLS, and whether it must be."""
    if mode == "disable":
        return None, False
    if mode in ("allow", "prefer", "require"):
        return client_context(verify=False), mode == "require"
    if mode in ("verify-ca", "verify-full"):
        return client_context(), True
    raise ValueError("expected a valid `sslmode`, such as require or verify-full")


def evaluate_server_state(server: str, state: ServerState) -> CheckResult:
    """Evaluate what the server reports, the worst first. Pure."""
    used = f"{state.connections} of {state.most_connections} connections used"
    if state.receivers == 0:
        return CheckResult("critical", f"{server} is a replica without a connection to its primary", "failed")
    if state.lag_s is not None and state.lag_s > MAX_LAG_S:
        text = f"{server} is {format_rough(state.lag_s)} behind its primary (limit {format_rough(MAX_LAG_S)})"
        return CheckResult("warning", text, "late")
    if 100 * state.connections >= FULL_PERCENT * state.most_connections:
        return CheckResult(
            "warning", f"{server} is running out of connections: {used} (limit {FULL_PERCENT:g}%)", "too_many"
        )
    role = "replica" if state.replica else "primary"
    return CheckResult("ok", f"{server} is up ({role}): {used}, {format_value(state.size, BYTES)}")

"""Redis and Valkey: whether they answer, and whether they can save, grow and reach their primary."""

import io
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from urllib.parse import SplitResult, unquote

from services.collector.checks.base import CheckResult
from shared.runtime.http.dial import DeadlineSocket, NetworkError, client_context, dial
from shared.schema.durations import format_rough
from shared.schema.formatting import format_value
from shared.schema.records import CheckReason, CheckType
from shared.schema.units import BYTES

FULL_PERCENT = 90.0
MAX_BYTES = 1_048_576
"""No line or text that this probe asks for is longer."""
DENIED = ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED", "ERR AUTH", "ERR invalid password")


class RedisReplyError(Exception):
    """Redis answered with an error."""


class RedisProbe:
    """Says PING and INFO on a new connection."""

    type: CheckType = "database"

    def __init__(self, url: SplitResult, timeout_s: float) -> None:
        self._host = url.hostname or ""
        self._port = url.port or 6379
        self._tls: ssl.SSLContext | None = client_context() if url.scheme == "rediss" else None
        self._user = unquote(url.username or "")
        self._password = unquote(url.password or "")
        self._timeout_s = timeout_s

    def run(self, now: datetime) -> CheckResult:
        """Run once."""
        del now
        began = time.monotonic()
        deadline = began + self._timeout_s
        server = f"Redis at {self._host}:{self._port}"
        try:
            found = dial(self._host, self._port, deadline, self._tls)
            with closing(found.socket):
                information = self._ask(found.socket, deadline)
        except NetworkError as error:
            return CheckResult("unknown" if error.reason == "other" else "critical", error.text, error.reason)
        except RedisReplyError as error:
            reason: CheckReason = "denied" if str(error).startswith(DENIED) else "failed"
            return CheckResult("critical", f"{server} answered: {error}", reason)
        except TimeoutError:
            return CheckResult("critical", f"{server} timed out after {self._timeout_s:g} s", "timeout")
        except (ValueError, OSError):
            return CheckResult("critical", f"{server} closed the connection or is not Redis", "protocol")
        result = evaluate_info(server, information)
        took_ms = 1000 * (time.monotonic() - began)
        return result._replace(figures={"check_latency_ms": took_ms, **found.metrics, **result.figures})

    def _ask(self, connection: socket.socket, deadline: float) -> dict[str, str]:
        stream = DeadlineSocket(connection, deadline).makefile(mode="rwb")
        if self._password:
            user = (self._user,) if self._user else ()
            try:
                execute(stream, "AUTH", *user, self._password)
            except RedisReplyError as error:
                # The server may repeat what it was sent: keep that out of the text.
                raise RedisReplyError(str(error).replace(self._password, "***")) from None
        execute(stream, "PING")
        try:
            return parse_info(execute(stream, "INFO"))
        except RedisReplyError as error:
            if not str(error).startswith("NOPERM"):
                raise
            return {}


def execute(stream: io.BufferedRWPair, *words: str) -> str:
    """Send a command and read its reply."""
    stream.write(encode_command(*words))
    stream.flush()
    return read_reply(stream)


def encode_command(*words: str) -> bytes:
    """Write a command as Redis's protocol wants it."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def read_reply(stream: io.BufferedRWPair) -> str:
    """Read one line or text; RefusedError when it is an error, ValueError when it is neither."""
    line = stream.readline(MAX_BYTES)
    if not line.endswith(b"\r\n"):
        raise ValueError("no line of Redis's protocol")
    kind, rest = line[:1], line[1:-2].decode(errors="replace")
    if kind == b"-":
        raise RedisReplyError(rest[:200])
    if kind == b"+":
        return rest
    length = int(rest) if kind == b"$" else -1
    if not 0 <= length <= MAX_BYTES:
        raise ValueError("no text of Redis's protocol")
    data = stream.read(length + 2)
    if len(data) < length + 2:
        raise ValueError("the text broke off")
    return data[:-2].decode(errors="replace")


def parse_info(text: str) -> dict[str, str]:
    """Read the answer to INFO."""
    pairs = (line.partition(":") for line in text.splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def evaluate_info(server: str, information: Mapping[str, str]) -> CheckResult:
    """Evaluate the reply of INFO. Pure."""
    if not information:
        return CheckResult("ok", f"{server} is up; this user may not run INFO")
    number = {name: int(value) for name, value in information.items() if value.isdecimal()}
    used, most = number.get("used_memory", 0), number.get("maxmemory", 0)
    of_most = format_value(used, BYTES) + (f" of {format_value(most, BYTES)}" if most else "")
    role = "replica" if information.get("role") == "slave" else "primary"
    fine = CheckResult("ok", f"{server} is up ({role}), {of_most} used")
    # With another policy a full cache is as it should be.
    if most and information.get("maxmemory_policy") == "noeviction" and 100 * used >= FULL_PERCENT * most:
        text = f"{server} uses {of_most} of maxmemory (limit {FULL_PERCENT:g}%); writes fail when it is full"
        fine = CheckResult("warning", text, "too_many")
    return next(_problems(server, information, number), fine)._replace(figures={"size_bytes": used})


def _problems(
    server: str, information: Mapping[str, str], number: Mapping[str, int]
) -> Iterator[CheckResult]:
    """Yield what is wrong, the worst first."""
    if information.get("aof_last_write_status") == "err":
        yield CheckResult("critical", f"{server} cannot write its append-only file", "failed")
    if information.get("rdb_last_bgsave_status") == "err":
        yield CheckResult(
            "critical", f"{server} failed to save to disk (last saved: {_format_last_save(number)})", "failed"
        )
    if information.get("role") == "slave" and information.get("master_link_status") != "up":
        down = number.get("master_link_down_since_seconds")
        primary = f"{information.get('master_host')}:{information.get('master_port')}"
        since = f" for {format_rough(down)}" if down is not None else ""
        yield CheckResult(
            "critical", f"{server} is a replica and has lost its primary {primary}{since}", "failed"
        )
    if information.get("aof_last_bgrewrite_status") == "err":
        yield CheckResult("warning", f"{server} failed to rewrite its append-only file", "failed")


def _format_last_save(number: Mapping[str, int]) -> str:
    at = number.get("rdb_last_save_time", 0)
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M %Z}" if at else "never"

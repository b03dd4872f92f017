"""Diagnostics of Redis and, through it, of the running parts."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from shlex import quote
from typing import Any
from urllib.parse import urlsplit

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from services.native.diagnostics.finding import Finding, critical, ok, warning
from services.native.diagnostics.machine import in_mb
from services.native.diagnostics.site import Site
from shared.runtime import clock
from shared.runtime.health import DependencyResult
from shared.runtime.http.dial import client_context
from shared.runtime.redis.connection import connect_redis, describe_redis_error
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence, read_presence
from shared.runtime.redis.record_log import MAX_ENTRIES
from shared.schema import redis_keys
from shared.version import VERSION

CALL_TIMEOUT_S = 2.0
OLDEST_REDIS = (7, 0)
HIGH_USAGE, FULL_USAGE = 0.5, 0.9
"""Fractions of a limit: of the log's entries and of Redis's memory."""
LONG_LAG, VERY_LONG_LAG = 1_000, 100_000
"""Entries of the log that a reader has not read."""
CLOCK_SKEW_S = 1.0
LIMITS = "docs/runbooks/botwatch-log-stuck.md"


def check_redis(site: Site) -> Iterator[Finding]:
    """Check that Redis runs, keeps what it is given, and has room."""
    with closing(_connect(site)) as redis:
        try:
            info: dict[str, Any] = redis.info()
            seconds, micros = redis.time()
            now = clock.now().timestamp()
            entries = redis.xlen(redis_keys.record_stream())
        except RedisError as error:
            yield _unreachable(site, error)
            return
    yield from _version(info)
    yield from _persistence(info)
    yield from _memory(info)
    skew = seconds + micros / 1e6 - now
    if abs(skew) > CLOCK_SKEW_S:
        fix = "sudo timedatectl set-ntp true, on this machine and on that of Redis"
        yield warning(f"Redis's clock differs by {skew:+.1f} s (≤ {CLOCK_SKEW_S:g} s)", fix, round(skew, 3))
    else:
        yield ok(f"Redis's clock differs by {skew:+.3f} s", round(skew, 3))
    yield _usage(f"the log has {entries} entries", entries, entries / MAX_ENTRIES, f"limit {MAX_ENTRIES}")


def _connect(site: Site) -> Redis:
    return connect_redis(site.redis_url, call_timeout_s=CALL_TIMEOUT_S, retries=0)


def _unreachable(site: Site, error: RedisError) -> Finding:
    reason = describe_redis_error(error)
    if site.way == "native" and not site.supervisor and site.is_redis_embedded:
        return warning("Redis is not running: Botwatch is stopped", "start Botwatch")
    is_own = site.way == "native" and not site.is_redis_embedded
    return critical(reason, "redis-cli -u $REDIS_URL ping" if is_own else _log_of(site, "redis"))


def _version(info: dict[str, Any]) -> Iterator[Finding]:
    name = "Valkey" if info.get("server_name") == "valkey" else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if parts < OLDEST_REDIS:
        yield critical(f"{name} {version} is too old (needs 7.0)", f"upgrade {name}", version)
    else:
        yield ok(f"{name} {version}", version)


def _persistence(info: dict[str, Any]) -> Iterator[Finding]:
    if not info.get("aof_enabled"):
        fix = "redis-cli CONFIG SET appendonly yes, and in its configuration file"
        yield critical("Redis has no append-only file: a restart loses accepted records", fix, 0)
    elif info.get("aof_last_write_status") != "ok" or info.get("aof_last_bgrewrite_status") != "ok":
        yield critical("Redis cannot write its append-only file", "df -h; check the disk of Redis")
    else:
        size = int(info.get("aof_current_size", 0))
        yield ok(f"Redis writes its append-only file ({in_mb(size)})", size)
    if late := int(info.get("aof_delayed_fsync", 0)):
        what = f"Redis's disk is slow: {late} syncs took over 2 s since its start, while which requests wait"
        yield warning(what, "iostat -x 1; use a faster disk for Redis, or move what else writes to it", late)


def _memory(info: dict[str, Any]) -> Iterator[Finding]:
    policy, limit, used = (
        info.get("maxmemory_policy"),
        int(info.get("maxmemory", 0)),
        int(info["used_memory"]),
    )
    if policy != "noeviction":
        fix = "redis-cli CONFIG SET maxmemory-policy noeviction"
        yield critical(f"Redis's maxmemory-policy is {policy}: it may delete records", fix, str(policy))
    if not limit:
        fix = "redis-cli CONFIG SET maxmemory 512mb"
        yield warning(f"Redis uses {in_mb(used)} and has no maxmemory: it may fill the memory", fix, used)
    else:
        yield _usage(f"Redis uses {in_mb(used)}", used, used / limit, f"maxmemory {in_mb(limit)}")


def _usage(what: str, value: int, usage: float, limit: str) -> Finding:
    if usage >= FULL_USAGE:
        return critical(f"{what} ({limit})", LIMITS, value)
    return (
        warning(f"{what} ({limit})", LIMITS, value) if usage >= HIGH_USAGE else ok(f"{what} ({limit})", value)
    )


def check_parts(site: Site) -> Iterator[Finding]:
    """Check that every part runs, is healthy, and has the version of this code."""
    with closing(_connect(site)) as redis:
        try:
            found = read_presence(redis, clock.now())
        except RedisError:
            return  # reported by the check of Redis
    for name in sorted(EXPECTED_PARTS | found.keys()):
        part, is_up = found.get(name, (None, False))
        if part and is_up:
            yield _part(site, part)
        elif name in EXPECTED_PARTS:
            yield critical(f"{name} is down", _log_of(site, name))


def _log_of(site: Site, name: str) -> str:
    return (
        f"tail {quote(f'{site.home}/logs/{name}.log')}"
        if site.way == "native"
        else f"docker compose logs --tail 50 {name}"
    )


def _part(site: Site, part: PartPresence) -> Finding:
    try:
        report = _health(part.url, site.api_token) if part.url else None
    except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError) as error:
        return warning(f"{part.part} does not answer at {part.url}/health: {error}", _log_of(site, part.part))
    if report is None:
        return ok(f"{part.part} is up (pid {part.pid})", part.pid)
    if report.version != VERSION:
        what = f"{part.part} runs version {report.version}, the code is {VERSION}"
        return warning(what, "start_monitoring.sh --stop, then start again", report.version)
    failing = [f"{name}: {result.error}" for name, result in report.checks.items() if result.status != "ok"]
    if failing or report.status != "ok":
        what = f"{part.part} is failing: {'; '.join(failing) or report.status}"
        return critical(what, _log_of(site, part.part))
    return ok(f"{part.part} is healthy (version {report.version}, pid {part.pid})", part.pid)


class KnownHealth(msgspec.Struct, frozen=True):
    """What this caller may know of a part's /health: without a token only the status."""

    status: str
    version: str = VERSION
    checks: dict[str, DependencyResult] = {}


def _health(url: str, token: str) -> KnownHealth:
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    connection = http.client.HTTPConnection(host, port, timeout=CALL_TIMEOUT_S)
    if address.scheme == "https":  # on this machine; its certificate is for the public name
        context = client_context(verify=False)
        connection = http.client.HTTPSConnection(host, port, timeout=CALL_TIMEOUT_S, context=context)
    with closing(connection):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("GET", "/health", headers=headers)
        return msgspec.json.decode(connection.getresponse().read(1 << 20), type=KnownHealth)


def check_readers(site: Site) -> Iterator[Finding]:
    """Check how far the readers of the log are behind."""
    with closing(_connect(site)) as redis:
        try:
            groups = redis.xinfo_groups(redis_keys.record_stream())
        except RedisError:
            return  # reported by the check of Redis, or nothing was ever recorded
    for group in groups:
        name, lag, pending = group["name"].decode(errors="replace"), group["lag"] or 0, group["pending"]
        what = f"{name} is {lag} entries behind in the log, {pending} in progress"
        if lag < LONG_LAG:
            yield ok(what, lag)
        elif lag < VERY_LONG_LAG:
            yield warning(f"{what} (< {LONG_LAG})", LIMITS, lag)
        else:
            yield critical(f"{what} (< {VERY_LONG_LAG})", LIMITS, lag)

"""Diagnostics of Redis and of the parts that it knows."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from services.native.diagnostics import redis_server
from services.native.diagnostics.site import Site
from shared.access.authenticator import Authenticator
from shared.runtime import clock, health
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.health import HealthChecks, serve_health
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence
from shared.runtime.settings import PartSettings
from shared.schema import redis_keys
from tests.slow_redis import slow_valkey
from tests.support import free_port, wait_until

OPEN = Authenticator("recorder", is_open=True)


def site(url: str, home: Path) -> Site:
    return Site({"BOTWATCH_HOME": str(home), "REDIS_URL": url})


def test_a_redis_that_may_lose_records(redis: Redis, valkey_url: str, tmp_path: Path) -> None:
    """The tests' Valkey has no append-only file and no maxmemory: each with the command that helps."""
    redis.ping()
    found = {one.what: one for one in redis_server.check_redis(site(valkey_url, tmp_path))}
    [lost] = [one for one in found.values() if one.status == "critical"]
    assert lost.what == "Redis has no append-only file: a restart loses accepted records"
    assert lost.fix.startswith("redis-cli CONFIG SET appendonly yes")
    assert any("has no maxmemory" in what for what in found)
    assert any(what.startswith("Valkey ") for what in found)


def test_a_redis_whose_disk_is_slow(tmp_path: Path) -> None:
    """Syncs of its file that took longer than Redis waits for them are a warning, with their number."""
    with slow_valkey(tmp_path, sync_s=3.0) as (url, _), Redis.from_url(url) as redis:

        def is_late() -> bool:
            redis.incr("written")
            return bool(redis.info()["aof_delayed_fsync"])

        wait_until(is_late, "a sync takes too long")
        found = [one for one in redis_server.check_redis(site(url, tmp_path)) if "disk is slow" in one.what]
    assert [(one.status, one.value) for one in found] == [("warning", 1)]


def test_a_redis_that_is_down(tmp_path: Path) -> None:
    """With Botwatch stopped that is expected; else it is critical."""
    [stopped] = redis_server.check_redis(
        Site({"BOTWATCH_HOME": str(tmp_path), "REDIS_PORT": str(free_port())})
    )
    assert stopped.status == "warning"
    [down] = redis_server.check_redis(site(f"redis://127.0.0.1:{free_port()}/0", tmp_path))
    assert (down.status, down.what) == ("critical", "Redis is unreachable")


def test_parts(redis: Redis, valkey_url: str, tmp_path: Path) -> None:
    """Up, of another version, failing, silent, and missing."""
    checks = HealthChecks("recorder", {})
    server = serve_health(checks, "127.0.0.1", 0, AllowedHosts(PartSettings()), OPEN)
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        now = clock.now()
        for name, address, seen in (
            ("recorder", url, now),
            ("jobs", f"http://127.0.0.1:{free_port()}", now),
            ("watchdog", url, now - timedelta(minutes=1)),
        ):
            part = PartPresence(part=name, host="h", pid=7, started_at=now, seen_at=seen, url=address)
            redis.hset(redis_keys.PARTS, name, msgspec.json.encode(part))
        here = site(valkey_url, tmp_path)
        found = {one.what.split()[0]: one for one in redis_server.check_parts(here)}
        assert found.keys() == EXPECTED_PARTS
        assert found["recorder"].what.startswith("recorder is healthy (version ")
        assert "does not answer" in found["jobs"].what
        assert found["watchdog"].what == "watchdog is down"
        checks.add("database", lambda: 1 / 0)
        assert "recorder is failing: database: ZeroDivisionError" in str(list(redis_server.check_parts(here)))
    finally:
        server.shutdown()
        server.server_close()


def test_a_part_of_another_version(
    redis: Redis, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It still runs the code from before the upgrade."""
    server = serve_health(HealthChecks("recorder", {}), "127.0.0.1", 0, AllowedHosts(PartSettings()), OPEN)
    try:
        now = clock.now()
        url = f"http://127.0.0.1:{server.server_port}"
        part = PartPresence(part="recorder", host="h", pid=7, started_at=now, seen_at=now, url=url)
        redis.hset(redis_keys.PARTS, "recorder", msgspec.json.encode(part))
        monkeypatch.setattr(health, "VERSION", "0.0.9")
        found = [one.what for one in redis_server.check_parts(site(valkey_url, tmp_path))]
        assert any(what.startswith("recorder runs version 0.0.9, the code is ") for what in found)
    finally:
        server.shutdown()
        server.server_close()


def test_readers_behind(redis: Redis, valkey_url: str, tmp_path: Path) -> None:
    """The number of entries that a reader has not read."""
    stream = redis_keys.record_stream()
    redis.xgroup_create(stream, redis_keys.RECORDER_GROUP, "0", mkstream=True)
    here = site(valkey_url, tmp_path)
    assert [one.status for one in redis_server.check_readers(here)] == ["ok"]
    with redis.pipeline() as pipeline:
        for _ in range(redis_server.LONG_LAG):
            pipeline.xadd(stream, {"data": b""})
        pipeline.execute()
    [found] = redis_server.check_readers(here)
    assert (found.status, found.value) == ("warning", redis_server.LONG_LAG)

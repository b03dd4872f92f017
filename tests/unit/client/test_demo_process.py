"""The demo bot as a process, against a real Valkey."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest
from redis import Redis

from botwatch.demo.publisher import ReplayPositionStore
from botwatch.demo.replay import ReplayPosition
from shared.runtime.redis.record_log import StreamEntry
from shared.schema import redis_keys
from shared.schema.decoding import decode
from shared.schema.records import STOPPED, AnyRecord, Heartbeat
from tests.support import free_port, valkey, wait_until

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def start(*arguments: str, redis_url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "botwatch.demo", *arguments],
        env=os.environ | {"REDIS_URL": redis_url},
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, redis_url: str) -> str:
    process = start("--bars-per-second", "1000", "--bot", "mine", *arguments, redis_url=redis_url)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def published(client: Redis) -> list[list[AnyRecord]]:
    """Return the records of each call of `publish`, without the good-byes between them."""
    frames = []
    for _, fields in cast("list[StreamEntry]", client.xrange(redis_keys.BOT_STREAM)):
        decoded = decode(fields[redis_keys.FIELD], arrival=datetime.now(UTC))
        assert decoded.faults == []
        if not any(isinstance(record, Heartbeat) and record.status == STOPPED for record in decoded.records):
            frames.append(decoded.records)
    return frames


def test_the_heartbeat_file_is_touched_only_when_redis_takes_a_batch(valkey_url: str, tmp_path: Path) -> None:
    file = tmp_path / "published"
    arguments = ("--bars", "3", "--no-history", "--heartbeat-file", str(file))
    away = start(*arguments, redis_url=f"redis://127.0.0.1:{free_port()}/0")
    try:
        assert away.stderr
        while "replay paused" not in away.stderr.readline():
            assert away.poll() is None
        assert not file.exists()
    finally:
        away.kill()
        away.communicate(timeout=10)
    run(*arguments, redis_url=valkey_url)
    assert file.exists()


def test_it_publishes_as_many_bars_as_asked_for(redis: Redis, valkey_url: str) -> None:
    run("--bars", "60", "--no-history", redis_url=valkey_url)
    frames = published(redis)
    assert len(frames) == 60
    records = [record for frame in frames for record in frame]
    kinds = Counter(record.kind for record in records)
    assert kinds["equity"] == 60
    assert kinds["fill"] >= 1
    assert kinds["event"] == kinds["heartbeat"] == 1
    assert "performance" not in kinds
    assert {record.subject for record in records} == {"mine"}


def test_the_history_comes_first_and_all_of_it_is_of_the_past(redis: Redis, valkey_url: str) -> None:
    begun = datetime.now(UTC)
    run("--bars", "2510", redis_url=valkey_url)
    frames = published(redis)
    assert len(frames) == 2500 / 50 + 10
    moments = [record.at for frame in frames for record in frame]
    assert all(before <= after for before, after in pairwise(moments))
    assert moments[0] < begun - timedelta(days=140)
    history_ended, live = frames[49][-1].at, frames[50][0].at
    assert begun - timedelta(seconds=1) < history_ended <= live <= moments[-1] <= datetime.now(UTC)


def test_stopped_and_started_again_it_goes_on_where_it_was(redis: Redis, valkey_url: str) -> None:
    said = run("--bars", "2520", redis_url=valkey_url)
    assert "starting at bar 0" in said
    assert "starting at bar 2520" in run("--bars", "30", redis_url=valkey_url)
    steps = [
        str(record.id).split("-")[1]
        for frame in published(redis)
        for record in frame
        if record.kind == "equity"
    ]
    assert [int(step) for step in steps] == list(range(2550))
    assert redis.ttl("demo:mine:place") == -1


def test_what_was_published_and_not_noted_comes_again_with_the_ids_it_had(
    redis: Redis, valkey_url: str
) -> None:
    run("--bars", "100", "--no-history", redis_url=valkey_url)
    kept = redis.get("demo:mine:place")
    run("--bars", "40", redis_url=valkey_url)
    redis.set("demo:mine:place", kept or b"")
    run("--bars", "40", redis_url=valkey_url)
    first, second = (
        [record.id for frame in published(redis)[part] for record in frame if record.kind != "heartbeat"]
        for part in (slice(100, 140), slice(140, 180))
    )
    assert first == second


@pytest.mark.parametrize("kept", [None, b"{", b'{"session": "s"}'])
def test_where_no_place_is_kept_a_new_session_begins(
    kept: bytes | None, redis: Redis, valkey_url: str
) -> None:
    if kept:
        redis.set("demo:mine:place", kept)
    with ReplayPositionStore(valkey_url, "mine") as bookmark:
        assert bookmark.read() is None
        place = ReplayPosition(session="s", history=9, began=NOON, at=NOON, step=3)
        bookmark.write(place)
        assert bookmark.read() == place


def test_what_is_live_keeps_its_pace_and_sigterm_ends_it_at_once(redis: Redis, valkey_url: str) -> None:
    process = start("--bars-per-second", "0.01", redis_url=valkey_url)
    wait_until(lambda: redis.xlen(redis_keys.BOT_STREAM) > 50, "the first live bar")
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=10)
    assert process.returncode == 0
    assert time.monotonic() - begun < 2
    assert "SIGTERM received" in said
    assert redis.xlen(redis_keys.BOT_STREAM) == 52  # the last is the good-bye


def test_killed_at_any_time_it_leaves_no_gap(redis: Redis, valkey_url: str) -> None:
    for reached in (10, 60, 90):
        process = start("--bars-per-second", "200", "--bot", "mine", redis_url=valkey_url)
        wait_until(lambda: redis.xlen(redis_keys.BOT_STREAM) >= reached, "some bars", every_s=0.002)  # noqa: B023
        process.kill()
        process.communicate(timeout=10)
    ids = [str(r.id).split("-") for frame in published(redis) for r in frame if r.kind == "equity"]
    assert len({name for name, _, _ in ids}) == 1
    steps = [int(step) for _, step, _ in ids]
    assert sorted(set(steps)) == list(range(steps[-1] + 1))


def test_without_redis_it_waits_and_says_so_once(tmp_path: Path) -> None:
    port = free_port()
    process = start(
        "--bars", "3", "--bars-per-second", "100", "--no-history", redis_url=f"redis://127.0.0.1:{port}/0"
    )
    assert process.stderr
    assert "replaying 5000 EURUSD bars" in process.stderr.readline()
    assert "replay paused" in process.stderr.readline()
    with valkey(tmp_path, port) as url, Redis.from_url(url) as client:
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0
        assert client.xlen(redis_keys.BOT_STREAM) == 4  # the last is the good-bye
    assert "Redis is up" in said
    assert "paused" not in said

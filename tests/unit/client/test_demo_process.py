"""The demo bot as a process, against a real Valkey."""

import os
import signal
import subprocess
import sys
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

pytestmark = pytest.mark.slow  # starts processes

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
    """Return the records of each call of `publish`, without the last heartbeats between them."""
    frames = []
    for _, fields in cast("list[StreamEntry]", client.xrange(redis_keys.BOT_STREAM)):
        decoded = decode(fields[redis_keys.FIELD], arrival=datetime.now(UTC))
        assert decoded.faults == []
        if not any(isinstance(record, Heartbeat) and record.status == STOPPED for record in decoded.records):
            frames.append(decoded.records)
    return frames


def test_the_heartbeat_file_is_touched_when_redis_accepts(valkey_url: str, tmp_path: Path) -> None:
    """While Redis is down it is not: the container is unhealthy then."""
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


def test_the_number_of_bars_is_limited(redis: Redis, valkey_url: str) -> None:
    """With `--bars`, and raw events only."""
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


def test_the_history_comes_first(redis: Redis, valkey_url: str) -> None:
    """All its records have times in the past."""
    begun = datetime.now(UTC)
    run("--bars", "2510", redis_url=valkey_url)
    frames = published(redis)
    assert len(frames) == 2500 / 50 + 10
    moments = [record.at for frame in frames for record in frame]
    assert all(before <= after for before, after in pairwise(moments))
    assert moments[0] < begun - timedelta(days=140)
    history_ended, live = frames[49][-1].at, frames[50][0].at
    assert begun - timedelta(seconds=1) < history_ended <= live <= moments[-1] <= datetime.now(UTC)


def test_a_restart_continues_at_the_saved_position(redis: Redis, valkey_url: str) -> None:
    """No bar is left out and none is published twice."""
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


def test_records_published_again_have_the_same_ids(redis: Redis, valkey_url: str) -> None:
    """After a crash between publishing and saving the position."""
    run("--bars", "100", "--no-history", redis_url=valkey_url)
    saved = redis.get("demo:mine:place")
    run("--bars", "40", redis_url=valkey_url)
    redis.set("demo:mine:place", saved or b"")
    run("--bars", "40", redis_url=valkey_url)
    first, second = (
        [record.id for frame in published(redis)[part] for record in frame if record.kind != "heartbeat"]
        for part in (slice(100, 140), slice(140, 180))
    )
    assert first == second


@pytest.mark.parametrize("saved", [None, b"{", b'{"session": "s"}'])
def test_without_a_saved_position_a_new_session_starts(
    saved: bytes | None, redis: Redis, valkey_url: str
) -> None:
    """Also if the saved position is unreadable."""
    if saved:
        redis.set("demo:mine:place", saved)
    with ReplayPositionStore(valkey_url, "mine") as store:
        assert store.read() is None
        position = ReplayPosition(session="s", history=9, began=NOON, at=NOON, step=3)
        store.write(position)
        assert store.read() == position


def test_live_bars_keep_their_pace_and_sigterm_stops(redis: Redis, valkey_url: str) -> None:
    """It does not wait for the next bar, which is 100 seconds away."""
    process = start("--bars-per-second", "0.01", redis_url=valkey_url)
    wait_until(lambda: redis.xlen(redis_keys.BOT_STREAM) > 50, "the first live bar")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "SIGTERM received" in said
    assert redis.xlen(redis_keys.BOT_STREAM) == 52  # the last is the heartbeat of the end


def test_a_kill_leaves_no_gap(redis: Redis, valkey_url: str) -> None:
    """Every bar is published at least once."""
    for reached in (10, 60, 90):
        process = start("--bars-per-second", "200", "--bot", "mine", redis_url=valkey_url)
        wait_until(lambda: redis.xlen(redis_keys.BOT_STREAM) >= reached, "some bars", every_s=0.002)  # noqa: B023
        process.kill()
        process.communicate(timeout=10)
    ids = [str(r.id).split("-") for frame in published(redis) for r in frame if r.kind == "equity"]
    assert len({name for name, _, _ in ids}) == 1
    steps = [int(step) for _, step, _ in ids]
    assert sorted(set(steps)) == list(range(steps[-1] + 1))


def test_a_rejected_login_is_one_line(tmp_path: Path) -> None:
    """It ends with exit code 1 instead of waiting; the reason is Redis's."""
    with valkey(tmp_path, None, "--requirepass", "secret") as url:
        process = start("--bars", "1", redis_url=url)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith("botwatch.demo: Redis rejected the user or password of the URL: ")
    assert "Traceback" not in said


def test_the_replay_waits_while_redis_is_down(tmp_path: Path) -> None:
    """It logs that once, and again when Redis is up."""
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
        assert client.xlen(redis_keys.BOT_STREAM) == 4  # the last is the heartbeat of the end
    assert "Redis is up" in said
    assert "paused" not in said

"""The demo bot as a process, against a real Valkey."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis

from shared.schema import streams
from shared.schema.decoding import decode
from tests.support import eventually, free_port, valkey


def start(*arguments: str, redis_url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "botwatch.demo", *arguments],
        env=os.environ | {"REDIS_URL": redis_url},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_publishes_as_many_bars_as_asked_for(tmp_path: Path) -> None:
    with valkey(tmp_path) as url, Redis.from_url(url, protocol=2) as client:
        process = start("--bars", "60", "--bars-per-second", "1000", "--bot", "mine", redis_url=url)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        kinds: Counter[str] = Counter()
        for _, fields in client.xrange(streams.BOT_STREAM):
            decoded = decode(fields[streams.FIELD], arrival=datetime.now(UTC))
            assert decoded.faults == []
            kinds.update(record.kind for record in decoded.records)
            assert {record.subject for record in decoded.records} == {"mine"}
        assert kinds["equity"] == kinds["performance"] == 60
        assert kinds["fill"] >= 1
        assert kinds["event"] == kinds["heartbeat"] == 1


def test_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    with valkey(tmp_path) as url, Redis.from_url(url) as client:
        process = start("--bars-per-second", "0.01", redis_url=url)
        eventually(lambda: client.xlen(streams.BOT_STREAM), "the first bar")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert process.returncode == 0
        assert time.monotonic() - begun < 2
        assert "stopping on SIGTERM" in said


def test_without_redis_it_waits_and_says_so_once(tmp_path: Path) -> None:
    port = free_port()
    process = start("--bars", "3", "--bars-per-second", "100", redis_url=f"redis://127.0.0.1:{port}/0")
    assert process.stderr
    assert "replaying 5000 EURUSD bars" in process.stderr.readline()
    assert "the replay waits" in process.stderr.readline()
    with valkey(tmp_path, port) as url, Redis.from_url(url) as client:
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0
        assert client.xlen(streams.BOT_STREAM) == 3
    assert "Redis is back" in said
    assert "waits" not in said

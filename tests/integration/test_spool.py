"""A collector on another machine, without Redis: what it sees reaches the tables once, whatever is away."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.collector.forwarding.spool import SEGMENT_RECORDS, Spool
from shared.schema.records import Health
from tests.integration.stack import BotwatchProcess, botwatch_up
from tests.support import free_port, wait_until

pytestmark = pytest.mark.integration

TOKEN = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    document = {"monitoring": {"intervalSeconds": 1}, "alerts": {"enabled": False}}
    (folder / "health_monitor.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def stack(config: Path, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BotwatchProcess]:
    """Yield a Botwatch whose door demands a token; it starts once a test asks for it."""
    folder = tmp_path_factory.mktemp("spool")
    with botwatch_up(folder, config, INGESTION_PORT=str(port), COLLECTOR_TOKEN=TOKEN) as running:
        yield running


class Remote:
    """A collector elsewhere: it has a home of its own, and no Redis."""

    def __init__(self, home: Path, config: Path, port: int, host: str = "remote") -> None:
        self.host = host
        self.home = home
        self.spool = home / "spool" / "collector"
        self._config = config
        self._port = port
        self._output = home / "output.txt"
        home.mkdir()

    @contextmanager
    def running(self, token: str = TOKEN) -> Iterator[subprocess.Popen[bytes]]:
        """Run it until the block ends."""
        environ = os.environ | {
            "BOTWATCH_HOME": str(self.home),
            "BOTWATCH_CONFIG": str(self._config),
            "HOST_NAME": self.host,
            "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
            "COLLECTOR_URL": f"http://127.0.0.1:{self._port}",
            "COLLECTOR_TOKEN": token,
        }
        with self._output.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "services.collector"], env=environ, stdout=output, stderr=output
            )
            try:
                yield process
            finally:
                process.kill()
                process.wait(timeout=10)

    def said(self) -> str:
        """Return its log."""
        return self._output.read_text()

    def waiting(self) -> int:
        """Count the records on disk."""
        return sum(path.read_bytes().count(b"\n") for path in self.spool.glob("*.ndjson"))


def rows(stack: BotwatchProcess, host: str) -> list[str]:
    """Return the moments of a host's samples in the order in which they were written."""
    sql = "SELECT timestamp FROM health_metrics WHERE host = ? ORDER BY id"
    return [timestamp for (timestamp,) in stack.rows("system_health.db", sql, host)]


def test_spooled_samples_survive_a_kill_and_arrive_in_order(
    tmp_path: Path, config: Path, port: int, request: pytest.FixtureRequest
) -> None:
    remote = Remote(tmp_path / "remote", config, port)
    with remote.running() as process:
        wait_until(lambda: remote.waiting() >= 3, "samples wait on disk")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
    (segment,) = remote.spool.glob("*.ndjson")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-30])
    before = whole.count(b"\n") - 1
    stack = request.getfixturevalue("stack")
    with remote.running(token="wrong-" + TOKEN):
        wait_until(
            lambda: "set COLLECTOR_TOKEN to that of the receiving Botwatch" in remote.said(), "it says why"
        )
        wait_until(lambda: remote.waiting() > before, "samples wait behind the others")
        assert rows(stack, "remote") == []
    with remote.running() as process:
        wait_until(lambda: len(rows(stack, "remote")) > before + 3, "all samples are in the table")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    found = rows(stack, "remote")
    assert found == sorted(set(found))
    assert remote.waiting() == 0
    assert TOKEN not in remote.said()
    assert "redis" not in remote.said().lower()


def test_a_kill_while_sending_stores_each_sample_once(
    stack: BotwatchProcess, tmp_path: Path, config: Path, port: int
) -> None:
    remote = Remote(tmp_path / "remote", config, port, "killed")
    begin = datetime.now(UTC) - timedelta(days=1)
    count = 4 * SEGMENT_RECORDS
    Spool(remote.spool).append(
        [
            Health(timestamp=begin + timedelta(seconds=one), id=str(one), host="killed", cpu_usage=99.0)
            for one in range(count)
        ]
    )
    first = remote.spool / "0000000000000001.ndjson"
    sent = first.read_bytes()
    with remote.running():
        wait_until(lambda: not first.exists(), "a batch was sent")
    # As if the kill had come between the door's answer and the removal.
    first.write_bytes(sent)
    with remote.running():
        wait_until(lambda: len(rows(stack, "killed")) > count, "a new sample is in the table")
    found = rows(stack, "killed")
    assert found == sorted(set(found))
    assert len([moment for moment in found if moment < str(datetime.now(UTC) - timedelta(hours=1))]) == count
    # A day old is history: nobody is told of it.
    assert stack.alerts("killed") == []

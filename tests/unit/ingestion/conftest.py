"""Fixtures: the HTTP endpoint as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.support import free_port, wait_until
from tests.unit.ingestion.http_requests import KEY, status


@pytest.fixture
def served(redis: Redis, valkey_url: str, tmp_path: Path) -> Iterator[int]:
    """Run the HTTP endpoint like a user, with two workers, and yield its port."""
    assert redis.ping()
    document = {"monitoring": {"heartbeats": {KEY: {"name": "backup", "period": "1h"}}}}
    (tmp_path / "health_monitor.json").write_text(json.dumps(document))
    port = free_port()
    own = {
        "REDIS_URL": valkey_url, "BOTWATCH_CONFIG": str(tmp_path), "INGESTION_PORT": str(port),
        "WEB_WORKERS": "2", "BOTWATCH_HOME": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "-m", "services.ingestion", "http"]
    with (tmp_path / "output.txt").open("w") as output:
        server = subprocess.Popen(command, env={**os.environ, **own}, stdout=output, stderr=output)
        try:
            wait_until(lambda: status(port, "GET", "/health") == 200, "the endpoint is up")
            yield port
        finally:
            server.terminate()
            server.wait(timeout=10)
    assert KEY not in (tmp_path / "output.txt").read_text()

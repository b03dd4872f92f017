"""Fixtures: the HTTP endpoint as a process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support import free_port, wait_until
from tests.unit.ingestion.http_requests import KEY, status


@pytest.fixture(scope="module")
def served(valkey_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run the HTTP endpoint like a user, with two workers, and yield its port."""
    folder = tmp_path_factory.mktemp("endpoint")
    document = {"monitoring": {"heartbeats": {KEY: {"name": "backup", "period": "1h"}}}}
    (folder / "health_monitor.json").write_text(json.dumps(document))
    port = free_port()
    own = {
        "REDIS_URL": valkey_url, "BOTWATCH_CONFIG": str(folder), "INGESTION_PORT": str(port),
        "WEB_WORKERS": "2", "BOTWATCH_HOME": str(folder),
    }  # fmt: skip
    command = [sys.executable, "-m", "services.ingestion", "http"]
    with (folder / "output.txt").open("w") as output:
        server = subprocess.Popen(command, env={**os.environ, **own}, stdout=output, stderr=output)
        try:
            wait_until(lambda: status(port, "GET", "/health") == 200, "the endpoint is up")
            yield port
        finally:
            server.terminate()
            server.wait(timeout=10)
    assert KEY not in (folder / "output.txt").read_text()

"""Fixtures of the client's tests."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.fake_server import CannedResponse, FakeServer


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """Serve for one test."""
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def spool_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep records that wait out of the user's home."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("BOTWATCH_SPOOL", str(folder))
    return folder


ANSWERS: dict[str, Any] = json.loads(Path(__file__).with_name("api_answers.json").read_text(encoding="utf-8"))
"""Answers of a real dashboard by request; a contract test validates them against the OpenAPI document."""


@pytest.fixture
def fake_dashboard(fake_server: FakeServer) -> FakeServer:
    """Serve the answers of a real dashboard for one test."""
    fake_server.routes = {request: CannedResponse(200, body) for request, body in ANSWERS.items()}
    fake_server.answers = [CannedResponse(404, {"error": "not in the test's answers"})]
    return fake_server

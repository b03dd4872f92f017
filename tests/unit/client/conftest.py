"""Fixtures of the client's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.client.fake_server import FakeServer


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

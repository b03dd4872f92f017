"""Fixtures of the client's tests."""

from collections.abc import Iterator

import pytest

from tests.unit.client.fake_server import FakeServer


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    """Serve for one test."""
    server = FakeServer()
    yield server
    server.close()

"""Fixtures of the client's tests."""

from collections.abc import Iterator

import pytest

from tests.unit.client.stand_in import StandIn


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    """Serve for one test."""
    server = StandIn()
    yield server
    server.close()

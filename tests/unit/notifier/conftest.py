"""A database and receivers for the notifier's tests."""

from collections.abc import Iterator

import pytest

from shared.store.database import Database
from tests.unit.notifier.receivers import Receiver


@pytest.fixture
def database(health: Database) -> Database:
    """Return an empty health database: the notifier has no other."""
    return health


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Start a webhook receiver."""
    receiver = Receiver()
    yield receiver
    receiver.close()

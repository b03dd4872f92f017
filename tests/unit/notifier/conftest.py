"""A database and receivers for the notifier's tests."""

from collections.abc import Iterator

import pytest

from shared.store.database import Database
from tests.unit.notifier.fake_receivers import WebhookReceiver


@pytest.fixture
def database(health: Database) -> Database:
    """Return an empty health database: the notifier has no other."""
    return health


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """Start a webhook receiver."""
    receiver = WebhookReceiver()
    yield receiver
    receiver.close()

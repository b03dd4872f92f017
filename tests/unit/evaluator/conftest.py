"""Fixtures of the evaluator's tests."""

from typing import Any

import pytest
from redis import Redis

from services.evaluator.muting import policy_of
from shared.store.database import Database
from tests.unit.evaluator.desk import Begin, Desk, documents


@pytest.fixture
def begin(redis: Redis, health: Database) -> Begin:
    def make(**notifications: Any) -> Desk:
        return Desk(redis, health, policy_of(documents(**notifications)))

    return make

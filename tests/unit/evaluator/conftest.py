"""Fixtures of the evaluator's tests."""

from typing import Any

import pytest
from redis import Redis

from shared.runtime.config.mute_config import parse_mute_config
from shared.store.database import Database
from tests.unit.evaluator.evaluator_harness import EvaluatorHarness, StartEvaluator, documents


@pytest.fixture
def begin(redis: Redis, health: Database, monkeypatch: pytest.MonkeyPatch) -> StartEvaluator:
    """Return what starts an evaluator that hardly waits for entries."""
    monkeypatch.setattr("services.evaluator.evaluator.BLOCK_MS", 10)

    def make(**notifications: Any) -> EvaluatorHarness:
        return EvaluatorHarness(redis, health, parse_mute_config(documents(**notifications)))

    return make

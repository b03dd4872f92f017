"""Reading the documents again while the notifier runs, whatever comes in between."""

import threading
from collections.abc import Callable

import msgspec
import pytest
from redis import Redis
from sqlalchemy.exc import OperationalError

from services.notifier.notifier import Reloader
from shared.runtime.redis.reload_requests import (
    ReloadRequests,
    ReloadResult,
    request_reload,
    wait_for_results,
)
from shared.runtime.redis.wake import wait_for_wake
from shared.schema import redis_keys
from shared.schema.faults import Fault, InvalidError

pytestmark = pytest.mark.integration


@pytest.fixture
def outcomes() -> list[Exception]:
    """List what goes wrong the next times."""
    return []


@pytest.fixture
def reload(redis: Redis, outcomes: list[Exception]) -> Callable[[], ReloadResult]:
    """Return what asks for a reload and returns the answer; seven channels are served where it works."""

    def load() -> int:
        if outcomes:
            raise outcomes.pop(0)
        return 7

    redis.hset(redis_keys.RELOADED, "evaluator", msgspec.json.encode(ReloadResult(request=99, holds={})))
    requests = ReloadRequests(redis, threading.Event(), "notifier")
    reloader = Reloader(requests, load, 3)

    def answered() -> ReloadResult:
        request = request_reload(redis)
        assert wait_for_wake(redis)
        reloader.step(is_woken=True)
        return wait_for_results(redis, request, 4)["notifier"]

    return answered


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InvalidError([Fault("channels.desk", "expected a URL")]), "channels.desk: expected a URL"),
        (
            PermissionError(13, "Permission denied"),
            "notifier: cannot reload the documents (PermissionError)",
        ),
        (
            OperationalError("UPDATE", {}, Exception("database is locked")),
            "notifier: cannot reload the documents (OperationalError)",
        ),
    ],
)
def test_failed_reload(
    reload: Callable[[], ReloadResult], outcomes: list[Exception], error: Exception, said: str
) -> None:
    """A failed reload is answered with its reason, and the next request works."""
    outcomes.append(error)
    refused = reload()
    assert refused.holds == {"channels": 3}
    assert [str(fault) for fault in refused.faults] == [said]
    assert reload().holds == {"channels": 7}

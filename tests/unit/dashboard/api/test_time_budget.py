"""An answer that takes too long is given up, with what took the time."""

import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.api.overview import TimeBudget, TimeBudgetExceededError
from shared.runtime.redis.record_log import RecordLog
from shared.schema.records import Equity
from tests.unit.dashboard.sample_data import NOON, body


def test_names_the_slowest_step() -> None:
    """Pieces of a step add up, and the limit is that of the whole."""
    moments = iter([0.0, 1.0, 5.0, 9.0, 10.5])
    deadline = TimeBudget(lambda: next(moments))
    deadline.record_step("a")
    deadline.record_step("b")
    deadline.record_step("b")
    reason = r"request took 10\.5 s \(limit 10 s\): b took 8\.0 s"
    with pytest.raises(TimeBudgetExceededError, match=reason):
        deadline.record_step("a")


def test_slow_answer(client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard answers 503 with the reason and what to do, and answers without trends as before."""
    RecordLog(redis).append([Equity(bot="a", timestamp=NOON, equity=1)], "test")
    seconds = iter([0.0, 1.0, 2.0, 3.0])
    slow = TimeBudget(lambda: next(seconds, 12.0))
    monkeypatch.setattr("services.dashboard.api.overview.TimeBudget", lambda _: slow)
    answer = client.get("/api/monitoring")
    assert answer.status_code == 503
    assert body(answer)["error"] == (
        "request took 12.0 s (limit 10 s): the trends took 9.0 s; "
        "request fewer bots (limit) or no trends (trends=false)"
    )
    monkeypatch.undo()
    assert client.get("/api/monitoring?trends=false").status_code == 200

"""The evaluator with clocks that step, batches that span hours, and rules edited meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from services.evaluator.evaluator import STEP_EVERY_S, Evaluator
from shared.rules.rule import Rule
from shared.runtime.config.documents import Documents, HealthMonitor, PerformanceLogger
from shared.runtime.config.notifications import Notifications
from shared.runtime.redis.record_log import RecordLog
from shared.schema import redis_keys
from shared.schema.alerts import Alert
from shared.schema.records import encode_frame
from shared.schema.timestamps import from_epoch_ms
from shared.store import alerts as store
from shared.store.database import Database
from tests.support import RecordedWaits
from tests.unit.rules.rule_playback import at, records, rule

Start = Callable[..., "Clocked"]


class Clocked(Evaluator):
    """An evaluator whose clock the test sets, and that does not wait."""

    time = 0

    def _block_ms(self, _due: int | None, _now: int) -> int:
        return 0


@pytest.fixture
def start(redis: Redis, health: Database) -> Start:
    def begin(*rules: Rule, now: float = 0) -> Clocked:
        Clocked.time = at(now)
        evaluator = Clocked(
            RecordLog(redis), health, rules, "http://page", threading.Event(), lambda: Clocked.time
        )
        evaluator.start()
        return evaluator

    return begin


def write(redis: Redis, seconds: float, value: float, entry: str = "", ahead_s: int = 0) -> None:
    fields: dict[Any, Any] = {redis_keys.FIELD: encode_frame(records(seconds - ahead_s, value))}
    if ahead_s:
        fields[redis_keys.AHEAD] = str(ahead_s * 1000)
    redis.xadd(redis_keys.record_stream(), fields, id=entry or f"{at(seconds)}-0")


def go_to(evaluator: Clocked, seconds: float, steps: int = 4) -> None:
    Clocked.time = at(seconds)
    for _ in range(steps):
        evaluator.step()


def every(health: Database) -> list[Alert]:
    with health.read() as connection:
        found = store.list_alerts(connection, limit=100)
    return sorted(found, key=lambda alert: alert.timestamp)


def test_entries_after_the_clock_was_set_back_are_evaluated(
    redis: Redis, health: Database, start: Start
) -> None:
    evaluator = start(rule(**{"for": "5s"}))
    write(redis, 0, 20)
    go_to(evaluator, 10)
    assert [alert.status for alert in every(health)] == ["ACTIVE"]
    with pytest.raises(ResponseError, match="equal or smaller"):
        write(redis, 6, 5)
    write(redis, 6, 5, f"{at(10)}-1")  # as Redis itself numbers entries then
    go_to(evaluator, 6)
    assert [alert.status for alert in every(health)] == ["RESOLVED"]


def test_a_clock_that_was_set_back_by_hours_delays_no_alert(
    redis: Redis, health: Database, start: Start
) -> None:
    """Records are not taken for history, `for` passes, and the alert has the machine's time."""
    hours = 4 * 3600
    evaluator = start(rule(**{"for": "5s"}))
    write(redis, 0, 5)
    go_to(evaluator, 1)
    for second in (10, 16):
        write(redis, second, 20, ahead_s=hours)
        go_to(evaluator, second)
    (alert,) = every(health)
    assert (alert.status, alert.timestamp) == ("ACTIVE", from_epoch_ms(at(15 - hours)))
    go_to(evaluator, 17)
    assert every(health)[0].status == "ACTIVE"


def test_a_clock_that_was_set_back_by_hours_hides_no_absence(
    redis: Redis, health: Database, start: Start
) -> None:
    """A bot that falls silent then is noticed after its period, at the machine's time."""
    hours = 4 * 3600
    evaluator = start(rule(kind="absence", period="30s"))
    write(redis, 0, 5)
    go_to(evaluator, 1)
    write(redis, 10, 5, ahead_s=hours)
    for second in range(10, 60, 5):
        go_to(evaluator, second)
    (alert,) = every(health)
    assert alert.status == "ACTIVE"
    assert from_epoch_ms(at(40 - hours)) <= alert.timestamp <= from_epoch_ms(at(41 - hours))


def test_nothing_is_passed_by_when_the_log_is_further_already(redis: Redis) -> None:
    write(redis, 10, 1)
    RecordLog(redis).skip_past(at(5))
    write(redis, 10, 1, f"{at(10)}-1")
    RecordLog(redis).skip_past(at(20))
    assert RecordLog(redis).last_id() == f"{at(20) + 1}-0"


@pytest.mark.parametrize(("again", "flaps"), [(299, [1]), (302, [0, 0])])
def test_in_one_batch_an_alert_opens_again_only_soon_after_its_end(
    redis: Redis, health: Database, start: Start, again: float, flaps: list[int]
) -> None:
    evaluator = start(rule())
    for second, value in ((0, 20), (1, 5), (again, 20)):
        write(redis, second, value)
    go_to(evaluator, again)
    assert [alert.details.flaps for alert in every(health)] == flaps


@pytest.mark.parametrize(
    ("after", "comment"),
    [
        ([], "its rule was removed"),
        ([rule(metricName="y")], "its rule was changed"),
        ([rule(bots=["b"])], "its rule was changed"),
    ],
)
def test_an_alert_without_a_rule_is_resolved_with_the_reason(
    redis: Redis, health: Database, start: Start, after: list[Rule], comment: str
) -> None:
    for reloads in (False, True):
        redis.flushall()
        evaluator = start(rule(), now=reloads)
        write(redis, reloads * 1000, 20)
        go_to(evaluator, reloads * 1000 + 1)
        if reloads:
            evaluator.reload(after, evaluator.alerts.mute_config)
        else:
            start(*after, now=2)
        alert = every(health)[-1]
        assert (alert.status, alert.comment) == ("RESOLVED", comment)


def test_an_alert_ends_with_the_new_limit_though_its_bot_is_dead(
    redis: Redis, health: Database, start: Start
) -> None:
    first = start(rule())
    write(redis, 0, 20)
    go_to(first, 1)
    first.save()
    second = start(rule(threshold=30), now=2)
    go_to(second, 3)
    assert [alert.status for alert in every(health)] == ["RESOLVED"]


def test_a_reload_keeps_what_was_not_stored_yet(redis: Redis, health: Database, start: Start) -> None:
    evaluator = start(rule(**{"for": "60s"}))
    write(redis, 0, 20)
    go_to(evaluator, 1)
    evaluator.reload([rule(**{"for": "60s"})], evaluator.alerts.mute_config)
    evaluator.save()
    evaluator = start(rule(**{"for": "60s"}), now=2)
    for seconds in range(11, 62, 10):
        go_to(evaluator, seconds)
    assert [alert.status for alert in every(health)] == ["ACTIVE"]


def documents() -> Documents:
    return Documents(PerformanceLogger(), HealthMonitor(), Notifications())


GONE = rule(kind="absence", period="40s")


def test_a_suspended_machine(redis: Redis, health: Database, start: Start) -> None:
    """Suspended for a minute, no absence opens; a bot that stays silent is missed after its limit."""
    evaluator = start(GONE)
    write(redis, 0, 1)
    go_to(evaluator, 1)
    go_to(evaluator, 61)
    assert every(health) == []
    for seconds in range(66, 102, 5):
        go_to(evaluator, seconds)
    assert every(health) == []
    go_to(evaluator, 102)
    assert [alert.status for alert in every(health)] == ["ACTIVE"]


def test_all_of_botwatch_was_down(redis: Redis, health: Database, start: Start) -> None:
    """After ten minutes without an entry of anything, no bot counts as absent for these ten minutes."""
    first = start(GONE)
    write(redis, 0, 1)
    go_to(first, 1)
    first.save()
    second = start(GONE, now=600)
    write(redis, 601, 1)
    go_to(second, 602)
    assert every(health) == []


def test_the_evaluator_alone_was_down(redis: Redis, health: Database, start: Start) -> None:
    """While others write to the log, a bot that fell silent is found though the evaluator was not there."""
    first = start(GONE)
    write(redis, 0, 1)
    go_to(first, 1)
    first.save()
    for seconds in range(5, 600, 5):
        redis.xadd(redis_keys.record_stream(), {redis_keys.FIELD: encode_frame([])}, id=f"{at(seconds)}-0")
    go_to(start(GONE, now=600), 601)
    (alert,) = every(health)
    assert (alert.status, alert.timestamp) == ("ACTIVE", from_epoch_ms(at(40.001)))


def test_entries_that_follow_closely_gather(
    redis: Redis, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step right after one with entries waits first; one after a pause reads at once."""
    now, stopping = [100.0], RecordedWaits()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    evaluator = Clocked(RecordLog(redis), health, [rule()], "http://page", stopping, lambda: Clocked.time)
    evaluator.start()
    write(redis, 1, 5)
    evaluator.step()
    assert stopping.waits == []
    evaluator.step()
    assert stopping.waits == [pytest.approx(STEP_EVERY_S)]
    now[0] += 1
    evaluator.step()
    assert len(stopping.waits) == 1

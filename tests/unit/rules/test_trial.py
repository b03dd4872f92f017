"""Trial of a rule on stored records: the alerts that the evaluator gave on the same records."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import msgspec
import pytest
from redis import Redis

from services.evaluator.evaluator import Evaluator
from shared.rules.loader import rule_from_condition
from shared.rules.rule import Rule
from shared.rules.trial import RecordQuery, TrialResult
from shared.runtime.config.documents import (
    AlertingSection,
    Documents,
    HealthMonitor,
    MonitoringSection,
    PerformanceLogger,
)
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.notifications import Notifications
from shared.runtime.config.rules import load_rules
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.rule_trial import TrialSources, try_rule
from shared.schema import redis_keys
from shared.schema.conditions import Condition
from shared.schema.records import (
    RETIRED,
    STOPPED,
    AnyRecord,
    Check,
    CheckStatus,
    Equity,
    Health,
    Heartbeat,
    HostRecord,
    Metric,
    Performance,
    encode_frame,
)
from shared.schema.silences import Matcher, SilenceRequest
from shared.schema.thresholds import Threshold, Thresholds
from shared.schema.timestamps import from_epoch_ms
from shared.store import alerts as alert_store
from shared.store.database import Database
from shared.store.recorded import RecordReader
from shared.store.records import insert_records
from shared.store.retention import remove_performance
from shared.store.rollups import roll_up
from shared.store.silences import end_silence, put_silence
from tests.unit.rules.rule_playback import BEGIN

STEP_MS, STEPS = 10_000, 300
"""Fifty minutes of records, a step every 10 s."""
SPAN = timedelta(milliseconds=STEP_MS * STEPS)
HIGH = (*range(40, 45), 50, 51, 90, *range(130, 136), *range(200, 212))
"""Steps in which values are high."""
CONDITIONS: list[dict[str, Any]] = [
    {"name": "plain", "metricName": "maxDrawdown", "operator": ">", "threshold": 10},
    {"name": "held", "metricName": "maxDrawdown", "operator": ">", "threshold": 10, "for": "1m",
     "clearThreshold": 4, "keepFiringFor": "2m", "bots": ["b-*"],
     "levels": [{"threshold": 20, "severity": "CRITICAL"}]},
    {"name": "average", "metricName": "heat", "operator": ">", "threshold": 6, "aggregate": "avg",
     "window": "3m"},
    {"name": "few", "metricName": "heat", "operator": ">", "threshold": 10, "times": 3, "of": 5},
    {"name": "past", "metricName": "heat", "operator": ">", "threshold": 50, "window": "5m",
     "comparedWith": {"offset": "10m", "as": "percent"}},
    {"name": "silent", "kind": "absence", "metricName": "heartbeat", "period": "1m", "grace": "10s"},
    {"name": "both", "kind": "combination", "match": "all", "conditions": [
        {"metricName": "maxDrawdown", "operator": ">", "threshold": 10},
        {"metricName": "equity", "operator": "<", "threshold": 950}]},
    {"name": "missing", "kind": "absence", "metricName": "fill", "period": "20m", "bots": ["never-seen"]},
]  # fmt: skip
WEEKLY = {
    "name": "weekly", "match": {"component": "b-1"},
    "from": from_epoch_ms(BEGIN + 100 * STEP_MS).isoformat(),
    "until": from_epoch_ms(BEGIN + 160 * STEP_MS).isoformat(),
}  # fmt: skip
"""A maintenance window that mutes the third time of high values on one bot."""
DOCUMENTS = Documents(
    PerformanceLogger(
        alerting=AlertingSection(
            conditions=[msgspec.convert({"severity": "MEDIUM", **one}, Condition) for one in CONDITIONS]
        )
    ),
    HealthMonitor(
        monitoring=MonitoringSection(
            interval_seconds=60, thresholds=Thresholds(cpu=Threshold(warning=70, critical=90))
        )
    ),
    msgspec.convert({"maintenance": [WEEKLY]}, Notifications),
)
RULES = load_rules(DOCUMENTS)


def stream() -> Iterator[tuple[int, AnyRecord]]:
    """Yield what two bots and a host report, with the times of the log entries."""
    for step in range(STEPS):
        at = BEGIN + step * STEP_MS
        moment, is_high = from_epoch_ms(at), step in HIGH
        bot = f"b-{step % 2 + 1}" if not is_high else "b-1"
        drawdown = 12.0 + 3 * (step % 5) if is_high else 5.0 - step % 3
        status: CheckStatus = "critical" if is_high else "ok"
        if step % 3 == 0:
            yield at, Health(host="h", cpu_usage=95.0 if 100 < step < 180 else 20.0, timestamp=moment)
        yield at, Performance(bot=bot, portfolio_value=1.0, max_drawdown=drawdown, timestamp=moment)
        yield at, Performance(bot=bot, source="computed", max_drawdown=drawdown / 2, timestamp=moment)
        yield at, Metric(bot=bot, name="heat", value=drawdown, labels={"venue": "x"}, timestamp=moment)
        yield at, Equity(bot="b-1", equity=900.0 if is_high else 1000.0, timestamp=moment)
        yield at, Check(host="h", check="web", type="http", status=status, text="late", timestamp=moment)
        if not 150 <= step < 170 and not 220 <= step < 260:
            beat = STOPPED if step == 219 else RETIRED if step == 290 else "ok"
            yield at, Heartbeat(bot="b-1", status=beat, timestamp=moment)


def evaluate_live(redis: Redis, health: Database) -> None:
    """Let the evaluator open and resolve alerts, with a silence in the second time of high values."""
    log, now = RecordLog(redis), [BEGIN]
    evaluator = Evaluator(
        log, health, RULES, "", threading.Event(), lambda: now[0], parse_mute_config(DOCUMENTS)
    )
    evaluator.start()
    for at, records in groupby(stream(), key=itemgetter(0)):
        now[0] = at + 3  # as long as a record may be on its way
        frame = encode_frame([record for _, record in records])
        redis.xadd(redis_keys.record_stream(), {"data": frame}, id=f"{now[0]}-*")
        if at in (BEGIN + 86 * STEP_MS, BEGIN + 95 * STEP_MS):
            silence(health, at)
        evaluator.step()


def silence(health: Database, at: int) -> None:
    """Silence the bot `b-1`, or end the silence."""
    now = from_epoch_ms(at)
    with health.write() as connection:
        if not end_silence(connection, "s", now, "ann"):
            wanted = SilenceRequest(
                matchers=[Matcher("bot", "b-1")], ends_at=now + timedelta(days=1), created_by="ann"
            )
            put_silence(connection, wanted, "s", now)


def store(performance: Database, health: Database) -> None:
    """Store the records as the recorder does."""
    records = [record for _, record in stream()]
    with health.write() as connection:
        insert_records(connection, [one for one in records if isinstance(one, HostRecord)])
    with performance.write() as connection:
        insert_records(connection, [one for one in records if not isinstance(one, HostRecord)])


def try_stored(rule: Rule, performance: Database, health: Database, span: timedelta = SPAN) -> TrialResult:
    now = from_epoch_ms(BEGIN + STEPS * STEP_MS)
    return try_rule(rule, TrialSources(performance, health, DOCUMENTS), span, now)


def seconds(moment: Any) -> int | None:
    """Return whole seconds since the start: entries are a few milliseconds later than their records."""
    return None if moment is None else (moment - from_epoch_ms(BEGIN)) // timedelta(seconds=1)


def live_alerts(health: Database, rule: str) -> list[tuple[Any, ...]]:
    with health.read() as connection:
        found = []
        for alert in alert_store.list_alerts(connection, limit=500):
            if alert.details.rule == rule:
                changes = [one["change"] for one in alert_store.timeline(connection, alert.id)]
                is_muted = changes[1:2] == ["muted"] and "unmuted" not in changes
                labels = sorted(alert.details.labels.items())
                times = seconds(alert.timestamp), seconds(alert.resolved_at)
                found.append((alert.component, labels, *times, is_muted))
    return sorted(found)


def trial_alerts(result: TrialResult) -> list[tuple[Any, ...]]:
    return sorted(
        (one.bot or one.host, sorted(one.labels.items()), seconds(one.opened_at), seconds(one.resolved_at),
         one.is_muted)
        for one in result.list_
    )  # fmt: skip


def test_a_trial_gives_the_alerts_of_the_evaluator(
    redis: Redis, performance: Database, health: Database
) -> None:
    """Every kind of rule opens and resolves the same alerts at the same time, muted like them."""
    evaluate_live(redis, health)
    store(performance, health)
    fired = set()
    for rule in RULES:
        expected = live_alerts(health, rule.name)
        assert trial_alerts(try_stored(rule, performance, health)) == expected, rule.name
        fired |= {rule.name} if expected else set()
        fired |= {"muted"} if any(one[-1] for one in expected) else set()
    assert fired == {*(one["name"] for one in CONDITIONS), "host-cpu", "http-failing", "muted"}


def test_the_result_counts_by_subject_and_in_total(performance: Database, health: Database) -> None:
    """Alerts, the longest, the first and the last; conditions that held for less than `for` apart."""
    store(performance, health)
    rules = {rule.name: rule for rule in RULES}
    plain, held = (try_stored(rules[name], performance, health) for name in ("plain", "held"))
    computed, reported = sorted(plain.subjects, key=lambda one: one.alerts)
    assert (computed.labels, reported.labels) == ({"source": "computed"}, {})
    assert (plain.alerts, computed.alerts, reported.alerts) == (7, 3, 4)
    assert plain.muted == computed.muted + reported.muted > 0
    assert plain.longest_seconds == max(computed.longest_seconds, reported.longest_seconds)
    spans = [(alert.resolved_at or alert.opened_at) - alert.opened_at for alert in plain.list_]
    assert plain.total_seconds == sum(span.total_seconds() for span in spans)
    assert (plain.first_at, plain.last_at) == (plain.list_[-1].opened_at, plain.list_[0].opened_at)
    assert (plain.pending, held.pending > 0, plain.records) == (0, True, held.records)
    assert plain.records_from == from_epoch_ms(BEGIN)


def test_only_alerts_of_the_span_count(performance: Database, health: Database) -> None:
    """Records before the span fill windows; alerts that were resolved before it do not count."""
    store(performance, health)
    plain = next(rule for rule in RULES if rule.name == "plain")
    whole = try_stored(plain, performance, health)
    later = try_stored(plain, performance, health, timedelta(milliseconds=STEP_MS * (STEPS - 180)))
    assert (whole.alerts, later.alerts, later.records) == (7, 2, whole.records)


def test_a_pause_of_botwatch_is_no_absence(performance: Database, health: Database) -> None:
    """While no host sends samples and no bot sends records, Botwatch was down."""
    moments = [from_epoch_ms(BEGIN + 60_000 * minute) for minute in (*range(100), *range(200, 300))]
    with health.write() as connection:
        insert_records(connection, [Health(host="h", timestamp=at) for at in moments])
    with performance.write() as connection:
        insert_records(connection, [Heartbeat(bot="b-1", timestamp=at) for at in moments])
    silent = next(rule for rule in RULES if rule.name == "silent")
    now = from_epoch_ms(BEGIN + 300 * 60_000)
    result = try_rule(silent, TrialSources(performance, health, DOCUMENTS), timedelta(hours=6), now)
    assert (result.alerts, result.pauses) == (0, 1)
    at = from_epoch_ms(BEGIN + 150 * 60_000)
    with performance.write() as connection:  # another bot was heard meanwhile: the absence was one
        insert_records(connection, [Equity(bot="b-2", equity=1.0, timestamp=at)])
    result = try_rule(silent, TrialSources(performance, health, DOCUMENTS), timedelta(hours=6), now)
    assert (result.alerts, result.pauses) == (1, 0)


def test_deleted_computed_rows_are_replaced_by_minutes(performance: Database, health: Database) -> None:
    """Where only the last computed metrics of each minute are left, the result says until when."""
    store(performance, health)
    with performance.write() as connection:
        roll_up(connection, 100_000)
    limit = from_epoch_ms(BEGIN) + timedelta(hours=1)
    condition = {
        "name": "computed", "metricName": "maxDrawdown", "operator": ">", "threshold": 9, "severity": "LOW",
        "labels": {"source": "computed"},
    }  # fmt: skip
    rule = rule_from_condition(msgspec.convert(condition, Condition))
    raw = try_stored(rule, performance, health)
    list(remove_performance(performance, from_epoch_ms(0), lambda _: None, computed_before=limit))
    minutes = try_stored(rule, performance, health)
    assert (raw.minutes_until, raw.alerts) == (None, 3)
    assert minutes.minutes_until == max(one.at for _, one in stream() if isinstance(one, Performance))
    assert 0 < minutes.records < raw.records
    assert minutes.alerts <= raw.alerts


def test_memory_is_bounded_by_slices(
    performance: Database, health: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slices become shorter where there are many rows; all records come once, in order."""
    store(performance, health)
    monkeypatch.setattr("shared.store.recorded.MANY_ROWS", 20)
    monkeypatch.setattr("shared.store.recorded.FEW_ROWS", 10)
    queries = [RecordQuery(Metric, only=("name", frozenset(["heat"]))), RecordQuery(Equity)]
    begin = from_epoch_ms(BEGIN)
    reader = RecordReader(performance, health, queries, lambda _: True)
    slices = [list(one.records) for one in reader.read(begin, begin + SPAN)]
    times = [record.at for piece in slices for record in piece]
    assert (max(map(len, slices)) <= 50, times == sorted(times), len(times)) == (True, True, 2 * STEPS)


def test_a_trial_can_be_ended(performance: Database, health: Database) -> None:
    """What `check` raises ends the trial; it is told the share that is done."""
    store(performance, health)
    shares: list[float] = []

    def check(done: float) -> None:
        shares.append(done)
        if done > 0:
            raise TimeoutError

    now = from_epoch_ms(BEGIN + STEPS * STEP_MS)
    with pytest.raises(TimeoutError):
        try_rule(RULES[0], TrialSources(performance, health, DOCUMENTS), SPAN, now, check)
    assert shares[0] < shares[1] < 1

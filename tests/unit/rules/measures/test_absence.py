"""Absence: a bot that stops reporting, comes back, or never reported."""

from itertools import pairwise
from typing import Any

import msgspec

from shared.rules.engine import Engine
from shared.rules.loader import rule_from_condition
from shared.schema.conditions import Condition
from shared.schema.records import Fill, Health, Performance
from shared.schema.timestamps import from_wire

T0 = 1_780_000_000_000
"""A moment, epoch milliseconds."""


def silent(metric: str = "portfolioValue", **keys: Any) -> Engine:
    """Return an engine with one rule: silent for more than 40 s is HIGH, for more than 10 min CRITICAL."""
    keys = {"levels": [{"threshold": 600, "severity": "CRITICAL"}]} | keys
    condition = msgspec.convert(
        {
            "name": "s",
            "kind": "absence",
            "metricName": metric,
            "period": "30s",
            "grace": "10s",
            "severity": "HIGH",
        }
        | keys,
        Condition,
    )
    engine = Engine([rule_from_condition(condition)])
    engine.load_states({}, T0)
    return engine


def report(seconds: float, **fields: Any) -> Performance:
    at = from_wire(round(T0 + seconds * 1000))
    return Performance(bot="a", portfolio_value=1.0, timestamp=at, **fields)


def happened(engine: Engine, seconds: float) -> list[tuple[str, float]]:
    """Return what happens by itself until then, but new values: step, and seconds since the start."""
    events = engine.advance_to(round(T0 + seconds * 1000))
    news = [event for event in events if event.outcome.step != "updated"]
    return [(event.outcome.step, (event.at - T0) / 1000) for event in news]


def take(engine: Engine, record: Any, seconds: float) -> list[str]:
    return [event.outcome.step for event in engine.process([record], round(T0 + seconds * 1000))]


def test_silence_opens_past_the_limit_rises_and_ends_with_the_next_record() -> None:
    engine = silent()
    take(engine, report(0), 0)
    assert happened(engine, 40) == []
    assert happened(engine, 60) == [("opened", 40.001)]
    assert happened(engine, 700) == [("raised", 600.001)]
    assert take(engine, report(701), 701) == ["resolved"]


def test_an_open_absence_says_how_long_it_is_by_now() -> None:
    """Its value is updated at least whenever it is off by an eighth, whatever else happens."""
    engine = silent()
    take(engine, report(0), 0)
    told = [event.outcome.value or 0.0 for event in engine.advance_to(T0 + 86_400_000)]
    assert told[:3] == [40.001, 60.0, 120.0]
    assert all(later <= max(earlier * 1.13, earlier + 60) for earlier, later in pairwise(told))
    assert len(told) < 100


def test_whatever_labels_its_records_have_it_is_one_bot() -> None:
    engine = silent()
    take(engine, report(0, labels={"venue": "x"}), 0)
    take(engine, report(30, labels={"venue": "y"}), 30)
    assert happened(engine, 69) == []
    assert len(engine.states) == 1


def test_computed_records_are_no_sign_of_life() -> None:
    engine = silent()
    take(engine, report(0), 0)
    take(engine, report(35, source="computed"), 35)
    assert happened(engine, 60) == [("opened", 40.001)]


def test_a_bot_that_never_reports_is_missed_only_if_named_in_full() -> None:
    engine = silent(bots=["a", "scalper-*"])
    engine.expect_named_subjects(T0)
    assert happened(engine, 60) == [("opened", 40.001)]
    assert [key.subject.bot for key in engine.states] == ["a"]
    assert take(engine, report(61), 61) == ["resolved"]


def test_a_host_that_is_named_and_never_comes_is_missed_as_a_host() -> None:
    engine = silent("cpuUsage", bots=["web-1"])
    engine.expect_named_subjects(T0)
    assert happened(engine, 60) == [("opened", 40.001)]
    health = Health(host="web-1", cpu_usage=1.0, timestamp=from_wire(T0 + 61_000))
    assert take(engine, health, 61) == ["resolved"]


def test_who_was_seen_before_is_waited_for_since_then() -> None:
    engine = silent(bots=["a"])
    take(engine, report(0), 0)
    engine.expect_named_subjects(T0 + 30_000)
    assert happened(engine, 41) == [("opened", 40.001)]


def test_a_kind_of_record_can_be_missed() -> None:
    engine = silent("fill")
    fill = Fill(
        bot="a", order_id="1", fill_id="1", symbol="X", side="buy", quantity=1.0, price=1.0,
        timestamp=from_wire(T0),
    )  # fmt: skip
    take(engine, fill, 0)
    take(engine, report(30), 30)
    assert happened(engine, 60) == [("opened", 40.001)]


def take_all(engine: Engine, records: list[Any], seconds: float) -> list[str]:
    return [event.outcome.step for event in engine.process(records, round(T0 + seconds * 1000))]


def test_history_in_one_batch() -> None:
    """A batch with the last 50 minutes of a new bot opens no absence, and silence counts from its arrival."""
    engine = silent()
    assert take_all(engine, [report(seconds) for seconds in range(0, 3000, 15)], 3000) == []
    assert happened(engine, 3039) == []
    assert happened(engine, 3060) == [("opened", 3040.001)]


def test_history_in_several_batches() -> None:
    """A spool that is sent batch by batch opens no absence either, though the first ones are all old."""
    engine = silent()
    for batch in range(10):
        records = [report(batch * 300 + seconds) for seconds in range(0, 300, 15)]
        assert take_all(engine, records, 3000 + batch / 10) == []


def test_history_ends_an_absence_once() -> None:
    """History that a bot sends after it was silent ends the alert; nothing opens on the way."""
    engine = silent()
    take(engine, report(0), 0)
    assert happened(engine, 3000) == [("opened", 40.001), ("raised", 600.001)]
    assert take_all(engine, [report(seconds) for seconds in range(15, 3001, 15)], 3000) == ["resolved"]


def test_a_pause() -> None:
    """After a suspended machine wakes up, silence counts from then on; what was open stays open."""
    engine = silent(bots=["a", "b"])
    engine.expect_named_subjects(T0)
    assert happened(engine, 41) == [("opened", 40.001), ("opened", 40.001)]
    take(engine, report(45), 45)
    engine.resume_after_gap(T0 + 46_000, T0 + 106_000)
    assert happened(engine, 145) == []
    assert happened(engine, 150) == [("opened", 146.001)]

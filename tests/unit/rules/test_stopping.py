"""A bot that stops on purpose, is retired or deleted."""

from typing import Any

from shared.rules.engine import Engine, RuleEvent
from shared.rules.rule import Rule
from shared.schema.records import Heartbeat
from tests.unit.rules.rule_playback import at, format_events, moment, records, rule

SILENT: dict[str, Any] = {
    "kind": "absence",
    "metricName": "x",
    "period": "30s",
    "grace": "10s",
    "severity": "HIGH",
}


def engine_of(*rules: Rule) -> Engine:
    """Return an engine that has heard 20 from bot `a` at second 0."""
    engine = Engine(rules)
    engine.load_states({}, at(0))
    for _ in engine.process(records(0, 20), at(0)):
        pass
    return engine


def say(engine: Engine, seconds: float, status: str, dated: float | None = None) -> list[RuleEvent]:
    """Let the bot send a heartbeat."""
    beat = Heartbeat(bot="a", status=status, timestamp=moment(seconds if dated is None else dated))
    return list(engine.process([beat], at(seconds)))


def test_a_bot_that_stopped_on_purpose_is_not_missed() -> None:
    """After `stopped` no absence alert opens, until the next record is followed by silence."""
    engine = engine_of(rule(**SILENT))
    assert say(engine, 10, "stopped") == []
    assert format_events(engine.advance_to(at(1000))) == []
    assert format_events(engine.process(records(1000, 1), at(1000))) == []
    assert format_events(engine.advance_to(at(2000))) == ["1040 opened HIGH 40.001"]


def test_late_record() -> None:
    """A record dated before the good-bye does not make the bot awaited again."""
    engine = engine_of(rule(**SILENT))
    say(engine, 10, "stopped")
    assert format_events(engine.process(records(9, 1), at(11))) == []
    assert format_events(engine.advance_to(at(1000))) == []


def test_a_stop_resolves_an_absence_and_nothing_else() -> None:
    """An open absence alert is resolved by `stopped`, a threshold's alert is not."""
    engine = engine_of(rule(**SILENT | {"name": "silent"}), rule())
    assert format_events(engine.advance_to(at(100))) == ["40.001 opened HIGH 40.001"]
    assert [event.key.rule for event in say(engine, 101, "stopped")] == ["silent"]
    assert engine.states[next(key for key in engine.states if key.rule == "r")].severity == "MEDIUM"


def test_retired() -> None:
    """`retired` resolves every open alert and says why; the next record is judged as a new bot's."""
    engine = engine_of(rule(**SILENT | {"name": "silent"}), rule())
    ended = say(engine, 10, "retired")
    assert [(event.key.rule, event.outcome.step, event.outcome.comment) for event in ended] == [
        ("r", "resolved", "bot retired")
    ]
    assert format_events(engine.advance_to(at(1000))) == []
    assert format_events(engine.process(records(1001, 30), at(1001))) == ["1001 opened MEDIUM 30"]


def test_retired_over_a_restart() -> None:
    """A retired bot that a rule names is not missed after the evaluator started again."""
    named = rule(**SILENT, bots=["a"])
    engine = engine_of(named)
    say(engine, 10, "retired")
    again = Engine([named])
    again.load_states(engine.snapshot(), at(20))
    again.expect_named_subjects(at(20))
    assert format_events(again.advance_to(at(1000))) == []


def test_unretired() -> None:
    """A bot whose retirement was taken back is missed when it does not come."""
    engine = engine_of(rule(**SILENT))
    say(engine, 10, "retired")
    say(engine, 100, "expected")
    assert format_events(engine.advance_to(at(1000))) == ["140.001 opened HIGH 40.001"]


def test_forgotten() -> None:
    """Forgetting resolves what is open and drops every track, from the store as well."""
    engine = engine_of(rule())
    engine.mark_saved(engine.changed())
    ended = list(engine.forget("a"))
    assert [event.outcome.comment for event in ended] == ["bot deleted"]
    assert engine.states == {}
    assert len(engine.changed().gone) == 1


def test_forgotten_and_back() -> None:
    """A bot that reports right after it was forgotten keeps its new track."""
    engine = engine_of(rule())
    list(engine.forget("a"))
    assert format_events(engine.process(records(5, 30), at(5))) == ["5 opened MEDIUM 30"]
    changed = engine.changed()
    assert (len(changed.kept), changed.gone) == (1, [])


def test_a_gap_after_a_stop() -> None:
    """A suspended machine does not make a stopped bot awaited again."""
    engine = engine_of(rule(**SILENT))
    say(engine, 10, "stopped")
    engine.resume_after_gap(at(20), at(100))
    assert format_events(engine.advance_to(at(1000))) == []


def test_a_stopped_bot_does_not_run() -> None:
    """What asks for heartbeats in a window holds no longer once the bot said good-bye."""
    parts = [
        {"metricName": "x", "aggregate": "count", "window": "100s", "operator": "<", "threshold": 1},
        {"metricName": "heartbeat", "aggregate": "count", "window": "60s", "operator": ">", "threshold": 0},
    ]
    engine = engine_of(rule(kind="combination", conditions=parts))
    assert say(engine, 90, "running") == []
    say(engine, 95, "stopped")
    assert format_events(engine.advance_to(at(1000))) == []

# ruff: noqa: E501 - a case is a line
"""The engine against what logs, clocks, bots and people do to it."""

import random
from typing import Any

import pytest

from shared.rules.engine import MAX_RECORD_AGE_MS, Engine
from shared.rules.rule import Firing, Rule
from shared.rules.subject import Key, Subject
from shared.schema.records import AnyRecord, Fill, Health, Heartbeat, Performance
from tests.unit.rules.rule_playback import (
    Value,
    at,
    continue_playback,
    format_events,
    moment,
    play_values,
    records,
    rule,
)

KEY = Key("r", Subject("a", None, ()))
AVERAGE: dict[str, Any] = {"aggregate": "avg", "window": "10s"}


def say(engine: Engine, written: float, dated: float, value: float, **further: Any) -> list[str]:
    """Let bot `a` say `value`, dated otherwise than it is written to the log."""
    return format_events(engine.process(records(dated, value, **further), at(written)))


def test_a_late_value_does_not_replace_a_newer_one() -> None:
    engine = Engine([rule()])
    assert say(engine, 10, 10, 5) == []
    assert say(engine, 11, 9, 50) == []
    assert say(engine, 12, 10, 50) == ["12 opened MEDIUM 50"], "of one moment the last one counts"


def test_a_value_from_the_future_counts_as_of_its_arrival() -> None:
    engine = Engine([rule()])
    assert say(engine, 10, 9999, 50) == ["10 opened MEDIUM 50"]
    assert say(engine, 11, 11, 5) == ["11 resolved MEDIUM 5"]


@pytest.mark.parametrize(
    ("age_ms", "found"), [(MAX_RECORD_AGE_MS, ["7200 opened MEDIUM 50"]), (MAX_RECORD_AGE_MS + 1, [])]
)
def test_history_is_not_news(age_ms: int, found: list[str]) -> None:
    assert say(Engine([rule()]), 7200, 7200 - age_ms / 1000, 50) == found


def test_the_same_entry_twice_changes_nothing() -> None:
    for one in (rule(), rule(**AVERAGE), rule(times=2, of=3)):
        engine = Engine([one])
        continue_playback(engine, [(0, 20), (1, 30), (2, 20)])
        assert continue_playback(engine, [(2, 20)]) == []
        assert engine.states[KEY].value in (20, 70 / 3)


def test_out_of_order_within_the_window_comes_to_the_same_average() -> None:
    engine = Engine([rule(**AVERAGE)])
    say(engine, 10, 9, 4)
    assert say(engine, 11, 5, 30) == ["11 opened MEDIUM 17"]
    assert say(engine, 15, 15, 4) == ["15 resolved MEDIUM 4"]


def test_a_log_whose_clock_steps_back_continues_from_its_latest_time() -> None:
    engine = Engine([rule(**{"for": "10s"})])
    assert say(engine, 100, 100, 20) == ["100 pending MEDIUM 20"]
    assert say(engine, 40, 40, 21) == []
    assert engine.now == at(100)
    assert say(engine, 110, 110, 22) == ["110 opened MEDIUM 20"], "what was due comes before the entry"


def test_what_is_due_in_a_gap_happens_at_its_own_time() -> None:
    engine = Engine([rule(name="r", **AVERAGE, **{"for": "5s"}, keepFiringFor="20s")])
    assert continue_playback(engine, [(0, 20), (86_400, 1)]) == [
        "0 pending MEDIUM 20", "5 opened MEDIUM 20", "10 kept MEDIUM -", "30 resolved MEDIUM -",
    ]  # fmt: skip


def test_what_is_due_at_once_for_many_bots_has_an_order() -> None:
    found = []
    for order in ("abc", "cab"):
        engine = Engine([rule(**{"for": "5s"})])
        for bot in order:
            say(engine, 1, 1, 20, bot=bot)
        found.append([event.key.subject.bot for event in engine.advance_to(at(60))])
    assert found == [["a", "b", "c"]] * 2


def test_a_bot_that_dies_in_a_breach_keeps_its_alert_and_is_missed() -> None:
    gone = rule(name="gone", kind="absence", metricName="x", period="30s", grace="10s")
    engine = Engine([rule(), gone])
    assert continue_playback(engine, [(0, 20), (3000, None)]) == [
        "0 opened MEDIUM 20",
        "40.001 opened MEDIUM 40.001",
    ]
    assert continue_playback(engine, [(3001, 5)]) == ["3001 resolved MEDIUM 5", "3001 resolved MEDIUM 0"]


def test_an_absence_rises_with_its_length_and_ends_when_it_comes_again() -> None:
    gone = rule(kind="absence", period=30, levels=[{"threshold": 60, "severity": "CRITICAL"}])
    assert play_values(gone, [(0, None), (100, 1), (120, 1), (150, 1), (300, None), (301, 1)]) == [
        "180.001 opened MEDIUM 30.001", "210.001 raised CRITICAL 60.001", "301 resolved CRITICAL 0",
    ]  # fmt: skip


def test_a_bot_that_reports_often_costs_no_place_in_the_queue_each_time() -> None:
    engine = Engine([rule(kind="absence", period="1h")])
    continue_playback(engine, [(second, 1) for second in range(1000)])
    assert len(engine._queue) == 1  # noqa: SLF001


def test_a_late_value_that_leaves_the_window_first_is_noticed_when_it_leaves() -> None:
    """The average rises above the limit without a record, earlier than the queue knew before."""
    engine = Engine([rule(**AVERAGE)])
    assert continue_playback(engine, [(10, 8)]) == []
    assert say(engine, 11, 5, -100) == []
    assert continue_playback(engine, [(12, 20), (30, None)])[0] == "15 opened MEDIUM 14"


def test_an_absence_that_ended_is_awaited_again_in_time() -> None:
    """The next refresh of the open alert's value would be too late."""
    engine = Engine([rule(kind="absence", period="15s")])
    assert continue_playback(engine, [(0, 1), (100, 1), (120, None)]) == [
        "15.001 opened MEDIUM 15.001", "100 resolved MEDIUM 0", "115.001 opened MEDIUM 15.001",
    ]  # fmt: skip


def test_the_shorter_window_of_a_combination_is_looked_at_in_time() -> None:
    """Its first value comes when the queue knows of the longer one only."""
    windows = [
        {"metricName": "x", "operator": ">", "threshold": 10, "aggregate": "min", "window": window}
        for window in ("1m", "2s")
    ]
    windows[0]["metricName"], windows[1]["metricName"] = "y", "x"
    engine = Engine([rule(kind="combination", match="any", conditions=windows)])
    story: list[tuple[float, Value]] = [(0, {"y": 1}), (1, {"x": 5}), (2, {"x": 20}), (50, None)]
    assert continue_playback(engine, story)[0] == "3 opened MEDIUM 1"


def test_a_deleted_bot_that_comes_back_is_queued_beside_what_was_left_of_it() -> None:
    """Both are due at the end of the same bucket of time."""
    past = rule(window="1m", comparedWith={"offset": "1h", "as": "percent"})
    engine = Engine([past])
    continue_playback(engine, [(1, 20)])
    assert list(engine.forget("a")) == []
    assert continue_playback(engine, [(2, 20), (3600, None)]) == []


@pytest.mark.parametrize(
    ("further", "bot", "labels", "is_heard"),
    [
        ({}, "a", {}, True), ({"bots": ["scalper-*"]}, "scalper-1", {}, True),
        ({"bots": ["scalper-*"]}, "a", {}, False), ({"bots": ["x", "a"]}, "a", {}, True),
        ({"bots": ["A"]}, "a", {}, False), ({"bots": ["scalper-[12]"]}, "scalper-3", {}, False),
        ({"labels": {"venue": "binance"}}, "a", {"venue": "binance"}, True),
        ({"labels": {"venue": "binance"}}, "a", {"venue": "kraken"}, False),
        ({"labels": {"venue": "b*"}}, "a", {"venue": "binance", "desk": "1"}, True),
        ({"labels": {"venue": "*"}}, "a", {}, False), ({"labels": {"venue": "*"}}, "a", {"venue": ""}, True),
        ({"labels": {"venue": "b*", "desk": "1"}}, "a", {"venue": "binance"}, False),
    ],
)  # fmt: skip
def test_a_rule_hears_the_bots_and_labels_it_names(
    further: Any, bot: str, labels: dict[str, str], is_heard: bool
) -> None:
    assert bool(say(Engine([rule(**further)]), 1, 1, 20, bot=bot, labels=labels)) == is_heard


def test_computed_metrics_are_separate_from_reported_ones() -> None:
    drawdown = {"metricName": "maxDrawdown"}
    engine = Engine([rule(**drawdown), rule(**drawdown, name="c", labels={"source": "computed"})])
    reported = Performance(bot="a", portfolio_value=1.0, max_drawdown=20, timestamp=moment(1))
    computed = Performance(bot="a", max_drawdown=30, source="computed", timestamp=moment(1))
    found = list(engine.process([reported, computed], at(1)))
    assert [(event.key.rule, event.outcome.value) for event in found] == [("r", 20), ("r", 30), ("c", 30)]


def test_a_rule_may_be_on_a_kind_of_record_and_on_a_host() -> None:
    fills = rule(name="busy", metricName="fill", aggregate="count", window="1m", threshold=2)
    engine = Engine([fills, rule(name="cpu", metricName="cpuUsage")])
    said: list[AnyRecord] = [
        *[
            Fill(bot="a", order_id="o", fill_id=str(n), symbol="s", side="buy", quantity=1.0, price=1.0,
                 timestamp=moment(1))
            for n in range(3)
        ],
        Heartbeat(bot="a", timestamp=moment(1)),
        Health(host="h", cpu_usage=50.0, timestamp=moment(1)),
    ]  # fmt: skip
    found = list(engine.process(said, at(1)))
    assert [(event.key.rule, event.key.subject.name, event.outcome.value) for event in found] == [
        ("busy", "a", 3.0), ("cpu", "h", 50.0),
    ]  # fmt: skip


def edited(before: Rule, story: list[tuple[float, Value]], after: Rule, *, is_open: bool) -> Engine:
    """Return an engine that goes on with another rule of the same name, as after a reload."""
    first = Engine([before])
    continue_playback(first, story)
    engine = Engine([after])
    engine.load_states(first.snapshot(), first.now)
    engine.reconcile({KEY: Firing("MEDIUM", 10)} if is_open else {})
    return engine


@pytest.mark.parametrize(
    ("before", "value", "after", "is_open", "found"),
    [
        ({}, 20, {}, True, []),
        ({}, 5, {}, False, []),
        ({}, 20, {"threshold": 30}, True, ["0.001 resolved MEDIUM 20"]),
        ({}, 20, {"threshold": 30, "clearThreshold": 15}, True, []),
        ({}, 20, {"threshold": 30, "keepFiringFor": "9s"}, True, ["0.001 kept MEDIUM 20", "9.001 resolved MEDIUM 20"]),
        ({}, 7, {"threshold": 6}, False, ["0.001 opened MEDIUM 7"]),
        ({}, 7, {"threshold": 6, "for": "9s"}, False, ["0.001 pending MEDIUM 7", "9.001 opened MEDIUM 7"]),
        ({}, 20, {"operator": "<"}, True, ["0.001 resolved MEDIUM 20"]),
        ({}, 20, {"severity": "HIGH"}, True, ["0.001 raised HIGH 20"]),
        ({}, 20, {"levels": [{"threshold": 15, "severity": "CRITICAL"}]}, True, ["0.001 raised CRITICAL 20"]),
        ({"for": "9s"}, 20, {"for": "19s"}, False, ["19 opened MEDIUM 20"]),
        ({"for": "9s"}, 20, {"for": "1s"}, False, ["1 opened MEDIUM 20"]),
        ({"for": "9s"}, 20, {}, False, ["0 opened MEDIUM 20"]),
        ({}, 20, {"metricName": "y"}, True, []),
        ({}, 20, AVERAGE, True, []),
        ({**AVERAGE}, 20, {**AVERAGE, "window": "20s"}, True, ["20 resolved MEDIUM -"]),
        ({**AVERAGE}, 20, {**AVERAGE, "aggregate": "max"}, True, ["10 resolved MEDIUM -"]),
    ],
)  # fmt: skip
def test_a_rule_that_was_edited_judges_at_once_what_is_known(
    before: Any, value: float, after: Any, is_open: bool, found: list[str]
) -> None:
    engine = edited(rule(**before), [(0, value)], rule(**after), is_open=is_open)
    assert format_events(engine.advance_to(at(60))) == found


def test_a_rule_on_another_metric_does_not_use_the_old_state() -> None:
    engine = edited(rule(), [(0, 20)], rule(metricName="y", operator="<"), is_open=True)
    assert continue_playback(engine, [(1, {"y": 50})]) == ["1 resolved MEDIUM 50"]


@pytest.mark.parametrize("after", [rule(name="other"), rule(bots=["b"]), rule(labels={"venue": "*"})])
def test_tracks_of_rules_that_no_longer_concern_a_bot_go(after: Rule) -> None:
    engine = edited(rule(), [(0, 20)], after, is_open=True)
    assert engine.states == {}
    stored = engine.changed()
    assert len(stored.gone) == 1
    engine.mark_saved(stored)
    assert engine.changed().gone == []


def test_an_alert_whose_track_was_lost_stays_open_until_a_value_is_fine() -> None:
    engine = Engine([rule()])
    engine.reconcile({KEY: Firing("MEDIUM", 10)})
    assert format_events(engine.advance_to(at(60))) == []
    assert continue_playback(engine, [(61, 20), (62, 5)]) == ["62 resolved MEDIUM 5"]


@pytest.mark.parametrize(
    "further",
    [
        {}, {"for": "7s"}, {"keepFiringFor": "9s", "clearThreshold": 3}, AVERAGE, {"times": 2, "of": 3},
        {"aggregate": "quantile", "quantile": 0.5, "window": "30s"},
        {"window": "12s", "comparedWith": {"offset": "30s"}}, {"window": "3s", "comparedWith": {"baseline": "10m"}, "threshold": 1},
        {"comparedWith": {"metricName": "y"}, **AVERAGE}, {"kind": "absence", "period": "8s"},
        {"kind": "combination", "conditions": [
            {"metricName": "x", "operator": ">", "threshold": 8},
            {"metricName": "y", "operator": ">", "threshold": 8, "aggregate": "avg", "window": "9s"}]},
    ],
)  # fmt: skip
def test_a_rule_state_can_be_saved_and_restored_at_any_time(further: dict[str, Any]) -> None:
    chance = random.Random(2)
    story: list[tuple[float, Value]] = []
    second = 0.0
    for _ in range(60):
        second += chance.choice((0.5, 2, 5, 20))
        story.append((second, {chance.choice("xy"): chance.uniform(0, 20)}))
    expected = play_values(rule(**further), story)
    assert expected
    engine, found = Engine([rule(**further)]), []
    for step in story:
        found += continue_playback(engine, [step])
        again = Engine([rule(**further)])
        again.load_states(engine.snapshot(), engine.now)
        firing = {
            key: Firing(one.severity, one.threshold) for key, one in engine.states.items() if one.severity
        }
        again.reconcile(firing)
        engine = again
    assert found == expected


def test_what_began_and_ended_in_late_records_of_one_entry_is_no_news() -> None:
    """Late records of one entry are judged together; those that are current each in turn."""
    engine = Engine([rule()])
    late = [*records(90, 50), *records(91, 5)]
    assert format_events(engine.process(late, at(100))) == []
    assert format_events(engine.process([*records(92, 5), *records(93, 50)], at(101))) == [
        "101 opened MEDIUM 50"
    ]
    current = [*records(102, 5), *records(102, 50), *records(102, 5)]
    assert format_events(engine.process(current, at(102))) == [
        "102 resolved MEDIUM 5", "102 opened MEDIUM 50", "102 resolved MEDIUM 5",
    ]  # fmt: skip


def test_a_pause_does_not_count_for_how_long_a_limit_must_be_exceeded() -> None:
    """`for` goes on after a pause where it was before it: nobody saw the value meanwhile."""
    engine = Engine([rule(**{"for": "30s"})])
    assert say(engine, 0, 0, 20) == ["0 pending MEDIUM 20"]
    engine.resume_after_gap(at(10), at(100))
    assert format_events(engine.advance_to(at(119))) == []
    assert format_events(engine.advance_to(at(121))) == ["120 opened MEDIUM 20"]

"""Rule playback: feeds values to rules and prints a line for each event of the engine."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shared.rules.engine import Engine, RuleEvent
from shared.rules.loader import rule_from_condition
from shared.rules.rule import Rule
from shared.schema.conditions import Condition
from shared.schema.records import AnyRecord, Metric
from shared.schema.timestamps import EPOCH, MILLISECOND

BEGIN = 1_767_225_600_000
"""2026-01-01, epoch milliseconds: second 0 of every play."""

Value = float | dict[str, float] | None
"""What a record says of the figure `x`, or of several, or nothing: only time passes."""


def rule(**further: Any) -> Rule:
    """Return a rule on `x` above 10, changed by `further` (keys of a condition)."""
    kind = further.get("kind", "threshold")
    plain: dict[str, Any] = {"name": "r", "severity": "MEDIUM"}
    if kind != "combination":
        plain["metricName"] = "x"
    if kind == "threshold":
        plain |= {"operator": ">", "threshold": 10}
    return rule_from_condition(msgspec.convert({**plain, **further}, Condition))


def at(seconds: float) -> int:
    """Return a moment of the log."""
    return BEGIN + round(seconds * 1000)


def moment(seconds: float) -> datetime:
    """Return the same as records are dated."""
    return EPOCH + at(seconds) * MILLISECOND


def records(seconds: float, value: Value, bot: str = "a", **further: Any) -> list[AnyRecord]:
    """Return what `bot` says, dated `seconds`."""
    figures = {"x": value} if isinstance(value, int | float) else value or {}
    return [
        Metric(bot=bot, name=name, value=value, timestamp=moment(seconds), **further)
        for name, value in figures.items()
    ]


def format_events(events: Iterable[RuleEvent]) -> list[str]:
    """Write events as `second step severity value`; those that only refresh the value are left out."""
    return [
        f"{(event.at - BEGIN) / 1000:g} {event.outcome.step} {event.outcome.firing.severity} "
        f"{'-' if event.outcome.value is None else format(event.outcome.value, 'g')}"
        for event in events
        if event.outcome.step != "updated"
    ]


def play_values(one: Rule, story: Sequence[tuple[float, Value]]) -> list[str]:
    """Return what happens when `story` (second, value) is written to the log as it happens."""
    return continue_playback(Engine([one]), story)


def continue_playback(engine: Engine, story: Sequence[tuple[float, Value]]) -> list[str]:
    """Go on with `story` in an engine that is there already."""
    found = []
    for seconds, value in story:
        found += format_events(engine.process(records(seconds, value), at(seconds)))
    return found

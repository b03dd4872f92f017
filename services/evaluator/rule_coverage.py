"""Rule coverage: metrics of rules that were never received, often misspelt. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.evaluator.rule_state import RuleState
from services.evaluator.rules.combination import Combination
from services.evaluator.rules.comparison import OtherFigure
from services.evaluator.rules.measure import Measure
from services.evaluator.rules.rule import Rule
from services.evaluator.rules.window import Window
from services.evaluator.subject import Key
from shared.schema.conditions import METRICS_BY_LOWERCASE
from shared.schema.faults import did_you_mean
from shared.schema.formatting import format_span
from shared.schema.rule_status import RuleStatus


def rule_statuses(rules: Iterable[Rule], rule_states: Mapping[Key, RuleState]) -> list[RuleStatus]:
    """Return the status of each rule, given the rule states of bots and hosts."""
    by_rule: dict[str, list[RuleState]] = {}
    names: dict[str, set[str]] = {}
    for key, rule_state in rule_states.items():
        by_rule.setdefault(key.rule, []).append(rule_state)
        names.setdefault(key.rule, set()).add(key.subject.name)
    return [_status(rule, by_rule.get(rule.name, []), len(names.get(rule.name, ()))) for rule in rules]


def _status(rule: Rule, rule_states: list[RuleState], subjects: int) -> RuleStatus:
    figures = list(dict.fromkeys(rule.measure.metrics))
    seen: set[str] = set()
    for rule_state in rule_states:
        seen |= _seen_metrics(rule.measure, rule_state.state)
        if len(seen) == len(figures):
            break
    missing = [name for name in figures if name not in seen]
    unknown = [name for name in missing if name not in METRICS_BY_LOWERCASE.values()]
    return RuleStatus(
        name=rule.name,
        figures=figures,
        subjects=subjects,
        never_seen=missing,
        warning="; ".join([*map(_warning, unknown), *_too_short(rule.measure, rule_states)]) or None,
    )


def _seen_metrics(measure: Measure, state: Any) -> set[str]:  # noqa: ANN401 - each measure has a state of its own
    if isinstance(measure, Combination):
        parts = zip(measure.parts, state, strict=True)
        return {name for part, own in parts for name in _seen_metrics(part.measure, own)}
    if isinstance(measure, OtherFigure):
        right = {measure.other} if state.right.value is not None else set()
        return _seen_metrics(measure.left, state.left) | right
    return set(measure.metrics) if state != measure.initial_state() else set()


def _too_short(measure: Measure, rule_states: list[RuleState]) -> list[str]:
    """Return warnings about windows too short for how often values arrive."""
    if isinstance(measure, Combination):
        windows = [
            (part.measure, [rule_state.state[i] for rule_state in rule_states])
            for i, part in enumerate(measure.parts)
        ]
    elif isinstance(measure, OtherFigure):
        windows = [(measure.left, [rule_state.state.left for rule_state in rule_states])]
    else:
        windows = [(measure, [rule_state.state for rule_state in rule_states])]
    found = []
    for window, states in windows:
        if isinstance(window, Window):
            gaps = [state.gap for state in states if window.is_too_short(state)]
            if gaps:
                every = format_span(max(gaps) / 1000)
                found.append(
                    f"{window}: values arrive every {every}, too rarely to be compared; "
                    f"use a `window` of at least {every}"
                )
    return found


def _warning(name: str) -> str:
    hint = did_you_mean(name, METRICS_BY_LOWERCASE.values())
    return f"metric `{name}` is unknown: no record kind has it and no bot has sent it{hint}"

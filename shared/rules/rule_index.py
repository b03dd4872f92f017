"""Rule index: which rules use which values of which records, and which of these never came. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.rules.measures.combination import Combination
from shared.rules.measures.comparison import OtherFigure
from shared.rules.measures.measure import Measure
from shared.rules.measures.window import Window
from shared.rules.rule import Rule
from shared.rules.rule_state import RuleState
from shared.rules.subject import Key
from shared.schema.conditions import METRICS_BY_LOWERCASE
from shared.schema.faults import did_you_mean
from shared.schema.formatting import format_span
from shared.schema.records import (
    CHECK_STATE,
    KINDS,
    AnyRecord,
    CashFlow,
    Check,
    Equity,
    Health,
    Metric,
    Performance,
    Record,
)
from shared.schema.rule_status import RuleStatus
from shared.schema.units import metric_fields

EVALUATED_KINDS: tuple[type[Record], ...] = (Performance, Equity, Health, Check)
"""Kinds whose metrics rules use by name; metric records carry their own name."""
HOST_METRICS = frozenset(
    (
        "health",
        "check",
        CHECK_STATE,
        *(figure.wire for kind in (Health, Check) for figure in metric_fields(kind)),
    )
)
"""Metrics and kinds of records about hosts."""
NET_FLOW = "netFlow"
"""A deposit or withdrawal, of an equity record or as a record of its own."""
ARRIVED = 1.0
"""Value of a kind of record (`fill`, `heartbeat`, …) as a metric: it arrived."""

Input = tuple[str | None, str]
"""Attribute of a record (None: the record itself), and the metric's name in rules."""


class RuleIndex:
    """Finds rules by the metrics that they use."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[str, list[Rule]] = {}
        for rule in rules:
            for metric in dict.fromkeys(rule.measure.metrics):
                self._rules.setdefault(metric, []).append(rule)
        self._names = {figure.wire for kind in EVALUATED_KINDS for figure in metric_fields(kind)}
        self._by_kind: dict[type[Record], Mapping[Rule, list[Input]]] = {}
        """What was found for records of a kind, but of metric records: they have names without end."""

    def rules_for(self, record: AnyRecord) -> Mapping[Rule, list[Input]]:
        """Return the rules for records of this kind (of metric records: this name), with their inputs."""
        kind = type(record)
        if known := self._by_kind.get(kind):
            return known
        found: dict[Rule, list[Input]] = {}
        for entry in self._inputs(record):
            for rule in self._rules.get(entry[1], ()):
                found.setdefault(rule, []).append(entry)
        if kind is not Metric:
            self._by_kind[kind] = found
        return found

    def _inputs(self, record: AnyRecord) -> Iterable[Input]:
        kind = type(record)
        yield from ((None, name) for name in KINDS if KINDS[name] is kind and name not in self._names)
        if isinstance(record, Metric):
            yield "value", record.name
        elif kind in EVALUATED_KINDS:
            yield from ((figure.attribute, figure.wire) for figure in metric_fields(kind))
        elif kind is CashFlow:
            yield "amount", NET_FLOW
        if kind is Check:
            yield "state", CHECK_STATE


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

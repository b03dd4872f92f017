"""Rule index: which rules use which values of which records."""

from collections.abc import Iterable

from services.evaluator.rules.rule import Rule
from shared.schema.records import (
    CHECK_STATE,
    KINDS,
    AnyRecord,
    Check,
    Equity,
    Health,
    Metric,
    Performance,
    Record,
)
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

    def rules_for(self, record: AnyRecord) -> dict[Rule, list[Input]]:
        """Return the rules for records of this kind (of metric records: this name), with their inputs."""
        found: dict[Rule, list[Input]] = {}
        for entry in self._inputs(record):
            for rule in self._rules.get(entry[1], ()):
                found.setdefault(rule, []).append(entry)
        return found

    def _inputs(self, record: AnyRecord) -> Iterable[Input]:
        kind = type(record)
        yield from ((None, name) for name in KINDS if KINDS[name] is kind and name not in self._names)
        if isinstance(record, Metric):
            yield "value", record.name
        elif kind in EVALUATED_KINDS:
            yield from ((figure.attribute, figure.wire) for figure in metric_fields(kind))
        if kind is Check:
            yield "state", CHECK_STATE

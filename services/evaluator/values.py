"""Which rules concern which records: an index, so that a record costs only the rules on its own figures."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.evaluator.rules.rule import Rule
from shared.schema.records import KINDS, AnyRecord, Equity, Health, Metric, Performance, Record
from shared.schema.units import figures

JUDGED: tuple[type[Record], ...] = (Performance, Equity, Health)
"""Kinds whose figures are judged by name; metric records bring their own name."""
CAME = 1.0
"""The value of a kind of record as a figure: it came."""


class Watched(NamedTuple):
    """A figure of a record kind and the rules on it."""

    attribute: str
    name: str
    rules: tuple[Rule, ...]


class RuleIndex:
    """The rules by what they look at."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_metric: dict[str, list[Rule]] = {}
        for rule in rules:
            for metric in rule.measure.metrics:
                by_metric.setdefault(metric, []).append(rule)
        self._by_name = {name: tuple(found) for name, found in by_metric.items()}
        self._by_kind = {
            kind: [
                Watched(figure.attribute, figure.wire, self._by_name[figure.wire])
                for figure in figures(kind)
                if figure.wire in self._by_name
            ]
            for kind in JUDGED
        }
        named = {figure.wire for kind in JUDGED for figure in figures(kind)}
        self._came = {
            kind: (name, self._by_name[name])
            for name, kind in KINDS.items()
            if name in self._by_name and name not in named
        }

    def values(self, record: AnyRecord) -> Iterator[tuple[str, float, tuple[Rule, ...]]]:
        """Yield each defined value of `record` that some rule looks at, by name, with those rules.

        A kind of record (`fill`, `heartbeat`, …) is a figure too: each record of it has the value 1.
        """
        kind = type(record)
        if came := self._came.get(kind):
            yield came[0], CAME, came[1]
        if isinstance(record, Metric):
            if rules := self._by_name.get(record.name):
                yield record.name, record.value, rules
            return
        for attribute, name, rules in self._by_kind.get(kind, ()):
            value = getattr(record, attribute)
            if value is not None:
                yield name, value, rules

"""Which rules concern which records: an index, so that a record costs only the rules on its own figures."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from services.evaluator.lifecycle import Subject
from services.evaluator.rules.threshold import Threshold
from shared.schema.records import AnyRecord, BotRecord, Equity, Health, Metric, Performance, Record
from shared.schema.units import figures

JUDGED: tuple[type[Record], ...] = (Performance, Equity, Health)
"""Kinds whose figures are judged by name; metric records bring their own name."""


class Watched(NamedTuple):
    """A figure of a record kind and the rules on it."""

    attribute: str
    rules: tuple[Threshold, ...]


class RuleIndex:
    """The rules by what they look at."""

    def __init__(self, rules: Iterable[Threshold]) -> None:
        by_metric: dict[str, list[Threshold]] = {}
        for rule in rules:
            by_metric.setdefault(rule.metric, []).append(rule)
        self._by_name = {name: tuple(found) for name, found in by_metric.items()}
        self._by_kind = {
            kind: [
                Watched(figure.attribute, self._by_name[figure.wire])
                for figure in figures(kind)
                if figure.wire in self._by_name
            ]
            for kind in JUDGED
        }

    def values(self, record: AnyRecord) -> Iterator[tuple[float, tuple[Threshold, ...]]]:
        """Yield each defined value of `record` that some rule looks at, with those rules."""
        if isinstance(record, Metric):
            if rules := self._by_name.get(record.name):
                yield record.value, rules
            return
        for watched in self._by_kind.get(type(record), ()):
            value = getattr(record, watched.attribute)
            if value is not None:
                yield value, watched.rules


def subject_of(record: AnyRecord) -> Subject:
    """Return what `record` is about; computed figures are alerted on apart from reported ones."""
    pairs = record.labels
    if isinstance(record, Performance) and record.source == "computed":
        pairs = pairs | {"source": "computed"}
    labels = tuple(sorted(pairs.items())) if pairs else ()
    if isinstance(record, BotRecord):
        return Subject(record.bot, None, labels)
    return Subject(None, record.subject, labels)

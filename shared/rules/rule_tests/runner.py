"""Rule test runner: feeds series through the engine and compares open alerts. Pure.

`botwatch rules test` runs it on the user's tests, `make test` on those of the shipped rules.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.rules.engine import Engine, RuleEvent
from shared.rules.measures.absence import Absence
from shared.rules.rule import Rule
from shared.rules.rule_result import render_message
from shared.rules.rule_tests.document import (
    ExpectedSection,
    OpenAlert,
    RuleTest,
    SeriesSection,
    format_alert,
    parse_series,
)
from shared.rules.subject import Key
from shared.schema.durations import format_duration_ms, milliseconds
from shared.schema.faults import Fault, InvalidError, did_you_mean
from shared.schema.records import KINDS, AnyRecord
from shared.schema.units import metric_fields

START_MS = 1_767_225_600_000
"""Start of every rule test: 2026-01-01 UTC, epoch milliseconds."""

REQUIRED_FIELDS: dict[str, dict[str, Any]] = {
    "performance": {"source": "computed"},  # a reported record would need a portfolio value
    "order": {"orderId": "o", "symbol": "s", "side": "buy", "quantity": 1, "status": "submitted"},
    "fill": {"orderId": "o", "fillId": "f", "symbol": "s", "side": "buy", "quantity": 1, "price": 1},
    "position": {"symbol": "s", "quantity": 1},
    "trade": {"symbol": "s", "side": "long", "quantity": 1, "entryPrice": 1, "exitPrice": 1, "pnl": 0},
    "funding": {"amount": 1},
    "event": {"title": "t"},
}
"""Required fields of each kind besides the metrics of a series."""


class ExpectationFailure(NamedTuple):
    """Missing and unexpected alerts at one time."""

    at: int
    missing: list[str]
    unexpected: list[str]

    def __str__(self) -> str:
        def listed(lines: Sequence[str]) -> str:
            return "\n            ".join(lines or ["no other alerts"])

        return (
            f"at {format_duration_ms(self.at)}\n  expected  {listed(self.missing)}\n  got       "
            f"{listed(self.unexpected)}"
        )


def run_test(test: RuleTest, rules: Sequence[Rule]) -> list[ExpectationFailure]:
    """Run a rule test and return where alerts differ; InvalidError for an unknown rule."""
    _check_rule_names(test, {rule.name for rule in rules})
    entries = defaultdict[int, list[AnyRecord]](list)
    for at, record in (*_series_records(test), *_check_records(test)):
        entries[at].append(record)
    expected: dict[int, list[ExpectedSection]] = {}
    for moment in test.alerts:
        expected.setdefault(START_MS + milliseconds(moment.at), []).extend(moment.expect)
    engine, found, firing = Engine(rules), [], dict[Key, OpenAlert]()
    for at in sorted(entries.keys() | expected.keys()):
        _apply_events(firing, engine.process(entries.get(at, []), at))
        if at in expected and (difference := _compare(expected[at], firing, at - START_MS)):
            found.append(difference)
    return found


def _check_rule_names(test: RuleTest, known: set[str]) -> None:
    faults = [
        Fault(
            f"$.alerts[{i}].expect[{j}].rule",
            f"unknown rule {section.rule!r}{did_you_mean(section.rule, known)}",
        )
        for i, moment in enumerate(test.alerts)
        for j, section in enumerate(moment.expect)
        if section.rule not in known
    ]
    if faults:
        raise InvalidError(faults)


def _series_records(test: RuleTest) -> Iterator[tuple[int, AnyRecord]]:
    """Yield the records of the series with their times, epoch milliseconds."""
    interval = milliseconds(test.interval)
    made: dict[int, dict[object, dict[str, Any]]] = {}
    for series in test.series:
        common = _common(series)
        group = tuple((name, str(text)) for name, text in common.items())
        for step, value in enumerate(parse_series(series.values)):
            if value is not None:
                at = START_MS + step * interval
                fields = made.setdefault(at, {}).setdefault(group, {**common, "timestamp": at})
                fields |= _metric_fields(series, value)
    yield from ((at, _record(fields)) for at, groups in made.items() for fields in groups.values())


def _check_records(test: RuleTest) -> Iterator[tuple[int, AnyRecord]]:
    """Yield the records of the checks with their times, epoch milliseconds."""
    interval = milliseconds(test.interval)
    for section in test.checks:
        common = {"kind": "check", "host": section.host, "check": section.check, "type": section.type}
        series = {name: parse_series(text) for name, text in section.figures.items()}
        for step, look in enumerate(section.looks):
            if look != "_":
                at = START_MS + step * interval
                status, _, text = look.partition(" ")
                known = {name: value for name, values in series.items() for value in values[step : step + 1]}
                fields = {"labels": section.labels, "status": status, "text": text, "timestamp": at}
                yield at, _record({**common, **fields, **known})


def _common(series: SeriesSection) -> dict[str, Any]:
    who = {"host": series.host} if series.host else {"bot": series.bot}
    kind = series.record_kind
    name = {"name": series.metric} if kind == "metric" else {}
    return {
        **REQUIRED_FIELDS.get(kind, {}), **who, **name,
        "kind": kind, "labels": series.labels, "_source": series.source,
    }  # fmt: skip


def _metric_fields(series: SeriesSection, value: float) -> Mapping[str, Any]:
    if series.record_kind == "metric":
        return {"value": value}
    if series.metric == "flow":
        return {"amount": value}
    is_figure = any(figure.wire == series.metric for figure in metric_fields(KINDS[series.record_kind]))
    return {series.metric: value} if is_figure else {}


def _record(fields: dict[str, Any]) -> AnyRecord:
    source = fields.pop("_source", "")
    try:
        record: AnyRecord = msgspec.convert(fields, AnyRecord, strict=False)
    except msgspec.ValidationError as error:
        at = format_duration_ms(fields["timestamp"] - START_MS)
        raise InvalidError([Fault("$.series", f"the {fields['kind']} record at {at}: {error}")]) from error
    if fields["kind"] == "performance":
        record.source = source  # type: ignore[union-attr]
    return record


def _apply_events(firing: dict[Key, OpenAlert], events: Iterable[RuleEvent]) -> None:
    for event in events:
        key, rule, outcome, _ = event
        if outcome.step in ("opened", "raised", "lowered", "updated"):
            if outcome.step == "updated" and isinstance(rule.measure, Absence):
                continue  # expected values are those at which it opened or was raised
            firing[key] = OpenAlert(outcome, render_message(event))
        elif outcome.step == "resolved":
            del firing[key]


def _compare(
    expected: Iterable[ExpectedSection], firing: Mapping[Key, OpenAlert], at: int
) -> ExpectationFailure | None:
    besides = dict(firing)
    missing = []
    for section in expected:
        met = next((key for key, alert in besides.items() if section.matches(key, alert)), None)
        if met is None:
            missing.append(str(section))
        else:
            del besides[met]
    return ExpectationFailure(at, missing, list(_lines(besides))) if missing or besides else None


def _lines(firing: Mapping[Key, OpenAlert]) -> Iterator[str]:
    for key, (seen, message) in firing.items():
        labels = dict(key.subject.labels)
        line = format_alert(key.rule, key.subject.name, seen.firing.severity, seen.value, labels)
        yield f"{line}: {message}"

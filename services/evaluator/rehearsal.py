"""Rehearsals: series as people write them down through the engine, and which alerts are open when. Pure.

`botwatch rules test` plays them, and `make test` those of the shipped rules. The format is promtool's in
spirit; docs/rules.md shows it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from services.evaluator.engine import Engine, Event
from services.evaluator.notation import expand
from services.evaluator.rules.rule import Rule
from services.evaluator.subject import Key
from services.evaluator.track import Outcome
from shared.schema.alerts import Severity
from shared.schema.conditions import Condition, Document, MetricName
from shared.schema.durations import Duration, milliseconds, words
from shared.schema.faults import Fault, InvalidError, nearest
from shared.schema.records import KINDS, AnyRecord, Labels, Name
from shared.schema.units import figures

BEGIN_MS = 1_767_225_600_000
"""When every rehearsal begins: 2026-01-01."""

NEEDED: dict[str, dict[str, Any]] = {
    "performance": {"source": "computed"},  # a reported one would need a portfolio value
    "order": {"orderId": "o", "symbol": "s", "side": "buy", "quantity": 1, "status": "submitted"},
    "fill": {"orderId": "o", "fillId": "f", "symbol": "s", "side": "buy", "quantity": 1, "price": 1},
    "event": {"title": "t"},
}
"""What a record must have besides the figures of a series."""


class Who(Document, kw_only=True):
    """A bot or a host."""

    bot: Name | None = None
    host: Name | None = None

    def __post_init__(self) -> None:
        if (self.bot is None) == (self.host is None):
            raise ValueError("expected exactly one of `bot` and `host`")


class SeriesSection(Who, kw_only=True):
    """The values of one figure of one bot or host; those of one kind of record at one moment share it."""

    metric: MetricName
    """A figure, the name of a metric record, or a kind of record."""
    kind: (
        Literal["performance", "equity", "health", "metric", "order", "fill", "heartbeat", "event"] | None
    ) = None
    source: Literal["reported", "computed"] = "reported"
    labels: Labels = msgspec.field(default_factory=dict)
    values: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind and (self.kind == "health") != (self.host is not None):
            raise ValueError("`kind`: records about hosts, and no others, are of the kind `health`")
        known = _names(self.record_kind)
        if known and self.metric not in known:
            close = nearest(self.metric, known)
            raise ValueError(f"`metric`: a {self.record_kind} record has no {self.metric!r}{close}")
        try:
            expand(self.values)
        except ValueError as error:
            raise ValueError(f"`values`: {error}") from error

    @property
    def record_kind(self) -> str:
        """The kind of record that has the figure."""
        if self.kind or self.host:
            return self.kind or "health"
        kinds = [kind for kind in ("equity", "performance", *KINDS) if self.metric == kind]
        kinds += [kind for kind in ("performance", "equity") if self.metric in _names(kind)]
        return kinds[0] if kinds else "metric"


class ExpectedSection(Who, kw_only=True):
    """An alert that is open; what is left out may be anything."""

    rule: str
    severity: Severity
    value: float | None = None
    labels: Labels | None = None

    def is_met_by(self, key: Key, seen: Outcome) -> bool:
        """Say whether an alert is the expected one."""
        subject = key.subject
        return (
            (key.rule, subject.bot, subject.host) == (self.rule, self.bot, self.host)
            and seen.firing.severity == self.severity
            and self.labels in (None, dict(subject.labels))
            and (self.value is None or _is_near(self.value, seen.value))
        )

    def __str__(self) -> str:
        return _line(self.rule, self.bot or self.host, self.severity, self.value, self.labels or {})


class MomentSection(Document, kw_only=True):
    """All alerts that are open at one moment."""

    at: Duration
    expect: list[ExpectedSection]


class Rehearsal(Document, kw_only=True):
    """A rule test."""

    rules: Annotated[str, Meta(min_length=1)] | None = None
    """A `performance_logger.json`, or a folder of config documents, relative to this file."""
    conditions: list[Condition] = msgspec.field(default_factory=list)
    interval: Duration = "1m"
    """Between two values of a series."""
    series: list[SeriesSection]
    alerts: Annotated[list[MomentSection], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if (self.rules is None) != bool(self.conditions):
            raise ValueError("expected exactly one of `rules` and `conditions`")
        if not milliseconds(self.interval):
            raise ValueError("`interval`: expected more than 0")


class Difference(NamedTuple):
    """What is not as expected at one moment: which alerts are missing, and which are open besides."""

    at: int
    missing: list[str]
    besides: list[str]

    def __str__(self) -> str:
        def listed(lines: Sequence[str]) -> str:
            return "\n            ".join(lines or ["nothing else"])

        return f"at {words(self.at)}\n  expected  {listed(self.missing)}\n  got       {listed(self.besides)}"


def rehearse(rehearsal: Rehearsal, rules: Sequence[Rule]) -> list[Difference]:
    """Play the series and return where the alerts are not as expected; InvalidError for an unknown rule."""
    _refuse_unknown(rehearsal, {rule.name for rule in rules})
    entries = _entries(rehearsal)
    expected: dict[int, list[ExpectedSection]] = {}
    for moment in rehearsal.alerts:
        expected.setdefault(BEGIN_MS + milliseconds(moment.at), []).extend(moment.expect)
    engine, found, firing = Engine(rules), [], dict[Key, Outcome]()
    for at in sorted(entries.keys() | expected.keys()):
        _follow(firing, engine.take(entries.get(at, []), at))
        if at in expected and (difference := _compare(expected[at], firing, at - BEGIN_MS)):
            found.append(difference)
    return found


def _refuse_unknown(rehearsal: Rehearsal, known: set[str]) -> None:
    faults = [
        Fault(f"$.alerts[{i}].expect[{j}].rule", f"no rule is named {one.rule!r}{nearest(one.rule, known)}")
        for i, moment in enumerate(rehearsal.alerts)
        for j, one in enumerate(moment.expect)
        if one.rule not in known
    ]
    if faults:
        raise InvalidError(faults)


def _entries(rehearsal: Rehearsal) -> dict[int, list[AnyRecord]]:
    """Return the records of the series by their moments."""
    interval = milliseconds(rehearsal.interval)
    made: dict[int, dict[object, dict[str, Any]]] = {}
    for series in rehearsal.series:
        common = _common(series)
        group = tuple((name, str(text)) for name, text in common.items())
        for step, value in enumerate(expand(series.values)):
            if value is not None:
                at = BEGIN_MS + step * interval
                fields = made.setdefault(at, {}).setdefault(group, {**common, "timestamp": at})
                fields |= _figure(series, value)
    return {at: [_record(fields) for fields in groups.values()] for at, groups in made.items()}


def _common(series: SeriesSection) -> dict[str, Any]:
    who = {"host": series.host} if series.host else {"bot": series.bot}
    kind = series.record_kind
    name = {"name": series.metric} if kind == "metric" else {}
    return {
        **NEEDED.get(kind, {}), **who, **name,
        "kind": kind, "labels": series.labels, "_source": series.source,
    }  # fmt: skip


def _figure(series: SeriesSection, value: float) -> Mapping[str, Any]:
    if series.record_kind == "metric":
        return {"value": value}
    is_figure = any(figure.wire == series.metric for figure in figures(KINDS[series.record_kind]))
    return {series.metric: value} if is_figure else {}


def _record(fields: dict[str, Any]) -> AnyRecord:
    source = fields.pop("_source")
    try:
        record: AnyRecord = msgspec.convert(fields, AnyRecord, strict=False)
    except msgspec.ValidationError as error:
        at = words(fields["timestamp"] - BEGIN_MS)
        raise InvalidError([Fault("$.series", f"the {fields['kind']} record at {at}: {error}")]) from error
    if fields["kind"] == "performance":
        record.source = source  # type: ignore[union-attr]
    return record


def _follow(firing: dict[Key, Outcome], events: Iterable[Event]) -> None:
    for event in events:
        if event.outcome.step in ("opened", "raised", "lowered", "updated"):
            firing[event.key] = event.outcome
        elif event.outcome.step == "resolved":
            del firing[event.key]


def _compare(
    expected: Iterable[ExpectedSection], firing: Mapping[Key, Outcome], at: int
) -> Difference | None:
    besides = dict(firing)
    missing = []
    for one in expected:
        met = next((key for key, seen in besides.items() if one.is_met_by(key, seen)), None)
        if met is None:
            missing.append(str(one))
        else:
            del besides[met]
    return Difference(at, missing, list(_lines(besides))) if missing or besides else None


def _lines(firing: Mapping[Key, Outcome]) -> Iterator[str]:
    for key, seen in firing.items():
        labels = dict(key.subject.labels)
        yield _line(key.rule, key.subject.name, seen.firing.severity, seen.value, labels)


def _line(rule: str, name: str | None, severity: str, value: float | None, labels: Mapping[str, str]) -> str:
    pairs = "".join(f" {label}={text}" for label, text in labels.items())
    return f"{rule} {name}{pairs} {severity}" + ("" if value is None else f" {value:.6g}")


def _is_near(expected: float, got: float | None) -> bool:
    return got is not None and math.isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)


def _names(kind: str) -> set[str]:
    """Return the figures that a kind of record has, and the kind; nothing for one with any name."""
    return set() if kind == "metric" else {kind, *(figure.wire for figure in figures(KINDS[kind]))}

"""Rule test files: their format, section by section; see docs/rules.md. Pure.

The format follows promtool's, and so does the notation of series: `5` is one value and `_` a missing one;
`5x3` is 5 and three more of it, `5+2x3` is 5 7 9 11, `5-2x3` is 5 3 1 -1, and `_x3` is three missing ones.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from shared.rules.rule_state import StepResult
from shared.rules.subject import Key
from shared.schema.alerts import Severity
from shared.schema.conditions import Condition, Document, MetricName
from shared.schema.durations import Duration, milliseconds
from shared.schema.faults import did_you_mean
from shared.schema.records import KINDS, Check, CheckType, Labels, Name
from shared.schema.units import metric_fields

MAX_VALUES = 100_000
"""Maximum number of values in one series; a typo must not exhaust memory."""


class SubjectSection(Document, kw_only=True):
    """A bot or a host."""

    bot: Name | None = None
    host: Name | None = None

    def __post_init__(self) -> None:
        if (self.bot is None) == (self.host is None):
            raise ValueError("expected exactly one of `bot` and `host`")


class SeriesSection(SubjectSection, kw_only=True):
    """Values of one metric of one bot or host; series of one kind share records at equal times."""

    metric: MetricName
    """A metric of a record, the name of a metric record, or a kind of record."""
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
        known = _metric_names(self.record_kind)
        if known and self.metric not in known:
            close = did_you_mean(self.metric, known)
            raise ValueError(f"`metric`: a {self.record_kind} record has no {self.metric!r}{close}")
        try:
            parse_series(self.values)
        except ValueError as error:
            raise ValueError(f"`values`: {error}") from error

    @property
    def record_kind(self) -> str:
        """The kind of record that has the metric."""
        if self.kind or self.host:
            return self.kind or "health"
        kinds = [kind for kind in ("equity", "performance", *KINDS) if self.metric == kind]
        kinds += [kind for kind in ("performance", "equity") if self.metric in _metric_names(kind)]
        return kinds[0] if kinds else "metric"


CheckValue = Annotated[
    str,
    Meta(
        pattern=r"^(_|(ok|warning|critical|unknown)( .*)?)\Z",
        max_length=4096,
        description="a status (ok, warning, critical, unknown) with its text after it, or _ for none",
    ),
]


class ChecksSection(Document, kw_only=True):
    """Results of one check on one host, run by run."""

    host: Name
    check: Name
    type: CheckType
    labels: Labels = msgspec.field(default_factory=dict)
    looks: Annotated[list[CheckValue], Meta(max_length=MAX_VALUES)]
    figures: dict[MetricName, str] = msgspec.field(default_factory=dict)
    """Further metrics of the same records, each a series."""

    def __post_init__(self) -> None:
        known = {figure.wire for figure in metric_fields(Check)}
        for name, series in self.figures.items():
            if name not in known:
                raise ValueError(f"`figures`: a check record has no {name!r}{did_you_mean(name, known)}")
            try:
                parse_series(series)
            except ValueError as error:
                raise ValueError(f"`figures.{name}`: {error}") from error


class OpenAlert(NamedTuple):
    """An open alert: its latest result and message."""

    outcome: StepResult
    message: str


class ExpectedSection(SubjectSection, kw_only=True):
    """An expected open alert; omitted fields match anything."""

    rule: str
    severity: Severity
    value: float | None = None
    labels: Labels | None = None
    message: str | None = None

    def matches(self, key: Key, alert: OpenAlert) -> bool:
        """Return whether an alert is the expected one."""
        subject = key.subject
        return (
            (key.rule, subject.bot, subject.host) == (self.rule, self.bot, self.host)
            and alert.outcome.firing.severity == self.severity
            and self.labels in (None, dict(subject.labels))
            and (self.value is None or _is_close(self.value, alert.outcome.value))
            and self.message in (None, alert.message)
        )

    def __str__(self) -> str:
        line = format_alert(self.rule, self.bot or self.host, self.severity, self.value, self.labels or {})
        return line if self.message is None else f"{line}: {self.message}"


class AlertsAtSection(Document, kw_only=True):
    """All alerts open at one time."""

    at: Duration
    expect: list[ExpectedSection]


class RuleTest(Document, kw_only=True):
    """A rule test."""

    rules: Annotated[str, Meta(min_length=1)] | None = None
    """A `performance_logger.json`, or a folder of config documents, relative to this file."""
    conditions: list[Condition] = msgspec.field(default_factory=list)
    interval: Duration = "1m"
    """Time between two values of a series."""
    series: list[SeriesSection] = msgspec.field(default_factory=list)
    checks: list[ChecksSection] = msgspec.field(default_factory=list)
    alerts: Annotated[list[AlertsAtSection], Meta(min_length=1)]

    def __post_init__(self) -> None:
        if (self.rules is None) != bool(self.conditions):
            raise ValueError("expected exactly one of `rules` and `conditions`")
        if not milliseconds(self.interval):
            raise ValueError("`interval`: expected more than 0")


def format_alert(
    rule: str, name: str | None, severity: str, value: float | None, labels: Mapping[str, str]
) -> str:
    """Format an alert for a failure report."""
    pairs = "".join(f" {label}={text}" for label, text in labels.items())
    return f"{rule} {name}{pairs} {severity}" + ("" if value is None else f" {value:.6g}")


def _is_close(expected: float, got: float | None) -> bool:
    return got is not None and math.isclose(expected, got, rel_tol=1e-6, abs_tol=1e-9)


def _metric_names(kind: str) -> set[str]:
    """Return the metrics of a kind of record, and the kind; empty for `metric`, which has any name."""
    return set() if kind == "metric" else {kind, *(figure.wire for figure in metric_fields(KINDS[kind]))}


_NUMBER = r"[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?"
_WORD = re.compile(rf"(?P<first>_|[+-]?{_NUMBER})(?P<more>(?P<step>[+-]{_NUMBER})?x(?P<times>[0-9]{{1,9}}))?")


def parse_series(series: str) -> list[float | None]:
    """Return the values of a series, None for missing ones; ValueError names the invalid part."""
    values: list[float | None] = []
    for word in series.split():
        values += _expand_word(word, MAX_VALUES - len(values))
    return values


def _expand_word(word: str, room: int) -> list[float | None]:
    found = _WORD.fullmatch(word)
    if not found or (found["first"] == "_" and found["step"]):
        raise ValueError(f"expected values such as 1, 1x4, 1+2x4, _ or _x3, got {word!r}")
    times = int(found["times"] or 0)
    if times >= room:
        raise ValueError(f"expected at most {MAX_VALUES} values, got more with {word!r}")
    if found["first"] == "_":
        return [None] * (times if found["more"] else 1)
    first, step = float(found["first"]), float(found["step"] or 0)
    return [first + step * i for i in range(times + 1)]

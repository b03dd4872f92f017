"""Conditions: the rules as people write them in `performance_logger.json`, the seed's keys and more.

`make schema` writes their JSON Schema for editors.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.schema.alerts import Category, Severity, worse
from shared.schema.durations import Duration, milliseconds

Operator = Literal[">", ">=", "<", "<=", "==", "!="]
Aggregate = Literal["avg", "min", "max", "sum", "count", "last", "delta", "change", "rate", "quantile"]
Relation = Literal["difference", "percent", "ratio", "share"]
RuleName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\Z")]
MetricName = Annotated[str, Meta(min_length=1, max_length=128)]
Pattern = Annotated[str, Meta(min_length=1, max_length=128)]


class Document(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A part of a config document."""


class LevelSection(Document, kw_only=True):
    """A further step of the ladder."""

    threshold: float
    severity: Severity
    clear_threshold: float | None = None


class ComparedWith(Document, kw_only=True):
    """What a figure is compared with: another one, its own past, or what is usual for it."""

    metric_name: MetricName | None = None
    """Another figure of the same bot or host."""
    offset: Duration | None = None
    """Its own mean over `window`, so long ago."""
    baseline: Duration | None = None
    """Its means over stretches of `window` during so long; the value is then in standard deviations."""
    relation: Relation = msgspec.field(default="difference", name="as")

    def __post_init__(self) -> None:
        given = [name for name in ("metric_name", "offset", "baseline") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("expected exactly one of `metricName`, `offset` and `baseline`")


class PartSection(Document, kw_only=True):
    """One condition of a combination."""

    metric_name: MetricName
    operator: Operator
    threshold: float
    aggregate: Aggregate | None = None
    window: Duration | None = None
    quantile: Annotated[float, Meta(ge=0, le=1)] | None = None

    def __post_init__(self) -> None:
        check_aggregate(self.aggregate, self.window, self.quantile)


class Condition(Document, kw_only=True):
    """A rule: a figure, a limit, and what follows from it."""

    name: RuleName | None = None
    """By default made of figure, operator and limit: `maxDrawdown-above-20`."""
    kind: Literal["threshold", "absence", "combination"] = "threshold"
    metric_name: MetricName | None = None
    """A figure of performance, equity or health records, the name of a metric record, or a kind of record."""
    operator: Operator | None = None
    threshold: float | None = None
    clear_threshold: float | None = None
    """Once open, the alert ends only when the value is no longer beyond this limit."""
    severity: Severity
    levels: list[LevelSection] = []
    """Further limits in the same rule: one alert that rises and falls."""
    aggregate: Aggregate | None = None
    window: Duration | None = None
    quantile: Annotated[float, Meta(ge=0, le=1)] | None = None
    compared_with: ComparedWith | None = None
    times: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """At least so many of the last `of` values must be beyond the limit."""
    of: Annotated[int, Meta(ge=1, le=1000)] | None = None
    period: Duration | None = None
    """How often it should come; with `grace` how long an absence may be."""
    grace: Duration = 0.0
    match: Literal["all", "any", "none"] = "all"
    conditions: list[PartSection] = []
    for_: Duration = msgspec.field(default=0.0, name="for")
    keep_firing_for: Duration = 0.0
    category: Category = "PERFORMANCE"
    bots: list[Pattern] = []
    labels: dict[str, Pattern] = {}
    description: Annotated[str, Meta(max_length=1024)] = ""
    runbook: Annotated[str, Meta(max_length=1024)] | None = None
    """A page of docs/runbooks by its name, or a URL."""
    enabled: bool = True

    def __post_init__(self) -> None:
        if self.kind == "absence":
            self._need("an absence", metricName=self.metric_name, period=self.period)
        elif self.kind == "combination":
            if not self.conditions:
                raise ValueError("`conditions`: a combination needs at least one")
        else:
            self._need(
                "a threshold", metricName=self.metric_name, operator=self.operator, threshold=self.threshold
            )
        self._check_measure()
        self._check_levels()

    def _need(self, what: str, **given: object) -> None:
        missing = [f"`{name}`" for name, value in given.items() if value is None]
        if missing:
            raise ValueError(f"{', '.join(missing)}: {what} needs it")

    def _check_measure(self) -> None:
        compared = self.compared_with
        is_with_past = compared is not None and compared.metric_name is None
        check_aggregate(self.aggregate, None if is_with_past else self.window, self.quantile)
        if (self.times is None) != (self.of is None):
            raise ValueError("`times` and `of` go together")
        if self.times is not None and self.of is not None and self.times > self.of:
            raise ValueError(f"`times`: expected at most `of` ({self.of}), got {self.times}")
        if self.times is not None and self.operator in ("==", "!="):
            raise ValueError("`times`: expected an operator that has a direction")
        if self.times is not None and (self.aggregate or compared):
            raise ValueError("`times`: cannot be together with `aggregate` or `comparedWith`")
        if is_with_past and self.aggregate:
            raise ValueError("`aggregate`: cannot be together with a comparison with the past")
        if is_with_past and not milliseconds(self.window or 0.0):
            raise ValueError("`window`: needed to compare with the past")

    def _check_levels(self) -> None:
        if self.threshold is None or self.operator is None:
            return
        if self.levels and self.operator in ("==", "!="):
            raise ValueError("`levels`: expected an operator that has a direction")
        severities = [self.severity, *(level.severity for level in self.levels)]
        if len(set(severities)) < len(severities):
            raise ValueError("`levels`: each severity may be there once, the rule's own among them")
        side = 1 if ">" in self.operator else -1
        for level in self.levels:
            is_further = side * (level.threshold - self.threshold) > 0
            if is_further != worse(level.severity, self.severity):
                raise ValueError(
                    f"`levels`: expected a graver severity further out, got {level.severity} "
                    f"at {level.threshold:g} and {self.severity} at {self.threshold:g}"
                )
        for limit, clear in (
            (self.threshold, self.clear_threshold),
            *((level.threshold, level.clear_threshold) for level in self.levels),
        ):
            check_clear(self.operator, limit, clear)


def check_aggregate(aggregate: str | None, window: str | float | None, quantile: float | None) -> None:
    """Raise ValueError unless aggregate, window and quantile fit together."""
    if (aggregate is None) != (not milliseconds(window or 0.0)):
        raise ValueError("`aggregate` and `window` go together")
    if (aggregate == "quantile") != (quantile is not None):
        raise ValueError('`quantile` and `"aggregate": "quantile"` go together')


def check_clear(operator: str, threshold: float, clear: float | None) -> None:
    """Raise ValueError when a clear limit lies beyond the limit that it clears, or could never be met."""
    if clear is None:
        return
    if operator in ("==", "!="):
        raise ValueError("`clearThreshold`: expected an operator that has a direction")
    if (clear > threshold) if ">" in operator else (clear < threshold):
        side = "at most" if ">" in operator else "at least"
        raise ValueError(f"`clearThreshold`: expected {side} the threshold ({threshold:g}), got {clear:g}")

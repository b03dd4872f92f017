"""Conditions: the rules in `performance_logger.json`.

`make schema` writes their JSON Schema for editors.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.schema.alerts import Category, Severity, is_more_severe
from shared.schema.durations import Duration, milliseconds
from shared.schema.faults import did_you_mean
from shared.schema.records import CHECK_STATE, KINDS, Check, Equity, Health, LabelName, Performance
from shared.schema.units import metric_fields

Operator = Literal[">", ">=", "<", "<=", "==", "!="]
Aggregate = Literal["avg", "min", "max", "sum", "count", "last", "delta", "change", "rate", "quantile"]
Relation = Literal["difference", "percent", "ratio", "share"]
RuleName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}\Z",
        description="a name of letters, digits and _ . : - (at most 128), such as slippage-high",
    ),
]
Runbook = Annotated[
    str,
    Meta(
        pattern=r"^(https?://\S{1,1000}|[a-z0-9][a-z0-9-]{0,127})\Z",
        description="the name of a page of docs/runbooks, such as slippage, or a URL (https://…)",
    ),
]
MetricName = Annotated[str, Meta(min_length=1, max_length=128)]
Pattern = Annotated[str, Meta(min_length=1, max_length=128)]


KINDS_WITH: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("conditions", "match"), ("combination",)),
    **dict.fromkeys(("period", "grace"), ("absence",)),
    **dict.fromkeys(
        ("operator", "threshold", "clear_threshold", "aggregate", "window", "quantile", "compared_with",
         "times", "of"),
        ("threshold",),
    ),
    "metric_name": ("threshold", "absence"),
    "levels": ("threshold", "absence"),
}  # fmt: skip
"""Keys that apply to some kinds of rules only."""
METRICS_BY_LOWERCASE = {
    name.lower(): name
    for name in (
        *KINDS,
        CHECK_STATE,
        *(figure.wire for kind in (Performance, Equity, Health, Check) for figure in metric_fields(kind)),
    )
}
"""Built-in metrics and record kinds, by their names in lower case."""
MIN_BASELINE_PERIODS = 10
"""Minimum number of windows in a baseline."""

_PLACEHOLDERS = re.compile(r"\{([^{}]*)\}")


class Document(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A part of a config document."""


class LevelSection(Document, kw_only=True):
    """A further threshold with its own severity."""

    threshold: float
    severity: Severity
    clear_threshold: float | None = None


class ComparedWith(Document, kw_only=True):
    """What a metric is compared with: another metric, its own past, or its baseline."""

    metric_name: MetricName | None = None
    """Another metric of the same bot or host."""
    offset: Duration | None = None
    """Compare with its own mean over `window`, this long ago."""
    baseline: Duration | None = None
    """Compare with its means over windows of `window` in this time; the value is in standard deviations."""
    relation: Relation = msgspec.field(default="difference", name="as")

    def __post_init__(self) -> None:
        validate_metric_name(self.metric_name)
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
        validate_metric_name(self.metric_name)
        validate_aggregate(self.aggregate, self.window, self.quantile)


class Condition(Document, kw_only=True):
    """A rule: a metric, a threshold, and the alert that it opens."""

    name: RuleName | None = None
    """Default: metric, operator and threshold, such as `maxDrawdown-above-20`."""
    kind: Literal["threshold", "absence", "combination"] = "threshold"
    metric_name: MetricName | None = None
    """A metric of performance, equity or health records, the name of a metric record, or a record kind."""
    operator: Operator | None = None
    threshold: float | None = None
    clear_threshold: float | None = None
    """An open alert resolves only when the value is back within this threshold."""
    severity: Severity
    levels: list[LevelSection] = []
    """Further thresholds of the same rule: one alert whose severity is raised and lowered."""
    aggregate: Aggregate | None = None
    window: Duration | None = None
    quantile: Annotated[float, Meta(ge=0, le=1)] | None = None
    compared_with: ComparedWith | None = None
    times: Annotated[int, Meta(ge=1, le=1000)] | None = None
    """N of M: at least this many of the last `of` values must exceed the threshold."""
    of: Annotated[int, Meta(ge=1, le=1000)] | None = None
    period: Duration | None = None
    """Expected interval; with `grace` the longest accepted absence."""
    grace: Duration = 0.0
    match: Literal["all", "any", "none"] = "all"
    conditions: list[PartSection] = []
    for_: Duration = msgspec.field(default=0.0, name="for")
    keep_firing_for: Duration = 0.0
    category: Category = "PERFORMANCE"
    bots: list[Pattern] = []
    """Names or patterns (`scalper-*`) of bots or hosts; empty: all."""
    labels: dict[LabelName, Pattern] = {}
    """Labels that a record must have; values may be patterns."""
    description: Annotated[str, Meta(max_length=1024)] = ""
    """Message of the alert, with `{value} {threshold} {metric} {bot} {host} {window}` and the rule's labels.

    `{valueText}` and `{limitText}` are value and threshold with their units. For checks also `{check} {type}
    {text}`: name, type and result.
    """
    runbook: Runbook | None = None
    enabled: bool = True

    def __post_init__(self) -> None:
        self._check_kind()
        validate_metric_name(self.metric_name)
        self._check_measure()
        self._check_levels()
        self._check_description()

    def _check_kind(self) -> None:
        if self.kind == "absence":
            self._require("an absence", metricName=self.metric_name, period=self.period)
        elif self.kind == "combination":
            if not self.conditions:
                raise ValueError("`conditions`: expected at least one")
        else:
            self._require(
                "a threshold", metricName=self.metric_name, operator=self.operator, threshold=self.threshold
            )
        for field in _CONDITION_FIELDS:
            kinds = KINDS_WITH.get(field.name, (self.kind,))
            if self.kind not in kinds and getattr(self, field.name) not in (field.default, []):
                wanted = " or ".join(f'`"kind": "{kind}"`' for kind in kinds)
                raise ValueError(f"`{field.encode_name}`: only with {wanted}")

    def _require(self, what: str, **given: object) -> None:
        missing = [f"`{name}`" for name, value in given.items() if value is None]
        if missing:
            raise ValueError(f"{', '.join(missing)}: {what} needs it")

    def _check_measure(self) -> None:
        compared = self.compared_with
        is_with_past = compared is not None and compared.metric_name is None
        if is_with_past and self.aggregate:
            raise ValueError("`aggregate`: cannot be combined with `comparedWith`")
        validate_aggregate(self.aggregate, None if is_with_past else self.window, self.quantile)
        if (self.times is None) != (self.of is None):
            raise ValueError("`times` and `of` go together")
        if self.times is not None and self.of is not None and self.times > self.of:
            raise ValueError(f"`times`: expected at most `of` ({self.of}), got {self.times}")
        if self.times is not None and self.operator in ("==", "!="):
            raise ValueError("`times`: expected the operator >, >=, < or <=")
        if self.times is not None and (self.aggregate or compared):
            raise ValueError("`times`: cannot be combined with `aggregate` or `comparedWith`")
        if is_with_past:
            self._check_offset()

    def _check_offset(self) -> None:
        window, compared = milliseconds(self.window or 0.0), self.compared_with
        if not window:
            raise ValueError("`window`: required with `comparedWith`")
        if compared and compared.offset is not None and milliseconds(compared.offset) < window:
            raise ValueError("`comparedWith`: expected an `offset` of at least `window`")
        if (
            compared
            and compared.baseline is not None
            and milliseconds(compared.baseline) < MIN_BASELINE_PERIODS * window
        ):
            raise ValueError(
                f"`comparedWith`: expected a `baseline` of at least {MIN_BASELINE_PERIODS} times `window`"
            )

    def _check_levels(self) -> None:
        threshold, operator = self.threshold, self.operator
        if self.kind == "absence":
            threshold, operator = self._longest_absence(), ">"
        if threshold is None or operator is None:
            return
        if self.levels and operator in ("==", "!="):
            raise ValueError("`levels`: expected the operator >, >=, < or <=")
        severities = [self.severity, *(level.severity for level in self.levels)]
        if len(set(severities)) < len(severities):
            raise ValueError("`levels`: expected each severity at most once, the rule's own included")
        side = 1 if ">" in operator else -1
        for level in self.levels:
            is_further = side * (level.threshold - threshold) > 0
            if is_further != is_more_severe(level.severity, self.severity):
                raise ValueError(
                    f"`levels`: expected a higher severity at a worse threshold, got {level.severity} "
                    f"at {level.threshold:g} and {self.severity} at {threshold:g}"
                )
        for limit, clear in (
            (threshold, self.clear_threshold),
            *((level.threshold, level.clear_threshold) for level in self.levels),
        ):
            validate_clear_threshold(operator, limit, clear)

    def _longest_absence(self) -> float:
        if any(level.clear_threshold is not None for level in self.levels):
            raise ValueError("`levels`: `clearThreshold` does not apply to an absence")
        limit = milliseconds(self.period or 0.0) + milliseconds(self.grace)
        if not limit:
            raise ValueError("`period`: expected more than 0")
        return limit / 1000

    def _check_description(self) -> None:
        known = [
            "value",
            "threshold",
            "valueText",
            "limitText",
            "metric",
            "bot",
            "host",
            "check",
            "type",
            "text",
            *self.labels,
        ]
        if self.window is not None or self.period is not None:
            known.append("window")
        for name in _PLACEHOLDERS.findall(self.description):
            if name not in known:
                listed = " ".join(f"{{{one}}}" for one in known)
                raise ValueError(
                    f"`description`: unknown placeholder {{{name}}}, expected one of "
                    f"{listed}{did_you_mean(name, known)}"
                )


_CONDITION_FIELDS = msgspec.structs.fields(Condition)  # which takes a millisecond, and there are hundreds


def validate_metric_name(name: str | None) -> None:
    """Raise ValueError for a built-in metric with wrong capitals.

    Any other name may be the name of a metric record.
    """
    known = METRICS_BY_LOWERCASE.get((name or "").lower(), name)
    if name != known:
        raise ValueError(f"`metricName`: unknown metric {name!r}; did you mean `{known}`?")


def validate_aggregate(aggregate: str | None, window: str | float | None, quantile: float | None) -> None:
    """Raise ValueError unless aggregate, window and quantile fit together."""
    if (aggregate is None) != (not milliseconds(window or 0.0)):
        raise ValueError("`aggregate` and `window` go together")
    if (aggregate == "quantile") != (quantile is not None):
        raise ValueError('`quantile` and `"aggregate": "quantile"` go together')


def validate_clear_threshold(operator: str, threshold: float, clear: float | None) -> None:
    """Raise ValueError when a clear threshold is beyond the threshold, or can never be met."""
    if clear is None:
        return
    if operator in ("==", "!="):
        raise ValueError("`clearThreshold`: expected the operator >, >=, < or <=")
    if (clear > threshold) if ">" in operator else (clear < threshold):
        side = "at most" if ">" in operator else "at least"
        raise ValueError(f"`clearThreshold`: expected {side} the threshold ({threshold:g}), got {clear:g}")

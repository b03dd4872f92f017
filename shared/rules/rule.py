"""Rule: a measure, its levels, how long they must be met, and the bots or hosts that it applies to."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from shared.rules.measures.absence import Absence
from shared.rules.measures.measure import COMPARISONS, Measure
from shared.rules.subject import COMPUTED_LABEL, Subject
from shared.schema.alerts import Category, Severity, is_more_severe
from shared.schema.conditions import Condition
from shared.schema.measured_values import Measured, measured_metric
from shared.schema.patterns import glob_matches


class SeverityLevel(NamedTuple):
    """One threshold with its severity."""

    threshold: float
    severity: Severity
    clear: float | None = None
    """Clear threshold: once met, the level holds until the value is back within it."""


class Firing(NamedTuple):
    """A level that is met: severity and threshold."""

    severity: Severity
    threshold: float


NOT_FIRING = None
"""The value is within every threshold, or undefined."""

Verdict = Firing | None


def evaluate_levels(
    levels: Sequence[SeverityLevel], comparison: str, value: float | None, standing: Severity | None = None
) -> Verdict:
    """Return the first level that the value meets; `levels` go from most to least severe.

    `standing` is the severity of the open alert: for its level and those below, clear thresholds apply.
    """
    if value is None:
        return NOT_FIRING
    compare = COMPARISONS[comparison]
    for threshold, severity, clear in levels:
        limit = threshold
        if clear is not None and standing is not None and not is_more_severe(severity, standing):
            limit = clear
        if compare(value, limit):
            return Firing(severity, threshold)
    return NOT_FIRING


class Rule(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One enabled rule."""

    name: str
    measure: Measure
    metric: str
    """The metric that the rule is on."""
    measured: Measured | None = None
    """What the value means; None: the metric itself."""
    operator: str
    levels: tuple[SeverityLevel, ...]
    """From most to least severe."""
    for_ms: int = 0
    """How long a level must be met before the alert opens."""
    keep_ms: int = 0
    """How long an alert stays open after no level is met."""
    category: Category
    bots: tuple[str, ...] = ()
    """Names or glob patterns of bots or hosts; empty for all."""
    labels: tuple[tuple[str, str], ...] = ()
    """Labels that a record must have; values may be glob patterns."""
    description: str
    """Message template; placeholders as in `Condition.description`."""
    window: str = ""
    runbook: str | None = None
    place: str = ""
    """Where it is configured: `performance_logger.json: alerting.conditions[3]`; empty for built-in rules."""
    condition: Condition | None = None
    """What it was made from; None: thresholds of a host, or a built-in rule on checks."""

    @property
    def displayed(self) -> Measured:
        """Label and unit of an alert's value and limit."""
        return self.measured or measured_metric(self.metric)

    def subject_for(self, subject: Subject) -> Subject | None:
        """Return the subject under which the rule evaluates records of `subject`; None: not at all.

        An absence is about the bot, whatever the labels of its records; computed records are no sign of life.
        """
        if not isinstance(self.measure, Absence):
            return subject
        if COMPUTED_LABEL in subject.labels:
            return None
        wanted = {label for label, _ in self.labels}
        return subject._replace(labels=tuple(pair for pair in subject.labels if pair[0] in wanted))

    def expected_subjects(self) -> tuple[str, ...]:
        """Return the bots or hosts expected although they never sent a record: those named in full."""
        if not isinstance(self.measure, Absence) or self.labels:
            return ()
        return tuple(name for name in self.bots if not set(name) & set("*?["))

    def may_apply_to(self, name: str) -> bool:
        """Return whether the rule applies to the bot or host `name`, whatever its labels."""
        return not self.bots or any(glob_matches(pattern, name) for pattern in self.bots)

    def applies_to(self, name: str, labels: dict[str, str]) -> bool:
        """Return whether the rule applies to records of the bot or host `name` with `labels`."""
        return self.may_apply_to(name) and all(
            label in labels and glob_matches(pattern, labels[label]) for label, pattern in self.labels
        )

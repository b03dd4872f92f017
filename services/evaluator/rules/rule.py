"""Rule: a measure, its levels, how long they must be met, and the bots or hosts that it applies to."""

import msgspec

from services.evaluator.rules.absence import Absence
from services.evaluator.rules.levels import SeverityLevel
from services.evaluator.rules.measure import Measure
from services.evaluator.subject import COMPUTED_LABEL, Subject
from shared.schema.alerts import Category
from shared.schema.measured_values import Measured, measured_metric
from shared.schema.patterns import glob_matches


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

    def applies_to(self, name: str, labels: dict[str, str]) -> bool:
        """Return whether the rule applies to records of the bot or host `name` with `labels`."""
        if self.bots and not any(glob_matches(pattern, name) for pattern in self.bots):
            return False
        return all(label in labels and glob_matches(pattern, labels[label]) for label, pattern in self.labels)

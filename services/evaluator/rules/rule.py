"""A rule: what it measures, from where on that is bad, for how long, and for whom."""

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
    """The figure that the rule is on."""
    measured: Measured | None = None
    """What its value is; None: the figure itself."""
    operator: str
    levels: tuple[SeverityLevel, ...]
    """From the gravest down."""
    for_ms: int = 0
    """So long a level must be met before the alert opens."""
    keep_ms: int = 0
    """So long an alert stays open after its levels are no longer met."""
    category: Category
    bots: tuple[str, ...] = ()
    """Names or patterns of bots or hosts; empty for all."""
    labels: tuple[tuple[str, str], ...] = ()
    """Labels that a record must have; values may be patterns."""
    description: str
    """A template, with the places that `Condition.description` knows."""
    window: str = ""
    runbook: str | None = None

    @property
    def displayed(self) -> Measured:
        """What an alert's value and limit are called, and their unit."""
        return self.measured or measured_metric(self.metric)

    def subject_for(self, subject: Subject) -> Subject | None:
        """Return as what the rule hears of `subject`, if at all.

        An absence is the bot's, whatever labels its records have; what Botwatch computes is no sign of life.
        """
        if not isinstance(self.measure, Absence):
            return subject
        if COMPUTED_LABEL in subject.labels:
            return None
        wanted = {label for label, _ in self.labels}
        return subject._replace(labels=tuple(pair for pair in subject.labels if pair[0] in wanted))

    def expected_subjects(self) -> tuple[str, ...]:
        """Name the bots or hosts that the rule waits for though they never came: those it names in full."""
        if not isinstance(self.measure, Absence) or self.labels:
            return ()
        return tuple(name for name in self.bots if not set(name) & set("*?["))

    def applies_to(self, name: str, labels: dict[str, str]) -> bool:
        """Say whether the rule is on records of the bot or host `name` with `labels`."""
        if self.bots and not any(glob_matches(pattern, name) for pattern in self.bots):
            return False
        return all(label in labels and glob_matches(pattern, labels[label]) for label, pattern in self.labels)

"""The rules of the config documents."""

from shared.rules.loader import build_rules
from shared.rules.rule import Rule
from shared.runtime.config.documents import Documents


def load_rules(documents: Documents) -> list[Rule]:
    """Return every enabled rule of the documents, as `build_rules` does."""
    alerting = documents.performance.alerting
    conditions = alerting.conditions if alerting.enabled else []
    return build_rules(conditions, documents.health.monitoring.thresholds)

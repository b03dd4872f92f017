"""Alerts as Alertmanager writes them: fingerprint, annotations and source. Pure.

For the webhooks of its version 4, and for the Alertmanager API.
"""

from shared.schema.alerts import Alert
from shared.schema.fingerprints import fingerprint_of
from shared.schema.silences import alert_labels

CHANGING_LABELS = frozenset(("severity", "category", "metric"))
"""Labels of Botwatch's own alerts that may change while one is open; they are not part of its fingerprint.

Otherwise a receiver would see an escalated alert as a new one, and the first would never be resolved.
"""


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels; Alertmanager has none with an empty value."""
    return {name: value for name, value in alert_labels(alert).items() if value}


def fingerprint(alert: Alert) -> str:
    """Return Alertmanager's fingerprint: of an external alert over all labels."""
    changing = frozenset[str]() if alert.details.external else CHANGING_LABELS
    return fingerprint_of({name: value for name, value in labels_of(alert).items() if name not in changing})


def annotations_of(alert: Alert) -> dict[str, str]:
    """Return the annotations: as posted, or the message, the value and the runbook of Botwatch's own."""
    details = alert.details
    if details.external:
        return dict(details.external.annotations)
    seen = f"{details.measure} {details.value_text}"
    if details.limit_text:
        seen += f", limit {details.operator} {details.limit_text}"
    annotations = {
        "summary": alert.message,
        "description": f"{alert.component}: {alert.message} ({seen})",
        "runbook_url": details.links.get("runbook", ""),
    }
    return {name: text for name, text in annotations.items() if text}


def generator_url(alert: Alert) -> str:
    """Return where the alert comes from: as posted, or its place on Botwatch's page."""
    details = alert.details
    return details.external.generator_url if details.external else details.links.get("alert", "")

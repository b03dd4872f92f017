"""Alertmanager: webhook bodies of its version 4, for the many receivers that read those."""

from typing import Any

import msgspec

from services.notifier.channels.base import NotificationMessage
from services.notifier.channels.webhook import SignedPoster
from shared.schema.alerts import Notice, encode_json
from shared.schema.fingerprints import fingerprint_of
from shared.schema.silences import alert_labels
from shared.schema.timestamps import to_wire

ZERO_TIME = "0001-01-01T00:00:00Z"
"""The end of an alert that has none yet: Go's zero time."""

CHANGING_LABELS = frozenset(("severity", "category", "metric"))
"""Labels that may become others while an alert is open: they are no part of what it is known by.

A receiver would take an alert that is raised for another one, and never hear that the first has ended.
"""


class AlertmanagerTransport:
    """Posts messages to one URL as the receiver `name`."""

    takes_batches = True

    def __init__(self, name: str, url: str, secret: str = "") -> None:
        self._name = name
        self._hook = SignedPoster(url, secret)

    def send(self, message: NotificationMessage) -> None:
        """Post the newest state of each alert."""
        self._hook.post(encode_json(webhook_payload(message, self._name)), message.key)

    def last_response(self) -> str:
        """Return what the receiver answered last."""
        return str(self._hook.last_response)


def webhook_payload(message: NotificationMessage, receiver: str) -> dict[str, Any]:
    """Return `message` as the body of Alertmanager's webhooks."""
    alerts = [_alert(notice) for notice in message.latest_per_alert]
    labels = _common_labels([alert["labels"] for alert in alerts])
    return {
        "version": "4",
        "groupKey": message.group or f'{{}}:{{fingerprint="{alerts[0]["fingerprint"]}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved",
        "receiver": receiver,
        "groupLabels": {
            name: value for name, value in labels.items() if _is_grouped_by(name, value, message.group)
        },
        "commonLabels": labels,
        "commonAnnotations": _common_labels([alert["annotations"] for alert in alerts]),
        "externalURL": _external_url(message.notifications[0]),
        "alerts": alerts,
    }


def _alert(notice: Notice) -> dict[str, Any]:
    details = notice.details
    is_over = notice.status == "RESOLVED"
    labels = {name: value for name, value in alert_labels(notice).items() if value}
    seen = f"{details.measure} {details.value_text}"
    if details.limit_text:
        seen += f", limit {details.operator} {details.limit_text}"
    annotations = {
        "summary": notice.message,
        "description": f"{notice.component}: {notice.message} ({seen})",
        "runbook_url": details.links.get("runbook", ""),
    }
    return {
        "status": "resolved" if is_over else "firing",
        "labels": labels,
        "annotations": {name: text for name, text in annotations.items() if text},
        "startsAt": to_wire(notice.timestamp),
        "endsAt": to_wire(notice.resolved_at or notice.updated_at) if is_over else ZERO_TIME,
        "generatorURL": details.links.get("alert", ""),
        "fingerprint": fingerprint_of(
            {name: value for name, value in labels.items() if name not in CHANGING_LABELS}
        ),
    }


def _is_grouped_by(name: str, value: str, group: str | None) -> bool:
    """Say whether alerts were grouped by a label: `group` has it as JSON; without one, by the rule."""
    if group is None:
        return name == "alertname"
    quoted = msgspec.json.encode(value).decode()
    names = (name, "rule") if name == "alertname" else (name,)
    return any(f"{before}{known}={quoted}" in group for known in names for before in "{,")


def _common_labels(sets: list[dict[str, str]]) -> dict[str, str]:
    """Return what all of `sets` have."""
    first, *others = sets
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}


def _external_url(notice: Notice) -> str:
    """Return the address of Botwatch's page, which the link to an alert begins with."""
    link = notice.details.links.get("alert", "")
    # Notices from before an upgrade have the second form.
    return link.removesuffix(f"/#{notice.id}").removesuffix(f"/alerts/{notice.id}")

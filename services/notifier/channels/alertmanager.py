"""Alertmanager: webhook bodies of its version 4, for the many receivers that support them."""

from typing import Any

import msgspec

from services.notifier.channels.webhook import SignedPoster
from services.notifier.content.message import NotificationMessage
from shared.schema.alertmanager_format import annotations_of, fingerprint, generator_url, labels_of
from shared.schema.alerts import Notice, encode_json
from shared.schema.timestamps import to_wire

ZERO_TIME = "0001-01-01T00:00:00Z"
"""`endsAt` of an open alert: Go's zero time."""


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
        """Return the receiver's last response."""
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
    external, is_over = notice.details.external, notice.status == "RESOLVED"
    return {
        "status": "resolved" if is_over else "firing",
        "labels": labels_of(notice),
        "annotations": annotations_of(notice),
        "startsAt": to_wire(external.starts_at if external else notice.timestamp),
        "endsAt": to_wire(notice.resolved_at or notice.updated_at) if is_over else ZERO_TIME,
        "generatorURL": generator_url(notice),
        "fingerprint": fingerprint(notice),
    }


def _is_grouped_by(name: str, value: str, group: str | None) -> bool:
    """Return whether alerts were grouped by a label: `group` has it as JSON; without a group, by the rule."""
    if group is None:
        return name == "alertname"
    quoted = msgspec.json.encode(value).decode()
    names = (name, "rule") if name == "alertname" else (name,)
    return any(f"{before}{known}={quoted}" in group for known in names for before in "{,")


def _common_labels(sets: list[dict[str, str]]) -> dict[str, str]:
    """Return the labels that all of `sets` have in common."""
    first, *others = sets
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in others)}


def _external_url(notice: Notice) -> str:
    """Return the URL of Botwatch's page: the beginning of the link to an alert."""
    link = notice.details.links.get("alert", "")
    # Notifications written by an earlier version have the second form.
    return link.removesuffix(f"/#{notice.id}").removesuffix(f"/alerts/{notice.id}")

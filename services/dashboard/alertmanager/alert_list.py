"""Alert list: open alerts as Alertmanager's API answers them, with status and receivers, also in groups.

It has all that are open: of rules, of Botwatch itself, and external ones.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cmp_to_key
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection

from services.dashboard.alertmanager.label_filters import matches_filters, matches_receiver
from shared.runtime.config.documents import Documents
from shared.runtime.config.mute_config import parse_mute_config
from shared.runtime.config.routes import Route, RoutingTree, matchable_labels
from shared.schema import alertmanager_format as formatting
from shared.schema.alerts import Alert
from shared.schema.external_alerts import RESOLVE_TIMEOUT, Validity
from shared.schema.muting import MuteEvaluator
from shared.schema.silences import Matcher
from shared.schema.timestamps import to_wire
from shared.store.alerts import open_alerts
from shared.store.external_alerts import validities
from shared.store.silences import current_silences


class Receiver(msgspec.Struct, frozen=True):
    """Where alerts go: a route of Botwatch."""

    name: str


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """Whether an alert is muted, and by what."""

    state: Literal["unprocessed", "active", "suppressed"]
    silenced_by: list[str]
    """IDs of silences."""
    inhibited_by: list[str]
    """Fingerprints of alerts."""
    muted_by: list[str]
    """Names of maintenance windows."""


class ShownAlert(msgspec.Struct, frozen=True, rename={
    "starts_at": "startsAt", "ends_at": "endsAt", "updated_at": "updatedAt", "generator_url": "generatorURL",
}):  # fmt: skip
    """An alert; clients need every other field."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    ends_at: str
    updated_at: str
    fingerprint: str
    status: Status
    receivers: list[Receiver]
    generator_url: str | msgspec.UnsetType
    """Left out where there is none."""


class AlertGroup(msgspec.Struct, frozen=True):
    """Alerts that one receiver gets in one message."""

    labels: dict[str, str]
    receiver: Receiver
    alerts: list[ShownAlert]


class AlertFilter(NamedTuple):
    """Which alerts are wanted."""

    matchers: list[Matcher]
    receiver: str | None = None
    active: bool = True
    silenced: bool = True
    inhibited: bool = True
    muted: bool = True


class AlertList:
    """The alerts that are open at one time."""

    def __init__(self, connection: Connection, documents: Documents, now: datetime) -> None:
        self._now = now
        self._routing = RoutingTree.from_documents(documents)
        self._alerts = open_alerts(connection)
        self._validities = validities(connection)
        silences = current_silences(connection, now)
        self._muting = MuteEvaluator(parse_mute_config(documents), silences, self._alerts)

    def matching(self, wanted: AlertFilter) -> list[ShownAlert]:
        """Return the alerts that are wanted, by fingerprint."""
        return sorted((shown for _, _, shown in self._shown(wanted)), key=lambda shown: shown.fingerprint)

    def groups(self, wanted: AlertFilter) -> list[AlertGroup]:
        """Return the same in groups, by their labels and receivers."""
        groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[ShownAlert]] = {}
        for alert, routes, shown in self._shown(wanted):
            for route in routes:
                if wanted.receiver is None or matches_receiver(wanted.receiver, [route.name]):
                    key = route.name, tuple(sorted(_group_labels(route, alert, shown).items()))
                    groups.setdefault(key, []).append(shown)
        found = [
            AlertGroup(dict(labels), Receiver(name), sorted(alerts, key=cmp_to_key(_compare_in_group)))
            for (name, labels), alerts in groups.items()
        ]
        return sorted(found, key=cmp_to_key(_compare_groups))

    def _shown(self, wanted: AlertFilter) -> Iterable[tuple[Alert, list[Route], ShownAlert]]:
        for alert in self._alerts:
            validity = self._validities.get(alert.id)
            if alert.details.external and (validity is None or _is_over(validity, self._now)):
                continue  # the evaluator is about to resolve it
            labels = formatting.labels_of(alert)
            if not matches_filters(wanted.matchers, labels):
                continue
            routes = self._routing.match(alert, self._now)
            names = [route.name for route in routes]
            if wanted.receiver is not None and not matches_receiver(wanted.receiver, names):
                continue
            status = self._status(alert)
            if _is_wanted(status, wanted):
                yield alert, routes, _show(alert, labels, status, names, validity, self._now)

    def _status(self, alert: Alert) -> Status:
        silenced = sorted(silence.id for silence in self._muting.silences_of(alert, self._now))
        inhibited = [formatting.fingerprint(source) for source in self._muting.sources_of(alert)]
        muted = self._muting.windows_of(alert, self._now)
        is_suppressed = bool(silenced or inhibited or muted)
        return Status("suppressed" if is_suppressed else "active", silenced, inhibited, muted)


def _is_over(validity: Validity, now: datetime) -> bool:
    return validity.ends_at is None or validity.ends_at <= now


def _is_wanted(status: Status, wanted: AlertFilter) -> bool:
    return not (
        (status.state == "active" and not wanted.active)
        or (status.silenced_by and not wanted.silenced)
        or (status.inhibited_by and not wanted.inhibited)
        or (status.muted_by and not wanted.muted)
    )


def _show(
    alert: Alert,
    labels: dict[str, str],
    status: Status,
    receivers: Iterable[str],
    validity: Validity | None,
    now: datetime,
) -> ShownAlert:
    external = alert.details.external
    ends_at = validity.ends_at if validity else None
    updated_at = validity.updated_at if validity else None
    return ShownAlert(
        labels=labels,
        annotations=formatting.annotations_of(alert),
        starts_at=to_wire(external.starts_at if external else alert.timestamp),
        # Of an alert of a rule nobody knows the end; clients expect one.
        ends_at=to_wire(ends_at or now + RESOLVE_TIMEOUT),
        updated_at=to_wire(updated_at or alert.updated_at),
        fingerprint=formatting.fingerprint(alert),
        status=status,
        receivers=[Receiver(name) for name in receivers],
        generator_url=formatting.generator_url(alert) or msgspec.UNSET,
    )


def _group_labels(route: Route, alert: Alert, shown: ShownAlert) -> dict[str, str]:
    """Return what the alerts of a group have in common: all labels, where the route does not group."""
    if route.group_by is None:
        return shown.labels
    labels = matchable_labels(alert)
    names = {"alertname" if name == "rule" else name: name for name in route.group_by}
    return {shown: labels[name] for shown, name in names.items() if labels.get(name)}


def _compare_in_group(one: ShownAlert, other: ShownAlert) -> int:
    """Compare the labels job and instance, those without them last, then all labels."""
    for name in ("job", "instance"):
        first, second = one.labels.get(name), other.labels.get(name)
        if first != second:
            return -1 if second is None or (first is not None and first < second) else 1
    return _compare_labels(one.labels, other.labels)


def _compare_groups(one: AlertGroup, other: AlertGroup) -> int:
    names = one.receiver.name, other.receiver.name
    return _compare_labels(one.labels, other.labels) or (names[0] > names[1]) - (names[0] < names[1])


def _compare_labels(one: Mapping[str, str], other: Mapping[str, str]) -> int:
    """Compare label sets as Prometheus does: fewer labels first; then one that lacks the first name."""
    if len(one) != len(other):
        return -1 if len(one) < len(other) else 1
    for name in sorted({*one, *other}):
        first, second = one.get(name), other.get(name)
        if first != second:
            return -1 if first is None or (second is not None and first < second) else 1
    return 0

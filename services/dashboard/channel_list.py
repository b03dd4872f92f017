"""The channels for people: as configured, as the notifier publishes them, and what they delivered."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection

from services.dashboard.channel_uses import ChannelUse, channel_uses
from services.dashboard.data_sources import DataSources
from services.dashboard.documents import HEALTH_MONITOR, NOTIFICATIONS, Place
from shared.runtime.config.notifications import SEED_CHANNELS, ChannelSection
from shared.schema.channel_status import (
    CHANNEL_LABEL,
    CHANNEL_RULE,
    ChannelActivity,
    ChannelStatus,
    ChannelStatuses,
)
from shared.store.alerts import open_alerts
from shared.store.delivery_history import ChannelRecord, channel_records

STATUS_MAX_AGE = timedelta(seconds=20)
"""A notifier that published its status longer ago is not running."""
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)")

ChannelState = Literal["idle", "sending", "paused", "rate-limited", "disabled", "unknown"]
NotifierState = Literal["running", "not running", "unknown"]


class ChannelRoute(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A route that uses a channel."""

    name: str
    place: Place | None
    """None: the default route, which takes the alerts that match no other."""
    via: list[str]
    """What leads from the route to the channel, such as `policy page`, `rotation week`, `ann`."""


class Channel(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A channel, without its secrets."""

    name: str
    place: Place
    enabled: bool | None
    """None: the notifier has not said so."""
    disabled_because: str | None
    type: str | None
    """`apprise`, `webhook`, `alertmanager`, `slack`, `email`; None while that is unknown."""
    destination: str | None
    """A host, mailboxes or a service."""
    state: ChannelState
    """`paused`: the last attempt failed; `rate-limited`: what waits goes as a digest."""
    paused_until: datetime | None
    failing_since: datetime | None
    """Since when every attempt has failed."""
    error: str | None
    """Of the latest attempt, while it is failing."""
    alert: str | None
    """ID of the open alert about this channel."""
    per_minute: int | None
    """Limit of messages per minute; None: none, or unknown."""
    fallback: str | None
    """The channel that is used when this one fails."""
    pending: int
    last_success_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    """When the notification was written that could not be delivered."""
    routes: list[ChannelRoute]


class Channels(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """All channels."""

    at: datetime
    notifier: NotifierState
    """`unknown`: it never published the status of its channels, or Redis is down."""
    published_at: datetime | None
    """When the notifier last said how its channels are."""
    channels: list[Channel]


def configured_channels(sources: DataSources) -> list[tuple[str, ChannelSection | None]]:
    """Return the channels of the documents, those of the seed's keys (None) first."""
    documents = sources.documents
    seed = [name for name in SEED_CHANNELS if _seed_value(sources, name) is not None]
    named = documents.notifications.channels
    return [*((name, None) for name in seed if name not in named), *named.items()]


def _seed_value(sources: DataSources, name: str) -> object:
    """Return what is written for the channel of a key of the seed; None if nothing is."""
    health: Any = sources.written_documents.get(HEALTH_MONITOR)
    alerts = health.get("alerts") if isinstance(health, dict) else None
    key = _seed_key(name)
    return alerts.get(key) if isinstance(alerts, dict) else None


def _seed_key(name: str) -> str:
    return "webhookUrl" if name == SEED_CHANNELS[0] else "emailConfig"


def read_channels(sources: DataSources, now: datetime) -> Channels:
    """Return all channels at `now`."""
    published = sources.channels()
    known = {status.name: status for status in published.channels} if published else {}
    configured = configured_channels(sources)
    names = [*known] if published else [name for name, _ in configured]
    uses = channel_uses(sources.documents.notifications, names)
    with sources.health.read() as connection:
        records = channel_records(connection, [name for name, _ in configured])
        failing = _channel_alerts(connection)
    notifier = _notifier_state(published, now)
    view = _View(sources, known, uses, notifier)
    return Channels(
        at=now,
        notifier=notifier,
        published_at=published.at if published else None,
        channels=[
            view.channel(name, section, records[name], failing.get(name)) for name, section in configured
        ],
    )


def _notifier_state(published: ChannelStatuses | None, now: datetime) -> NotifierState:
    if published is None:
        return "unknown"
    return "running" if now - published.at <= STATUS_MAX_AGE else "not running"


def _channel_alerts(connection: Connection) -> dict[str, str]:
    """Return the IDs of the open alerts about channels, by channel."""
    return {
        alert.details.labels[CHANNEL_LABEL]: alert.id
        for alert in open_alerts(connection)
        if alert.details.rule == CHANNEL_RULE and CHANNEL_LABEL in alert.details.labels
    }


class _View:
    """The channels as the documents, the notifier and the outbox know them."""

    def __init__(
        self,
        sources: DataSources,
        known: Mapping[str, ChannelStatus],
        uses: Mapping[str, list[ChannelUse]],
        notifier: NotifierState,
    ) -> None:
        self._sources = sources
        self._known = known
        self._uses = uses
        self._notifier = notifier

    def channel(
        self, name: str, section: ChannelSection | None, record: ChannelRecord, alert: str | None
    ) -> Channel:
        status = self._known.get(name)
        enabled = None if self._notifier == "unknown" else status is not None
        because = self._disabled_because(name, section) if enabled is False else None
        activity = status.activity if status and self._notifier == "running" else None
        return Channel(
            name=name,
            place=self._place(name, section),
            enabled=enabled,
            disabled_because=because,
            type=status.type if status else (section.type if section else None),
            destination=status.destination if status else None,
            state=_state(activity, enabled=enabled),
            paused_until=status.paused_until if status else None,
            failing_since=status.failing_since if status else None,
            error=(status.error or None) if status else None,
            alert=alert,
            per_minute=status.per_minute if status else None,
            fallback=section.fallback if section else None,
            pending=record.pending,
            last_success_at=record.last_success_at,
            last_error=record.last_error,
            last_error_at=record.last_error_at,
            routes=[_route(use) for use in self._uses.get(name, ())],
        )

    def _place(self, name: str, section: ChannelSection | None) -> Place:
        if section is None:
            return Place(HEALTH_MONITOR, f"alerts.{_seed_key(name)}")
        return Place(NOTIFICATIONS, f"channels.{name}")

    def _disabled_because(self, name: str, section: ChannelSection | None) -> str:
        if not self._sources.documents.health.alerts.enabled:
            return f"alerts are disabled ({HEALTH_MONITOR}: alerts.enabled)"
        written = _written_address(self._sources, name, section)
        if "$" in written:
            return f"no address: {written} is not set for the notifier"
        if not written:
            return "no address is configured"
        return "the notifier has not loaded it: reload the configuration"


def _state(activity: ChannelActivity | None, *, enabled: bool | None) -> ChannelState:
    if activity is not None:
        return activity
    return "disabled" if enabled is False else "unknown"


def _written_address(sources: DataSources, name: str, section: ChannelSection | None) -> str:
    """Return the variables in a channel's written address; `…` if there is none in it; empty without one."""
    if section is None:
        value: Any = _seed_value(sources, name)
    else:
        document: Any = sources.written_documents.get(NOTIFICATIONS) or {}
        value = (document.get("channels") or {}).get(name) or {}
        value = value.get("url") or value.get("email")
    address = value.get("smtp") if isinstance(value, dict) else value
    names = [f"${{{name}}}" for name in _REFERENCE.findall(str(address or ""))]
    return ", ".join(names) or ("…" if address else "")


def _route(use: ChannelUse) -> ChannelRoute:
    place = Place(NOTIFICATIONS, use.route.path) if use.route.path else None
    return ChannelRoute(name=use.route.name, place=place, via=list(use.via))

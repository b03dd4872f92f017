"""Telling: what happened to an alert, or is due on it, becomes deliveries; within one transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection

from services.notifier.channels.watchdog_ping import WATCHDOG_URL_CHANNEL
from services.notifier.planning.catch_up import CATCH_UP_AGE, RESOLVED_BEFORE_NOTIFIED, SETTLE_TIME
from services.notifier.planning.escalation import (
    EscalationPolicy,
    EscalationState,
    next_due,
    pause,
    record_notified,
    resume,
    start_escalation,
    take_step,
    with_policy,
)
from services.notifier.planning.groups import group_key, next_message_at
from services.notifier.planning.recipients import Recipient
from services.notifier.planning.routes import Route
from services.notifier.planning.routing_config import RoutingConfig
from shared.schema.alerts import Alert, Change, Notice, build_notice, next_severity
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG
from shared.store import alerts as store
from shared.store import escalations
from shared.store.deliveries import CATCH_UP, newest_delivery_at
from shared.store.escalations import AlertEvent, StoredEscalation
from shared.store.outbox import (
    PlannedDelivery,
    add_deliveries,
    notified_channels,
    suppress_batch,
    suppress_pending,
)

log = structlog.get_logger()

RESTARTS_ESCALATION: frozenset[Change] = frozenset(("opened", "reopened", "flapping", "unacknowledged"))
"""The changes with which telling people begins anew."""
ESCALATION_CHANGES: tuple[Change, ...] = ("escalated", "repeated")
BEAT_RETENTION = timedelta(minutes=10)


class SuppressedDelivery(NamedTuple):
    """A delivery that was kept back."""

    channel: str
    reason: str


class NotificationPlanner:
    """Tells of happenings and of what is due, at `now`."""

    def __init__(self, connection: Connection, plan: RoutingConfig, now: datetime) -> None:
        self._connection = connection
        self._plan = plan
        self._now = now
        self.channels: set[str] = set()
        """The channels for which a delivery was written."""
        self.suppressed: list[SuppressedDelivery] = []
        self.has_timeline_events = False
        """Whether something was put on a timeline."""
        self.has_withdrawn = False
        """Whether an alert ended before anybody was notified of it."""
        self._notified_this_run: set[tuple[str, str]] = set()
        """The alerts and channels that were told of by a step or a repeat: along several routes, once."""

    def plan_event(self, happening: AlertEvent) -> None:
        """Tell of something that happened."""
        notice = happening.notice
        if notice and notice.details.origin and happening.alert_id != WATCHDOG:
            self.has_timeline_events = True  # nobody else announces what Botwatch finds wrong with itself
        if happening.alert_id == WATCHDOG:
            self._forward_watchdog_beat(happening)
        elif happening.change == "acknowledged":
            self._stop_escalations(happening)
        elif happening.change == "muted":
            for route, pursuit in self._escalation_states(happening.alert_id).items():
                self._save_escalation(happening.alert_id, route, pause(pursuit, self._now))
        elif notice is None or happening.change in ESCALATION_CHANGES:
            pass
        elif happening.change == "resolved":
            self._plan_resolved(happening.id, notice)
        elif happening.change == "unmuted":
            self._plan_unmuted(happening.id, notice)
        else:
            self._plan_routes(happening.id, notice)

    def plan_due_escalation(self, escalation: StoredEscalation, alert: Alert) -> None:
        """Take the next step of an escalation, or tell again."""
        route = self._plan.routing.by_name(escalation.route)
        if alert.status != "ACTIVE" or route is None:
            escalations.delete_escalations(self._connection, alert.id, escalation.route)
            if alert.status == "ACTIVE":
                self._start_missing_routes(alert)
            return
        policy = self._plan.policy_of(route)
        pursuit = with_policy(_decode_escalation_state(escalation.state), policy, self._now)
        if alert.details.muted_by:
            self._save_escalation(alert.id, route.name, pause(pursuit, self._now))
        elif policy and pursuit.step_at and pursuit.step_at <= self._now:
            self._escalate(alert, route, policy, pursuit)
        elif pursuit.repeat_at and pursuit.repeat_at <= self._now:
            self._repeat(alert, route, pursuit)
        else:
            self._save_escalation(alert.id, route.name, pursuit)

    def _plan_routes(self, event: int, notice: Notice) -> None:
        """Tell along every route; what is known of a route that no longer fits is forgotten."""
        if notice.change in RESTARTS_ESCALATION:
            escalations.delete_escalations(self._connection, notice.id)
        known = self._escalation_states(notice.id)
        planned: list[PlannedDelivery] = []
        for route in self._plan.routing.match(notice, self._now):
            pursuit, names, reason = self._continue_on_route(route, known.pop(route.name, None))
            recipients = self._recipients(notice, names)
            planned += self._deliveries_for(route, notice, recipients, reason)
            self._save_notified(notice, route, pursuit, recipients)
        for route_name in known:
            escalations.delete_escalations(self._connection, notice.id, route_name)
        self._write_deliveries(event, notice, planned)

    def _continue_on_route(
        self, route: Route, known: EscalationState | None
    ) -> tuple[EscalationState, Sequence[str], str]:
        """Return how it goes on along a route, whom to tell now, and why."""
        policy = self._plan.policy_of(route)
        if known:
            # Without a policy also whoever is on call by now, or stands in the document by now.
            return with_policy(known, policy, self._now), (*known.told, *route.notify), route.name
        pursuit = start_escalation(policy, self._now)
        if policy is None:
            return pursuit, route.notify, route.name
        # A step that raises the severity is no part of what happened: it is taken right after it.
        if pursuit.step_at is None or pursuit.step_at > self._now or policy.steps[0].raise_severity:
            return pursuit, (), route.name
        reason = _format_step(policy, pursuit)
        step, _, pursuit = take_step(pursuit, policy, self._now)
        return pursuit, step.notify, reason

    def _save_notified(
        self, alert: Alert, route: Route, pursuit: EscalationState, recipients: Iterable[Recipient]
    ) -> None:
        """Remember who was told along a route, unless somebody takes care already."""
        if alert.status != "ACTIVE":
            return
        names = [one.person or one.channel for one in recipients]
        pursuit = record_notified(pursuit, names, route.repeat.get(alert.severity), self._now)
        if alert.details.muted_by:
            pursuit = pause(pursuit, self._now)
        self._save_escalation(alert.id, route.name, pursuit)

    def _plan_resolved(self, event: int, notice: Notice) -> None:
        """Tell whoever notified when the alert opened."""
        escalations.delete_escalations(self._connection, notice.id)
        if suppress_batch(self._connection, notice.id, CATCH_UP, RESOLVED_BEFORE_NOTIFIED):
            self.has_withdrawn = True
        told, _ = notified_channels(self._connection, notice.id)
        # What stands in by now for a channel that was switched off since was told nothing.
        recipients = [one for one in self._plan.recipients.resolve(told, self._now) if one.channel in told]
        self._plan_channels(event, notice, recipients, "notified when the alert opened")

    def _plan_unmuted(self, event: int, notice: Notice) -> None:
        """Tell whoever would have been told, and let escalations go on."""
        _, kept_from = notified_channels(self._connection, notice.id)
        recipients = self._plan.recipients.resolve(kept_from, self._now)
        self._plan_channels(event, notice, recipients, "notifications were suppressed while muted")
        for route, pursuit in self._escalation_states(notice.id).items():
            self._save_escalation(notice.id, route, resume(pursuit, self._now))

    def _plan_channels(
        self, event: int, notice: Notice, recipients: Sequence[Recipient], reason: str
    ) -> None:
        route = self._plan.routing.match(notice, self._now)[0]
        self._write_deliveries(event, notice, self._deliveries_for(route, notice, recipients, reason))

    def _stop_escalations(self, happening: AlertEvent) -> None:
        """Leave whoever acknowledged it alone, for as long as the policy allows if nobody said how long."""
        alert = store.alert_by_id(self._connection, happening.alert_id)
        escalations.delete_escalations(self._connection, happening.alert_id)
        suppress_pending(
            self._connection, happening.alert_id, ESCALATION_CHANGES, f"acknowledged by {happening.by}"
        )
        if alert is None or alert.status != "ACKNOWLEDGED" or alert.acknowledged_until:
            return
        policies = (self._plan.policy_of(route) for route in self._plan.routing.match(alert, self._now))
        timeouts = [one.acknowledge_timeout for one in policies if one and one.acknowledge_timeout]
        if timeouts:
            alert.acknowledged_until = (alert.acknowledged_at or self._now) + min(timeouts)
            store.update_alert(self._connection, alert)

    def _escalate(
        self, alert: Alert, route: Route, policy: EscalationPolicy, pursuit: EscalationState
    ) -> None:
        words = _format_step(policy, pursuit)
        step, _, pursuit = take_step(pursuit, policy, self._now)
        alert.updated_at = self._now
        if step.raise_severity:
            alert.severity = alert.details.raised_to = next_severity(alert.severity)
        store.update_alert(self._connection, alert)
        self._plan_escalation_step(alert, "escalated", route, pursuit, step.notify, words)

    def _repeat(self, alert: Alert, route: Route, pursuit: EscalationState) -> None:
        alert.updated_at = self._now
        names = (*pursuit.told, *route.notify)
        self._plan_escalation_step(alert, "repeated", route, pursuit, names, f"repeat: {route.name}")

    def _plan_escalation_step(
        self,
        alert: Alert,
        change: Change,
        route: Route,
        pursuit: EscalationState,
        names: Sequence[str],
        words: str,
    ) -> None:
        notice = build_notice(alert, change)
        recipients = self._recipients(notice, names)
        self._save_notified(alert, route, pursuit, recipients)
        fresh = [one for one in recipients if (alert.id, one.channel) not in self._notified_this_run]
        if recipients and not fresh and change == "repeated":
            return
        self._notified_this_run |= {(alert.id, one.channel) for one in fresh}
        told = ", ".join(one.channel for one in recipients) or "no enabled channel"
        event = store.add_event(self._connection, alert, change, self._now, comment=f"{words}: {told}")
        self.has_timeline_events = True
        self._write_deliveries(event, notice, self._deliveries_for(route, notice, fresh, words))

    def _start_missing_routes(self, alert: Alert) -> None:
        """Follow the routes there are now and that are not followed yet: one that was is gone."""
        known = escalations.escalations_of(self._connection, alert.id)
        told, _ = notified_channels(self._connection, alert.id)
        for route in self._plan.routing.match(alert, self._now):
            if route.name in known:
                continue
            pursuit = start_escalation(self._plan.policy_of(route), self._now)
            self._save_escalation(
                alert.id,
                route.name,
                record_notified(pursuit, told, route.repeat.get(alert.severity), self._now),
            )

    def _recipients(self, notice: Notice, names: Sequence[str]) -> list[Recipient]:
        recipients = self._plan.recipients.resolve(names, self._now)
        return [reachable for one in recipients if (reachable := _without_failing_channel(one, notice))]

    def _deliveries_for(
        self, route: Route, notice: Notice, recipients: Sequence[Recipient], reason: str
    ) -> list[PlannedDelivery]:
        if not recipients:
            return []
        held, batch = (None, None) if _mute_reason(notice) else self._hold_and_batch(route, notice)
        return [
            PlannedDelivery(
                one.channel, f"{reason} ({one.person})" if one.person else reason, held, batch, one.fallback
            )
            for one in recipients
        ]

    def _hold_and_batch(self, route: Route, notice: Notice) -> tuple[datetime | None, str | None]:
        """Return until when a notice is held, if it is, and with what it goes in one message."""
        morning = route.quiet.held_until(notice.severity, self._now) if route.quiet else None
        if morning:
            return morning, f"quiet hours of {route.name} until {morning:%Y-%m-%d %H:%M} UTC"
        if self._now - notice.updated_at > CATCH_UP_AGE:
            return self._now + SETTLE_TIME, CATCH_UP
        group = group_key(route, notice)
        if group is None:
            return None, None
        moment = next_message_at(escalations.group_message_at(self._connection, group), route, self._now)
        escalations.set_group_message_at(self._connection, group, moment)
        return (moment if moment > self._now else None), group

    def _forward_watchdog_beat(self, happening: AlertEvent) -> None:
        """Pass the watchdog's beat on, and forget the beats of long ago."""
        if happening.notice:
            hearing = [LOOPBACK_CHANNEL]
            last = newest_delivery_at(self._connection, WATCHDOG, WATCHDOG_URL_CHANNEL)
            if self._plan.is_watchdog_url_due(last, happening.notice.updated_at):
                hearing.append(WATCHDOG_URL_CHANNEL)
            # Of beats that waited one is enough: they are a batch.
            planned = [PlannedDelivery(channel, "watchdog beat", batch=WATCHDOG) for channel in hearing]
            self._write_deliveries(happening.id, happening.notice, planned)
        kept = BEAT_RETENTION + (self._plan.watchdog_interval or timedelta(0))
        store.delete_events(self._connection, WATCHDOG, self._now - kept)

    def _write_deliveries(self, event: int, notice: Notice, planned: Sequence[PlannedDelivery]) -> None:
        # Of two routes to the same channel the first one counts.
        once: dict[str, PlannedDelivery] = {}
        for one in planned:
            once.setdefault(one.channel, one)
        muted_by = _mute_reason(notice)
        add_deliveries(self._connection, event, notice, [*once.values()], muted_by)
        if muted_by:
            self.suppressed += [SuppressedDelivery(channel, "muted") for channel in once]
        else:
            self.channels |= once.keys()

    def _escalation_states(self, alert_id: str) -> dict[str, EscalationState]:
        states = escalations.escalations_of(self._connection, alert_id)
        return {route: _decode_escalation_state(state) for route, state in states.items()}

    def _save_escalation(self, alert_id: str, route: str, pursuit: EscalationState) -> None:
        state = msgspec.json.encode(pursuit).decode()
        escalations.put_escalation(
            self._connection, StoredEscalation(alert_id, route, state), next_due(pursuit)
        )


def _decode_escalation_state(state: str) -> EscalationState:
    """Read how far a pursuit is; one that cannot be read begins anew, and must not hold up the rest."""
    try:
        return msgspec.json.decode(state, type=EscalationState)
    except msgspec.DecodeError as error:
        log.error("escalation state is unreadable; restarting the escalation", error=str(error))
        return EscalationState()


def _mute_reason(notice: Notice) -> str | None:
    """Return what keeps a notice back; its end is told to whoever was told, muted or not."""
    return None if notice.change in ("resolved", "unmuted") else notice.details.muted_by


def _format_step(policy: EscalationPolicy, pursuit: EscalationState) -> str:
    """Name the step that comes next: `night: step 2 of 3`, with the round where there are several."""
    number = min(pursuit.step + 1, len(policy.steps))  # a reload may have made it shorter
    words = f"{policy.name}: step {number} of {len(policy.steps)}"
    return f"{words}, round {pursuit.round} of {policy.rounds}" if policy.rounds > 1 else words


def _without_failing_channel(recipient: Recipient, notice: Notice) -> Recipient | None:
    """Return who is told of an alert about a channel: not that channel, but what stands in for it."""
    broken = notice.details.labels.get("channel") if notice.details.origin else None
    if recipient.channel != broken:
        return recipient
    if not recipient.fallback:
        return None
    return recipient._replace(channel=recipient.fallback[0], fallback=recipient.fallback[1:])

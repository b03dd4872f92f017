"""Notification planner: turns alert events and due escalations into deliveries, within one transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection

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
from services.notifier.planning.routing_config import RoutingConfig
from shared.runtime.config.recipients import Recipient
from shared.runtime.config.routes import Route, group_key, next_message_at
from shared.schema.alert_lifecycle import Transition, escalate, limit_acknowledgement, repeat
from shared.schema.alerts import Alert, Change, Notice, build_notice
from shared.schema.watchdog import LOOPBACK_CHANNEL, WATCHDOG, WATCHDOG_URL_CHANNEL
from shared.store import alerts as store
from shared.store import escalations
from shared.store.alert_changes import apply_transition
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
"""Changes that restart the escalation."""
ESCALATION_CHANGES: tuple[Change, ...] = ("escalated", "repeated")
BEAT_RETENTION = timedelta(minutes=10)
CATCH_UP_AGE = timedelta(seconds=60)
"""Notifications of older events wait for `SETTLE_TIME`: the next event may resolve the alert."""
SETTLE_TIME = timedelta(seconds=5)
RESOLVED_BEFORE_NOTIFIED = "resolved before it could be sent"


class SuppressedDelivery(NamedTuple):
    """A delivery that was not sent on purpose."""

    channel: str
    reason: str


class NotificationPlanner:
    """Plans the deliveries for events and due escalations at `now`."""

    def __init__(self, connection: Connection, plan: RoutingConfig, now: datetime) -> None:
        self._connection = connection
        self._plan = plan
        self._now = now
        self.channels: set[str] = set()
        """Channels with new deliveries."""
        self.suppressed: list[SuppressedDelivery] = []
        self.has_timeline_events = False
        """Whether a timeline got a new event."""
        self.has_withdrawn = False
        """Whether an alert was resolved before anybody was notified."""
        self._notified_this_run: set[tuple[str, str]] = set()
        """Alerts and channels of steps and repeats: with several routes, a channel is notified once."""

    def plan_event(self, event: AlertEvent) -> None:
        """Plan the deliveries for an alert event."""
        notice = event.notice
        if notice and notice.details.origin and event.alert_id != WATCHDOG:
            self.has_timeline_events = True  # no other part publishes events of self-alerts
        if event.alert_id == WATCHDOG:
            self._forward_watchdog_beat(event)
        elif event.change == "acknowledged":
            self._stop_escalations(event)
        elif event.change == "muted":
            for route, state in self._escalation_states(event.alert_id).items():
                self._save_escalation(event.alert_id, route, pause(state, self._now))
        elif notice is None or event.change in ESCALATION_CHANGES:
            pass
        elif event.change == "resolved":
            self._plan_resolved(event.id, notice)
        elif event.change == "unmuted":
            self._plan_unmuted(event.id, notice)
        else:
            self._plan_routes(event.id, notice)

    def plan_due_escalation(self, escalation: StoredEscalation, alert: Alert) -> None:
        """Take the next step of an escalation, or send a repeat."""
        route = self._plan.routing.by_name(escalation.route)
        if alert.status != "ACTIVE" or route is None:
            escalations.delete_escalations(self._connection, alert.id, escalation.route)
            if alert.status == "ACTIVE":
                self._start_missing_routes(alert)
            return
        policy = self._plan.policy_of(route)
        state = with_policy(_decode_escalation_state(escalation.state), policy, self._now)
        if alert.details.muted_by:
            self._save_escalation(alert.id, route.name, pause(state, self._now))
        elif policy and state.step_at and state.step_at <= self._now:
            self._escalate(alert, route, policy, state)
        elif state.repeat_at and state.repeat_at <= self._now:
            self._repeat(alert, route, state)
        else:
            self._save_escalation(alert.id, route.name, state)

    def _plan_routes(self, event: int, notice: Notice) -> None:
        """Plan deliveries along all matching routes; delete escalations along routes that no longer match."""
        known: dict[str, EscalationState] = {}
        if notice.change in RESTARTS_ESCALATION:
            escalations.delete_escalations(self._connection, notice.id)
        else:
            known = self._escalation_states(notice.id)
        planned: list[PlannedDelivery] = []
        for route in self._plan.routing.match(notice, self._now):
            state, names, reason = self._continue_on_route(route, known.pop(route.name, None))
            recipients = self._recipients(notice, names)
            planned += self._deliveries_for(route, notice, recipients, reason)
            self._save_notified(notice, route, state, recipients)
        for route_name in known:
            escalations.delete_escalations(self._connection, notice.id, route_name)
        self._write_deliveries(event, notice, planned)

    def _continue_on_route(
        self, route: Route, known: EscalationState | None
    ) -> tuple[EscalationState, Sequence[str], str]:
        """Return the escalation state along a route, whom to notify now, and the reason."""
        policy = self._plan.policy_of(route)
        if known:
            # Without a policy also the people who are on call now, or were added to the document.
            return with_policy(known, policy, self._now), (*known.notified, *route.notify), route.name
        state = start_escalation(policy, self._now)
        if policy is None:
            return state, route.notify, route.name
        # A step that raises the severity is an event of its own, right after this one.
        if state.step_at is None or state.step_at > self._now or policy.steps[0].raise_severity:
            return state, (), route.name
        reason = _format_step(policy, state)
        step, _, state = take_step(state, policy, self._now)
        return state, step.notify, reason

    def _save_notified(
        self, alert: Alert, route: Route, state: EscalationState, recipients: Iterable[Recipient]
    ) -> None:
        """Record who was notified along a route, unless the alert is acknowledged or resolved."""
        if alert.status != "ACTIVE":
            return
        names = [recipient.person or recipient.channel for recipient in recipients]
        state = record_notified(state, names, route.repeat.get(alert.severity), self._now)
        if alert.details.muted_by:
            state = pause(state, self._now)
        self._save_escalation(alert.id, route.name, state)

    def _plan_resolved(self, event: int, notice: Notice) -> None:
        """Notify the recipients of the opening notification."""
        escalations.delete_escalations(self._connection, notice.id)
        if suppress_batch(self._connection, notice.id, CATCH_UP, RESOLVED_BEFORE_NOTIFIED):
            self.has_withdrawn = True
        notified, _ = notified_channels(self._connection, notice.id)
        # The fallback of a channel that was disabled since did not get the opening notification.
        resolved = self._plan.recipients.resolve(notified, self._now)
        recipients = [recipient for recipient in resolved if recipient.channel in notified]
        self._plan_channels(event, notice, recipients, "notified when the alert opened")

    def _plan_unmuted(self, event: int, notice: Notice) -> None:
        """Notify the recipients of suppressed notifications, and resume escalations."""
        _, suppressed = notified_channels(self._connection, notice.id)
        recipients = self._plan.recipients.resolve(suppressed, self._now)
        self._plan_channels(event, notice, recipients, "notifications were suppressed while muted")
        for route, state in self._escalation_states(notice.id).items():
            self._save_escalation(notice.id, route, resume(state, self._now))

    def _plan_channels(
        self, event: int, notice: Notice, recipients: Sequence[Recipient], reason: str
    ) -> None:
        route = self._plan.routing.match(notice, self._now)[0]
        self._write_deliveries(event, notice, self._deliveries_for(route, notice, recipients, reason))

    def _stop_escalations(self, event: AlertEvent) -> None:
        """Stop escalations, and apply the policy's timeout to an acknowledgement without a duration."""
        alert = store.alert_by_id(self._connection, event.alert_id)
        escalations.delete_escalations(self._connection, event.alert_id)
        suppress_pending(self._connection, event.alert_id, ESCALATION_CHANGES, f"acknowledged by {event.by}")
        if alert is None:
            return
        policies = (self._plan.policy_of(route) for route in self._plan.routing.match(alert, self._now))
        timeouts = [
            policy.acknowledge_timeout for policy in policies if policy and policy.acknowledge_timeout
        ]
        if timeouts and (change := limit_acknowledgement(alert, min(timeouts))):
            apply_transition(self._connection, change)

    def _escalate(self, alert: Alert, route: Route, policy: EscalationPolicy, state: EscalationState) -> None:
        reason = _format_step(policy, state)
        step, _, state = take_step(state, policy, self._now)
        if escalated := escalate(alert, self._now, raises_severity=step.raise_severity):
            self._plan_escalation_step(escalated, route, state, step.notify, reason)

    def _repeat(self, alert: Alert, route: Route, state: EscalationState) -> None:
        names = (*state.notified, *route.notify)
        if repeated := repeat(alert, self._now):
            self._plan_escalation_step(repeated, route, state, names, f"repeat: {route.name}")

    def _plan_escalation_step(
        self,
        transition: Transition,
        route: Route,
        state: EscalationState,
        names: Sequence[str],
        reason: str,
    ) -> None:
        change, alert = transition.change, transition.alert
        notice = build_notice(alert, change)
        recipients = self._recipients(notice, names)
        self._save_notified(alert, route, state, recipients)
        fresh = [one for one in recipients if (alert.id, one.channel) not in self._notified_this_run]
        if recipients and not fresh and change == "repeated":
            return
        self._notified_this_run |= {(alert.id, one.channel) for one in fresh}
        notified = ", ".join(one.channel for one in recipients) or "no enabled channel"
        event = apply_transition(self._connection, transition._replace(comment=f"{reason}: {notified}"))
        self.has_timeline_events = True
        self._write_deliveries(event, notice, self._deliveries_for(route, notice, fresh, reason))

    def _start_missing_routes(self, alert: Alert) -> None:
        """Start escalations along current routes that have none, because an earlier route was removed."""
        known = escalations.escalations_of(self._connection, alert.id)
        notified, _ = notified_channels(self._connection, alert.id)
        for route in self._plan.routing.match(alert, self._now):
            if route.name in known:
                continue
            state = start_escalation(self._plan.policy_of(route), self._now)
            self._save_escalation(
                alert.id,
                route.name,
                record_notified(state, notified, route.repeat.get(alert.severity), self._now),
            )

    def _recipients(self, notice: Notice, names: Sequence[str]) -> list[Recipient]:
        recipients = self._plan.recipients.resolve(names, self._now)
        return [usable for found in recipients if (usable := _without_failing_channel(found, notice))]

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
        """Return until when a notification is held (None: not held), and its batch."""
        quiet_end = route.quiet.held_until(notice.severity, self._now) if route.quiet else None
        if quiet_end:
            return quiet_end, f"quiet hours of {route.name} until {quiet_end:%Y-%m-%d %H:%M} UTC"
        if self._now - notice.updated_at > CATCH_UP_AGE:
            return self._now + SETTLE_TIME, CATCH_UP
        group = group_key(route, notice)
        if group is None:
            return None, None
        due = next_message_at(escalations.group_message_at(self._connection, group), route, self._now)
        escalations.set_group_message_at(self._connection, group, due)
        return (due if due > self._now else None), group

    def _forward_watchdog_beat(self, event: AlertEvent) -> None:
        """Forward the watchdog beat, and delete old beats."""
        if event.notice:
            channels = [LOOPBACK_CHANNEL]
            last = newest_delivery_at(self._connection, WATCHDOG, WATCHDOG_URL_CHANNEL)
            if self._plan.is_watchdog_url_due(last, event.notice.updated_at):
                channels.append(WATCHDOG_URL_CHANNEL)
            # Beats that had to wait are one batch: one is enough.
            planned = [PlannedDelivery(channel, "watchdog beat", batch=WATCHDOG) for channel in channels]
            self._write_deliveries(event.id, event.notice, planned)
        kept = BEAT_RETENTION + (self._plan.watchdog_interval or timedelta(0))
        store.delete_events(self._connection, WATCHDOG, self._now - kept)

    def _write_deliveries(self, event: int, notice: Notice, planned: Sequence[PlannedDelivery]) -> None:
        # If two routes lead to the same channel, the first one counts.
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
        return {route: _decode_escalation_state(encoded) for route, encoded in states.items()}

    def _save_escalation(self, alert_id: str, route: str, state: EscalationState) -> None:
        encoded = msgspec.json.encode(state).decode()
        escalations.put_escalation(
            self._connection, StoredEscalation(alert_id, route, encoded), next_due(state)
        )


def _decode_escalation_state(encoded: str) -> EscalationState:
    """Decode an escalation state; an unreadable one restarts, so that it does not block the others."""
    try:
        return msgspec.json.decode(encoded, type=EscalationState)
    except msgspec.DecodeError as error:
        log.error("escalation state is unreadable; restarting the escalation", error=str(error))
        return EscalationState()


def _mute_reason(notice: Notice) -> str | None:
    """Return why a notification is muted; `resolved` and `unmuted` are sent even if the alert is muted."""
    return None if notice.change in ("resolved", "unmuted") else notice.details.muted_by


def _format_step(policy: EscalationPolicy, state: EscalationState) -> str:
    """Describe the next step: `night: step 2 of 3`, with the round if there are several."""
    number = min(state.step + 1, len(policy.steps))  # a reload may have shortened the policy
    reason = f"{policy.name}: step {number} of {len(policy.steps)}"
    return f"{reason}, round {state.round} of {policy.rounds}" if policy.rounds > 1 else reason


def _without_failing_channel(recipient: Recipient, notice: Notice) -> Recipient | None:
    """Return the recipient; for an alert about its own channel, the fallback, or None if there is none."""
    broken = notice.details.labels.get("channel") if notice.details.origin else None
    if recipient.channel != broken:
        return recipient
    if not recipient.fallback:
        return None
    return recipient._replace(channel=recipient.fallback[0], fallback=recipient.fallback[1:])

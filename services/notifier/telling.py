"""Telling: what happened to an alert, or is due on it, becomes deliveries; within one transaction."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
import structlog
from sqlalchemy import Connection

from services.notifier.catching_up import LATE, OVER, SETTLE
from services.notifier.channels.heartbeat import HEARTBEAT
from services.notifier.directory import Recipient
from services.notifier.escalation import (
    Policy,
    Pursuit,
    begin,
    due_at,
    follow,
    pause,
    resume,
    take_step,
    tell,
)
from services.notifier.grouping import group_key, message_at
from services.notifier.plan import Plan
from services.notifier.routing import Route
from shared.schema.alerts import Alert, Change, Notice, notice_of, raised
from shared.schema.watchdog import ITSELF, WATCHDOG
from shared.store import alerts as store
from shared.store import escalations
from shared.store.deliveries import CATCH_UP, last_written
from shared.store.escalations import Escalation, Happening
from shared.store.outbox import Planned, add_deliveries, standing, withdraw, withdraw_batch

log = structlog.get_logger()

BEGINS: frozenset[Change] = frozenset(("opened", "reopened", "flapping", "unacknowledged"))
"""The changes with which telling people begins anew."""
PURSUING: tuple[Change, ...] = ("escalated", "repeated")
BEATS_KEPT = timedelta(minutes=10)


class Suppressed(NamedTuple):
    """A delivery that was kept back."""

    channel: str
    reason: str


class Telling:
    """Tells of happenings and of what is due, at `now`."""

    def __init__(self, connection: Connection, plan: Plan, now: datetime) -> None:
        self._connection = connection
        self._plan = plan
        self._now = now
        self.channels: set[str] = set()
        """The channels for which a delivery was written."""
        self.suppressed: list[Suppressed] = []
        self.has_news = False
        """Whether something was put on a timeline."""
        self.has_withdrawn = False
        """Whether an alert ended before anybody was notified of it."""
        self._pursued: set[tuple[str, str]] = set()
        """The alerts and channels that were told of by a step or a repeat: along several routes, once."""

    def take(self, happening: Happening) -> None:
        """Tell of something that happened."""
        notice = happening.notice
        if notice and notice.details.origin and happening.alert_id != WATCHDOG:
            self.has_news = True  # nobody else announces what Botwatch finds wrong with itself
        if happening.alert_id == WATCHDOG:
            self._beat(happening)
        elif happening.change == "acknowledged":
            self._stop(happening)
        elif happening.change == "muted":
            for route, pursuit in self._pursuits(happening.alert_id).items():
                self._put(happening.alert_id, route, pause(pursuit, self._now))
        elif notice is None or happening.change in PURSUING:
            pass
        elif happening.change == "resolved":
            self._resolve(happening.id, notice)
        elif happening.change == "unmuted":
            self._unmute(happening.id, notice)
        else:
            self._tell(happening.id, notice)

    def take_due(self, escalation: Escalation, alert: Alert) -> None:
        """Take the next step of an escalation, or tell again."""
        route = self._plan.routing.named(escalation.route)
        if alert.status != "ACTIVE" or route is None:
            escalations.drop_escalations(self._connection, alert.id, escalation.route)
            if alert.status == "ACTIVE":
                self._begin_again(alert)
            return
        policy = self._plan.policy(route)
        pursuit = follow(_read(escalation.state), policy, self._now)
        if alert.details.muted_by:
            self._put(alert.id, route.name, pause(pursuit, self._now))
        elif policy and pursuit.step_at and pursuit.step_at <= self._now:
            self._escalate(alert, route, policy, pursuit)
        elif pursuit.repeat_at and pursuit.repeat_at <= self._now:
            self._repeat(alert, route, pursuit)
        else:
            self._put(alert.id, route.name, pursuit)

    def _tell(self, event: int, notice: Notice) -> None:
        """Tell along every route; what is known of a route that no longer fits is forgotten."""
        if notice.change in BEGINS:
            escalations.drop_escalations(self._connection, notice.id)
        known = self._pursuits(notice.id)
        planned: list[Planned] = []
        for route in self._plan.routing.routes(notice, self._now):
            pursuit, names, reason = self._along(route, known.pop(route.name, None))
            recipients = self._recipients(notice, names)
            planned += self._planned(route, notice, recipients, reason)
            self._go_on(notice, route, pursuit, recipients)
        for route_name in known:
            escalations.drop_escalations(self._connection, notice.id, route_name)
        self._write(event, notice, planned)

    def _along(self, route: Route, known: Pursuit | None) -> tuple[Pursuit, Sequence[str], str]:
        """Return how it goes on along a route, whom to tell now, and why."""
        policy = self._plan.policy(route)
        if known:
            # Without a policy also whoever is on call by now, or stands in the document by now.
            return follow(known, policy, self._now), (*known.told, *route.notify), route.name
        pursuit = begin(policy, self._now)
        if policy is None:
            return pursuit, route.notify, route.name
        # A step that raises the severity is no part of what happened: it is taken right after it.
        if pursuit.step_at is None or pursuit.step_at > self._now or policy.steps[0].raise_severity:
            return pursuit, (), route.name
        reason = _step_in_words(policy, pursuit)
        step, _, pursuit = take_step(pursuit, policy, self._now)
        return pursuit, step.notify, reason

    def _go_on(self, alert: Alert, route: Route, pursuit: Pursuit, recipients: Iterable[Recipient]) -> None:
        """Remember who was told along a route, unless somebody takes care already."""
        if alert.status != "ACTIVE":
            return
        names = [one.person or one.channel for one in recipients]
        pursuit = tell(pursuit, names, route.repeat.get(alert.severity), self._now)
        if alert.details.muted_by:
            pursuit = pause(pursuit, self._now)
        self._put(alert.id, route.name, pursuit)

    def _resolve(self, event: int, notice: Notice) -> None:
        """Tell whoever was told that it is open."""
        escalations.drop_escalations(self._connection, notice.id)
        if withdraw_batch(self._connection, notice.id, CATCH_UP, OVER):
            self.has_withdrawn = True
        told, _ = standing(self._connection, notice.id)
        # What stands in by now for a channel that was switched off since was told nothing.
        recipients = [one for one in self._plan.directory.recipients(told, self._now) if one.channel in told]
        self._tell_channels(event, notice, recipients, "was told that it is open")

    def _unmute(self, event: int, notice: Notice) -> None:
        """Tell whoever would have been told, and let escalations go on."""
        _, kept_from = standing(self._connection, notice.id)
        recipients = self._plan.directory.recipients(kept_from, self._now)
        self._tell_channels(event, notice, recipients, "something was kept back")
        for route, pursuit in self._pursuits(notice.id).items():
            self._put(notice.id, route, resume(pursuit, self._now))

    def _tell_channels(
        self, event: int, notice: Notice, recipients: Sequence[Recipient], reason: str
    ) -> None:
        route = self._plan.routing.routes(notice, self._now)[0]
        self._write(event, notice, self._planned(route, notice, recipients, reason))

    def _stop(self, happening: Happening) -> None:
        """Leave whoever acknowledged it alone, for as long as the policy allows if nobody said how long."""
        alert = store.alert_by_id(self._connection, happening.alert_id)
        escalations.drop_escalations(self._connection, happening.alert_id)
        withdraw(self._connection, happening.alert_id, PURSUING, f"acknowledged by {happening.by}")
        if alert is None or alert.status != "ACKNOWLEDGED" or alert.acknowledged_until:
            return
        policies = (self._plan.policy(route) for route in self._plan.routing.routes(alert, self._now))
        timeouts = [one.acknowledge_timeout for one in policies if one and one.acknowledge_timeout]
        if timeouts:
            alert.acknowledged_until = (alert.acknowledged_at or self._now) + min(timeouts)
            store.update_alert(self._connection, alert)

    def _escalate(self, alert: Alert, route: Route, policy: Policy, pursuit: Pursuit) -> None:
        words = _step_in_words(policy, pursuit)
        step, _, pursuit = take_step(pursuit, policy, self._now)
        alert.updated_at = self._now
        if step.raise_severity:
            alert.severity = alert.details.raised_to = raised(alert.severity)
        store.update_alert(self._connection, alert)
        self._pursue(alert, "escalated", route, pursuit, step.notify, words)

    def _repeat(self, alert: Alert, route: Route, pursuit: Pursuit) -> None:
        alert.updated_at = self._now
        names = (*pursuit.told, *route.notify)
        self._pursue(alert, "repeated", route, pursuit, names, f"still open: {route.name}")

    def _pursue(
        self, alert: Alert, change: Change, route: Route, pursuit: Pursuit, names: Sequence[str], words: str
    ) -> None:
        notice = notice_of(alert, change)
        recipients = self._recipients(notice, names)
        self._go_on(alert, route, pursuit, recipients)
        fresh = [one for one in recipients if (alert.id, one.channel) not in self._pursued]
        if recipients and not fresh and change == "repeated":
            return
        self._pursued |= {(alert.id, one.channel) for one in fresh}
        told = ", ".join(one.channel for one in recipients) or "nobody can be told"
        event = store.add_event(self._connection, alert, change, self._now, comment=f"{words}: {told}")
        self.has_news = True
        self._write(event, notice, self._planned(route, notice, fresh, words))

    def _begin_again(self, alert: Alert) -> None:
        """Follow the routes there are now and that are not followed yet: one that was is gone."""
        known = escalations.escalations_of(self._connection, alert.id)
        told, _ = standing(self._connection, alert.id)
        for route in self._plan.routing.routes(alert, self._now):
            if route.name in known:
                continue
            pursuit = begin(self._plan.policy(route), self._now)
            self._put(alert.id, route.name, tell(pursuit, told, route.repeat.get(alert.severity), self._now))

    def _recipients(self, notice: Notice, names: Sequence[str]) -> list[Recipient]:
        recipients = self._plan.directory.recipients(names, self._now)
        return [reachable for one in recipients if (reachable := _around(one, notice))]

    def _planned(
        self, route: Route, notice: Notice, recipients: Sequence[Recipient], reason: str
    ) -> list[Planned]:
        if not recipients:
            return []
        held, batch = (None, None) if _muted_by(notice) else self._schedule(route, notice)
        return [
            Planned(
                one.channel, f"{reason} ({one.person})" if one.person else reason, held, batch, one.fallback
            )
            for one in recipients
        ]

    def _schedule(self, route: Route, notice: Notice) -> tuple[datetime | None, str | None]:
        """Return until when a notice is held, if it is, and with what it goes in one message."""
        morning = route.quiet.until(notice.severity, self._now) if route.quiet else None
        if morning:
            return morning, f"quiet hours of {route.name} until {morning:%Y-%m-%d %H:%M} UTC"
        if self._now - notice.updated_at > LATE:
            return self._now + SETTLE, CATCH_UP
        group = group_key(route, notice)
        if group is None:
            return None, None
        moment = message_at(escalations.message_at(self._connection, group), route, self._now)
        escalations.set_message_at(self._connection, group, moment)
        return (moment if moment > self._now else None), group

    def _beat(self, happening: Happening) -> None:
        """Pass the watchdog's beat on, and forget the beats of long ago."""
        if happening.notice:
            hearing = [ITSELF]
            last = last_written(self._connection, WATCHDOG, HEARTBEAT)
            if self._plan.is_heartbeat_due(last, happening.notice.updated_at):
                hearing.append(HEARTBEAT)
            # Of beats that waited one is enough: they are a batch.
            planned = [Planned(channel, "the watchdog's beat", batch=WATCHDOG) for channel in hearing]
            self._write(happening.id, happening.notice, planned)
        kept = BEATS_KEPT + (self._plan.heartbeat or timedelta(0))
        store.drop_events(self._connection, WATCHDOG, self._now - kept)

    def _write(self, event: int, notice: Notice, planned: Sequence[Planned]) -> None:
        # Of two routes to the same channel the first one counts.
        once: dict[str, Planned] = {}
        for one in planned:
            once.setdefault(one.channel, one)
        muted_by = _muted_by(notice)
        add_deliveries(self._connection, event, notice, [*once.values()], muted_by)
        if muted_by:
            self.suppressed += [Suppressed(channel, "muted") for channel in once]
        else:
            self.channels |= once.keys()

    def _pursuits(self, alert_id: str) -> dict[str, Pursuit]:
        states = escalations.escalations_of(self._connection, alert_id)
        return {route: _read(state) for route, state in states.items()}

    def _put(self, alert_id: str, route: str, pursuit: Pursuit) -> None:
        state = msgspec.json.encode(pursuit).decode()
        escalations.put_escalation(self._connection, Escalation(alert_id, route, state), due_at(pursuit))


def _read(state: str) -> Pursuit:
    """Read how far a pursuit is; one that cannot be read begins anew, and must not hold up the rest."""
    try:
        return msgspec.json.decode(state, type=Pursuit)
    except msgspec.DecodeError as error:
        log.error("an escalation cannot be read: it begins anew", error=str(error))
        return Pursuit()


def _muted_by(notice: Notice) -> str | None:
    """Return what keeps a notice back; its end is told to whoever was told, muted or not."""
    return None if notice.change in ("resolved", "unmuted") else notice.details.muted_by


def _step_in_words(policy: Policy, pursuit: Pursuit) -> str:
    """Name the step that comes next: `night: step 2 of 3`, with the round where there are several."""
    number = min(pursuit.step + 1, len(policy.steps))  # a reload may have made it shorter
    words = f"{policy.name}: step {number} of {len(policy.steps)}"
    return f"{words}, round {pursuit.round} of {policy.rounds}" if policy.rounds > 1 else words


def _around(recipient: Recipient, notice: Notice) -> Recipient | None:
    """Return who is told of an alert about a channel: not that channel, but what stands in for it."""
    broken = notice.details.labels.get("channel") if notice.details.origin else None
    if recipient.channel != broken:
        return recipient
    if not recipient.fallback:
        return None
    return recipient._replace(channel=recipient.fallback[0], fallback=recipient.fallback[1:])

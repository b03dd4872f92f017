"""Who is on call: rotations with their shifts, and whom each escalation policy reaches."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from services.dashboard.api.parameters import Moment, QueryParameters
from services.dashboard.channel_uses import route_targets
from services.dashboard.data_sources import DataSources
from services.dashboard.documents import NOTIFICATIONS, Place
from shared.runtime.clock import Clock
from shared.runtime.config.notifications import Notifications, PolicySection, RotationSection
from shared.runtime.config.recipients import Recipients, Shift, on_call, shift_end, shifts
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.durations import Duration, format_duration_ms, milliseconds, to_timedelta

DEFAULT_DAYS = 28
MAX_DAYS = 92


class OnCallShift(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A time during which one person is on call."""

    person: str
    start: datetime
    """Cut at the beginning of the requested time."""
    end: datetime
    """Cut at its end."""
    override: bool
    """Whether an override put them there."""


class CurrentShift(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The person on call, and until when."""

    person: str
    until: datetime | None
    """None: no handover to somebody else is planned."""
    override: bool
    channel: str | None
    """The channel that is notified first; None: no contact of theirs is enabled."""


class OnCallOverride(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A person takes another person's shift."""

    person: str
    start: datetime
    end: datetime
    place: Place


class OnCallRotation(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A rotation: who is on call at `at`, who is next, and the shifts of the requested days."""

    name: str
    place: Place
    people: list[str]
    every: str
    """Length of a shift: `weekly`, `daily`, `12h`."""
    handover: str
    """Local time of day at which a shift begins."""
    time_zone: str
    now: CurrentShift
    next: OnCallShift | None
    """The next person; None: nobody else is planned."""
    shifts: list[OnCallShift]
    overrides: list[OnCallOverride]
    """Those that end after `at`, the earliest first."""


class NotifiedTarget(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A name in a step, and what it stands for at `at`."""

    name: str
    kind: Literal["channel", "person", "rotation"]
    person: str | None
    """Who that is now; None for a channel."""
    channel: str | None
    """The channel that is notified; None: none is enabled, so nobody is."""
    fallback: list[str]
    """The channels that are tried next if that one fails."""


class PolicyStep(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A step of a policy."""

    after_seconds: float
    """Since the start of the round."""
    raises_severity: bool
    notifies: list[NotifiedTarget]


class OnCallPolicy(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """An escalation policy, and whom its steps notify at `at`."""

    name: str
    place: Place
    rounds: int
    pause_seconds: float | None
    """Between two rounds; None: not configured, so as before the last step."""
    acknowledge_timeout_seconds: float | None
    """How long an acknowledgement holds; None: until the alert is resolved."""
    routes: list[str]
    """The routes that use it."""
    steps: list[PolicyStep]


class OnCallPerson(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A person and the channels that reach them, the preferred one first."""

    name: str
    place: Place
    contacts: list[str]
    reachable: bool
    """Whether one of them, or a fallback of the last, is enabled."""


class OnCall(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """Who is on call at `at`, and until `until`."""

    at: datetime
    until: datetime
    channels_known: bool
    """False: the notifier has not said which channels are enabled; all in the document count as enabled."""
    rotations: list[OnCallRotation]
    policies: list[OnCallPolicy]
    people: list[OnCallPerson]


def add_on_call(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route `/on-call`."""

    @api.get("/on-call")
    @describe(
        "Who is on call",
        tag="Notifications",
        answers=OnCall,
        query=(
            Parameter("at", Moment, "The moment; default: now."),
            Parameter(
                "days", Annotated[int, Meta(ge=1, le=MAX_DAYS)], f"Days of shifts; default: {DEFAULT_DAYS}."
            ),
        ),
        description="Rotations, overrides, people and policies as the notifier has loaded them.",
    )
    def who_is_on_call() -> Response:
        read = QueryParameters(request.args, ("at", "days"))
        at, days = read.timestamp("at") or clock(), read.number("days", MAX_DAYS) or DEFAULT_DAYS
        read.check()
        documents, statuses = sources.documents, sources.channels()
        known = documents.notifications.channels
        enabled = [*known] if statuses is None else [each.name for each in statuses.channels]
        until = at + timedelta(days=days)
        recipients = Recipients.from_documents(documents, enabled)
        view = _View(documents.notifications, recipients, at, until)
        return json_response(
            OnCall(
                at=at,
                until=until,
                channels_known=statuses is not None,
                rotations=[view.rotation(name) for name in documents.notifications.rotations],
                policies=[view.policy(name, enabled) for name in documents.notifications.policies],
                people=[view.person(name) for name in documents.notifications.people],
            )
        )


class _View:
    """The sections of the document at one moment."""

    def __init__(
        self, document: Notifications, recipients: Recipients, at: datetime, until: datetime
    ) -> None:
        self._document = document
        self._recipients = recipients
        self._at = at
        self._until = until

    def rotation(self, name: str) -> OnCallRotation:
        section, rotation = self._document.rotations[name], self._recipients.rotations[name]
        # Far enough to see the next handover, however long a shift is.
        end = max(self._until, shift_end(rotation, self._at, later=2))
        ahead = shifts(rotation, self._at, end)
        following = next((shift for shift in ahead if shift.person != ahead[0].person), None)
        return OnCallRotation(
            name=name,
            place=Place(NOTIFICATIONS, f"rotations.{name}"),
            people=section.people,
            every=_length(section.every),
            handover=section.at,
            time_zone=section.time_zone,
            now=CurrentShift(
                person=ahead[0].person,
                until=following.start if following else None,
                override=ahead[0].is_override,
                channel=self._target(ahead[0].person).channel,
            ),
            next=_shift(following) if following else None,
            shifts=[_shift(shift) for shift in shifts(rotation, self._at, self._until)],
            overrides=self._overrides(name, section),
        )

    def _overrides(self, name: str, section: RotationSection) -> list[OnCallOverride]:
        found = [
            OnCallOverride(
                person=override.person,
                start=override.from_,
                end=override.until,
                place=Place(NOTIFICATIONS, f"rotations.{name}.overrides[{index}]"),
            )
            for index, override in enumerate(section.overrides)
            if override.until > self._at
        ]
        return sorted(found, key=lambda override: override.start)

    def policy(self, name: str, enabled: list[str]) -> OnCallPolicy:
        section: PolicySection = self._document.policies[name]
        routes = route_targets(self._document, enabled)
        return OnCallPolicy(
            name=name,
            place=Place(NOTIFICATIONS, f"policies.{name}"),
            rounds=section.rounds,
            pause_seconds=_seconds(section.pause),
            acknowledge_timeout_seconds=_seconds(section.acknowledge_timeout),
            routes=[route.name for route in routes if route.policy == name],
            steps=[
                PolicyStep(
                    after_seconds=to_timedelta(step.after).total_seconds(),
                    raises_severity=step.raise_severity,
                    notifies=[self._target(target) for target in step.notify],
                )
                for step in section.steps
            ],
        )

    def person(self, name: str) -> OnCallPerson:
        return OnCallPerson(
            name=name,
            place=Place(NOTIFICATIONS, f"people.{name}"),
            contacts=self._document.people[name].contacts,
            reachable=self._target(name).channel is not None,
        )

    def _target(self, name: str) -> NotifiedTarget:
        is_rotation = name in self._recipients.rotations
        kind: Literal["channel", "person", "rotation"] = "rotation" if is_rotation else "channel"
        if name in self._recipients.contacts:
            kind = "person"
        person = None
        if kind != "channel":
            rotation = self._recipients.rotations.get(name)
            person = on_call(rotation, self._at) if rotation else name
        found = self._recipients.resolve([name], self._at)
        return NotifiedTarget(
            name=name,
            kind=kind,
            person=person,
            channel=found[0].channel if found else None,
            fallback=list(found[0].fallback) if found else [],
        )


def _shift(shift: Shift) -> OnCallShift:
    return OnCallShift(person=shift.person, start=shift.start, end=shift.end, override=shift.is_override)


def _length(every: str | float) -> str:
    return every if isinstance(every, str) else format_duration_ms(milliseconds(every))


def _seconds(duration: Duration | None) -> float | None:
    return None if duration is None else to_timedelta(duration).total_seconds()

"""Silences as Alertmanager's API shows and takes them; they are those of Botwatch's page."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import Connection

from services.dashboard.alertmanager.label_filters import matches_filters
from shared.access.identity import ForbiddenError, Identity, resolve_actor
from shared.schema.decoding import UNREADABLE, describe_json_error
from shared.schema.external_alerts import MAX_LABEL
from shared.schema.silences import Matcher, Silence, SilenceRequest, SilenceState
from shared.schema.timestamps import LATEST, to_wire
from shared.store.silences import list_silences

EXPIRED_KEPT = timedelta(hours=120)
"""How long an expired silence is listed, as in Alertmanager; the page lists all."""
MAX_LISTED = 10_000
MAX_AUTHOR = 256
UNKNOWN_AUTHOR = "unknown"
_STATES: tuple[SilenceState, ...] = ("active", "pending", "expired")


class SilenceStatus(msgspec.Struct, frozen=True):
    """Whether a silence mutes now."""

    state: SilenceState


class ShownMatcher(msgspec.Struct, frozen=True, rename="camel"):
    """A matcher with every field, which clients need."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool


class ShownSilence(msgspec.Struct, frozen=True, rename="camel"):
    """A silence; clients need every field."""

    id: str
    status: SilenceStatus
    updated_at: str
    comment: str
    created_by: str
    starts_at: str
    ends_at: str
    matchers: list[ShownMatcher]


class _MatcherBody(msgspec.Struct, rename="camel"):
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    value: Annotated[str, Meta(max_length=MAX_LABEL)]
    is_regex: bool = False
    is_equal: bool | None = True
    """Absent in requests of old clients."""


class _SilenceBody(msgspec.Struct, rename="camel"):
    """A silence as clients send it; fields that are unknown here are ignored."""

    matchers: Annotated[list[_MatcherBody], Meta(min_length=1, max_length=64)]
    ends_at: datetime
    starts_at: datetime | None = None
    created_by: Annotated[str, Meta(max_length=MAX_AUTHOR)] = ""
    comment: Annotated[str, Meta(max_length=4096)] = ""
    id: str | None = None


def show_silence(silence: Silence, now: datetime) -> ShownSilence:
    """Return a silence as the API shows it."""
    return ShownSilence(
        id=silence.id,
        status=SilenceStatus(silence.state(now)),
        updated_at=to_wire(silence.updated_at),
        comment=silence.comment,
        created_by=silence.created_by,
        starts_at=to_wire(silence.starts_at),
        ends_at=to_wire(silence.ends_at),
        matchers=[ShownMatcher(one.name, one.value, one.is_regex, one.is_equal) for one in silence.matchers],
    )


def matching_silences(
    connection: Connection, matchers: Sequence[Matcher], now: datetime
) -> list[ShownSilence]:
    """Return the silences that pass the filters.

    Active ones that end first, then pending ones that start first, then those that expired last.
    """
    found = [
        silence
        for silence in list_silences(connection, (), now, MAX_LISTED)
        if silence.ends_at > now - EXPIRED_KEPT
        and matches_filters(matchers, {one.name: one.value for one in silence.matchers})
    ]
    return [show_silence(silence, now) for silence in sorted(found, key=lambda one: _place(one, now))]


def _place(silence: Silence, now: datetime) -> tuple[int, float]:
    state = silence.state(now)
    moments = {"active": silence.ends_at, "pending": silence.starts_at, "expired": silence.ends_at}
    seconds = moments[state].timestamp()
    return _STATES.index(state), -seconds if state == "expired" else seconds


def parse_silence(body: bytes, identity: Identity, now: datetime) -> SilenceRequest:
    """Read a silence. Raises ValueError with Alertmanager's words."""
    try:
        given = msgspec.json.decode(body, type=_SilenceBody)
    except UNREADABLE as error:
        is_json = isinstance(error, msgspec.ValidationError)
        raise ValueError(str(error) if is_json else describe_json_error(body, error)) from error
    starts_at = None if given.starts_at is None or given.starts_at.year == 1 else _aware(given.starts_at)
    ends_at = min(_aware(given.ends_at), LATEST - timedelta(seconds=1))
    if starts_at and ends_at <= starts_at:
        raise ValueError("Failed to create silence: start time must be before end time")
    if ends_at <= now:
        raise ValueError("Failed to create silence: end time can't be in the past")
    matchers = [
        Matcher(one.name, one.value, one.is_regex, one.is_equal is not False) for one in given.matchers
    ]
    if error_text := next((f"{one.name}: {one.error}" for one in matchers if one.error), None):
        raise ValueError(f"invalid label matcher {error_text}")
    if all(matcher.matches({}) for matcher in matchers):
        raise ValueError("silence invalid: at least one matcher must not match the empty string")
    return SilenceRequest(
        id=given.id or None,
        matchers=matchers,
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=_author(given.created_by, identity),
        comment=given.comment,
    )


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("expected a time with its zone, such as 2026-01-31T12:00:00Z")
    return moment


def _author(given: str, identity: Identity) -> str:
    """Return who silences: tools send the name of a user of theirs, which counts only where it may."""
    try:
        return resolve_actor(identity, given) or UNKNOWN_AUTHOR
    except ForbiddenError:
        return identity.name

"""Calendar feeds: shifts and maintenance windows as iCalendar. Pure.

Each shift and each span of a window is an event of its own, in UTC: overrides, handovers in the nights in
which clocks are changed, and cron schedules have no exact recurrence rule. UIDs come from what an event is
about and when it begins, so that a changed person or end updates it.

Source: RFC 5545, RFC 7986 (NAME, REFRESH-INTERVAL).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

from icalendar import Calendar, Event, Timezone

from shared.runtime.config.recipients import Rotation, Shift, shifts, turns
from shared.schema.muting import MaintenanceWindow
from shared.version import VERSION

BEHIND = timedelta(days=30)
AHEAD = timedelta(days=90)
REFRESH = timedelta(hours=1)
MAX_SPANS = 1000
"""How often one window is listed."""
REVISION_ZERO = 1_577_836_800
"""2020-01-01, from which revisions are counted: SEQUENCE is a 32-bit number."""


class FeedSource(NamedTuple):
    """What all events of a feed have in common."""

    page_url: str
    """Public URL of Botwatch, without a slash at the end."""
    changed_at: datetime
    """When the configuration changed last."""

    @property
    def revision(self) -> int:
        """A number that grows with each change of the configuration."""
        return max(0, int(self.changed_at.timestamp()) - REVISION_ZERO)


class FeedEvent(NamedTuple):
    """One event."""

    key: tuple[str, ...]
    """What it is about and when it begins: two events with the same key are versions of one."""
    summary: str
    description: str
    start: datetime
    end: datetime
    path: str
    """Of the view that shows it."""


def on_call_feed(
    rotations: Mapping[str, Rotation], source: FeedSource, now: datetime, person: str | None = None
) -> bytes:
    """Return the shifts from 30 days ago to 90 days ahead; only those of `person` if given."""
    events = (
        event
        for name, rotation in rotations.items()
        for event in _rotation_events(name, rotation, now - BEHIND, now + AHEAD, person)
    )
    title = f"On call: {person}" if person else "On call"
    return _calendar(title, "Shifts of the on-call rotations of Botwatch.", events, source)


def maintenance_feed(windows: Iterable[MaintenanceWindow], source: FeedSource, now: datetime) -> bytes:
    """Return the maintenance windows from 30 days ago to 90 days ahead."""
    events = (event for window in windows for event in _window_events(window, now - BEHIND, now + AHEAD))
    return _calendar("Maintenance", "Maintenance windows of Botwatch.", events, source)


def _rotation_events(
    name: str, rotation: Rotation, since: datetime, until: datetime, person: str | None
) -> Iterator[FeedEvent]:
    place = f"Rotation {name}, handover at {rotation.begins:%H:%M} {rotation.zone.key}."
    for shift in (*_shifts(rotation, since, until), *_overrides(rotation, since, until)):
        if person in (None, shift.person):
            yield FeedEvent(
                ("on-call", name, "override" if shift.is_override else "", shift.start.isoformat()),
                f"On call: {shift.person} ({name})",
                f"{place} An override." if shift.is_override else place,
                shift.start,
                shift.end,
                "/on-call",
            )


def _shifts(rotation: Rotation, since: datetime, until: datetime) -> Iterator[Shift]:
    """Yield the whole shifts that reach into [since, until), without the times that overrides take."""
    for start, end in turns(rotation, since, until):
        for shift in shifts(rotation, start, end):
            if not shift.is_override:
                yield shift


def _overrides(rotation: Rotation, since: datetime, until: datetime) -> Iterator[Shift]:
    """Yield the overrides that reach into [since, until), cut where a later one in the list wins."""
    reaching = [one for one in rotation.overrides if one.start < until and one.end > since]
    if not reaching:
        return
    begin, end = min(one.start for one in reaching), max(one.end for one in reaching)
    for shift in shifts(rotation, begin, end):
        if shift.is_override and shift.end > since:
            yield shift


def _window_events(window: MaintenanceWindow, since: datetime, until: datetime) -> Iterator[FeedEvent]:
    matched = ", ".join(f"{label}={' or '.join(patterns)}" for label, patterns in window.match)
    for start, end in islice(window.when.spans_between(since, until), MAX_SPANS):
        yield FeedEvent(
            ("maintenance", window.name, matched, start.isoformat()),
            f"Maintenance: {window.name}",
            f"Notifications are muted for {matched or 'all alerts'}.",
            start,
            end,
            "/silences",
        )


def _calendar(title: str, about: str, events: Iterable[FeedEvent], source: FeedSource) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", f"-//Botwatch//{VERSION}//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    for name in ("name", "x-wr-calname"):  # the second is what Apple and Google read
        calendar.add(name, f"{title} (Botwatch)")
    for name in ("description", "x-wr-caldesc"):
        calendar.add(name, about)
    calendar.add("refresh-interval", REFRESH, {"value": "DURATION"})
    calendar.add("x-published-ttl", "PT1H")  # Outlook
    unique = {event.key: event for event in events}
    for event in sorted(unique.values(), key=lambda event: (event.start, event.key)):
        calendar.add_component(_event(event, source))
    if not unique:  # a calendar must have a component
        calendar.add_component(Timezone.from_tzid("UTC"))
    written: bytes = calendar.to_ical()
    return written


def _event(event: FeedEvent, source: FeedSource) -> Event:
    found = Event()
    digest = hashlib.sha256("\n".join(event.key).encode(errors="replace")).hexdigest()[:32]
    found.add("uid", f"{digest}@botwatch")
    found.add("dtstamp", source.changed_at)
    found.add("last-modified", source.changed_at)
    found.add("sequence", source.revision)
    found.add("summary", event.summary)
    found.add("description", event.description)
    found.add("dtstart", event.start)
    found.add("dtend", event.end)
    found.add("url", f"{source.page_url}{event.path}")
    found.add("transp", "TRANSPARENT")  # somebody on call is not busy
    return found

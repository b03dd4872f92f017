"""The sections of `notifications.yml`: routing, escalation, on-call rotations, channels and muting.

Every name that is used must be one that is given; a wrong one is refused with the nearest known name.
"""

import functools
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import combinations
from typing import Annotated, Literal
from zoneinfo import available_timezones

import msgspec
from msgspec import Meta

from shared.runtime.config.notification_validation import (
    validate_durations,
    validate_fallbacks,
    validate_http_url,
    validate_match,
    validate_repeat_intervals,
)
from shared.runtime.settings import ENCRYPTED_PREFIX
from shared.schema.alerts import Severity
from shared.schema.conditions import Document
from shared.schema.durations import PATTERN, Duration, milliseconds
from shared.schema.faults import did_you_mean
from shared.schema.reports import FORMATS, MAX_PATTERNS, ReportFormat, ReportKind
from shared.schema.timestamps import EARLIEST, LATEST

Port = Annotated[int, Meta(ge=1, le=65535)]
Timestamp = Annotated[datetime, Meta(tz=True)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
TimeOfDay = Annotated[
    str,
    Meta(
        pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z",
        # Without quotes YAML takes 22:30 for 1350.
        description='a time of day such as "09:00" or "22:30", in quotes',
    ),
]
ShiftLength = (
    Annotated[
        str,
        Meta(
            pattern=rf"^daily\Z|^weekly\Z|{PATTERN}", description="daily, weekly, or a duration such as 12h"
        ),
    ]
    | Annotated[float, Meta(ge=0)]
)
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Pattern = Annotated[str, Meta(max_length=256)]
Match = dict[str, Pattern | Annotated[list[Pattern], Meta(min_length=1)]]
"""Labels of alerts with the values to match, one or several; `*` matches anything."""

HOUR_MS = 3_600_000
MAX_PORT = 65_535
MIN_ROUND_MS = 1_000
MIN_BEAT_INTERVAL_MS = 10_000
DEFAULT_ROUTE = "default"
"""The name of the route for alerts that match no other route."""
SEED_CHANNELS = ("webhook", "email")
"""The channels that `webhookUrl` and `emailConfig` of `health_monitor.json` define."""


@functools.cache
def _time_zones() -> set[str]:
    """Return the IANA names; to find them the standard library reads 600 files, which takes 20 ms."""
    return available_timezones()


def check_time_zone(name: str) -> None:
    """Raise ValueError unless `name` is an IANA time zone."""
    if name != "UTC" and name not in _time_zones():
        close = did_you_mean(name, _time_zones())
        raise ValueError(f"`timeZone`: expected an IANA name such as Europe/London, got {name!r}{close}")


class EmailConfig(Document, kw_only=True):
    """A mailbox to send from, disabled if `smtp` is empty. `security`: default by port."""

    smtp: str
    """A host, or host:port such as `mail.example.org:465`; that port overrides `port`."""
    sender: str = msgspec.field(name="from")
    to: Annotated[list[str], Meta(min_length=1)]
    port: Port = 587
    security: Literal["starttls", "tls", "none", ""] | None = None
    username: str = ""
    password: str = ""

    def __post_init__(self) -> None:
        host, colon, port = self.smtp.rpartition(":")
        if not colon or (":" in host and not host.endswith("]")):
            self.smtp = self.smtp.strip("[]")
            return
        if not host or not port.isdecimal() or not 1 <= int(port) <= MAX_PORT:
            raise ValueError(
                f"`smtp`: expected a host or host:port such as mail.example.org:465, got {self.smtp!r}"
            )
        self.smtp, self.port = host.strip("[]"), int(port)


class ChannelSection(Document, kw_only=True):
    """A channel: a URL, or a mailbox. Secrets are `${NAME}`, or the output of `botwatch encrypt`."""

    url: str = ""
    """Any URL that apprise supports, or of a webhook. Empty: the channel is disabled."""
    type: Literal["apprise", "webhook", "slack"] | None = None
    """Default: `slack` for Slack's webhooks, `apprise` for URLs that it supports, else `webhook`."""
    email: EmailConfig | None = None
    format: Literal["botwatch", "alertmanager"] = "botwatch"
    """Format of a webhook's body: the full alert, or Alertmanager's version 4."""
    secret: str = ""
    """Key that signs a webhook's bodies (HMAC-SHA256)."""
    fallback: Name | None = None
    """The channel to use when this one fails."""
    concurrency: Annotated[int, Meta(ge=1, le=16)] = 1
    """Number of concurrent deliveries."""
    per_minute: Annotated[int, Meta(ge=1)] | None = None
    """Messages per minute; the rest of the minute is sent as one digest. Webhooks have no limit."""

    def __post_init__(self) -> None:
        if self.url and self.email:
            raise ValueError("expected either `url` or `email`")
        if self.type != "webhook" and self.type is not None and (self.secret or self.format != "botwatch"):
            raise ValueError("`format` and `secret` apply to webhooks only")

    @property
    def is_enabled(self) -> bool:
        """Whether it has an address."""
        return bool(self.url or (self.email and self.email.smtp))


class TimesSection(Document, kw_only=True):
    """A time of day from `from` to `until` (exclusive); on the next day if `until` is not after `from`."""

    from_: TimeOfDay = msgspec.field(name="from")
    until: TimeOfDay
    days: Annotated[list[Day], Meta(min_length=1)] | None = None
    """The days on which it begins; default: all."""
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        check_time_zone(self.time_zone)


class QuietSection(TimesSection, kw_only=True):
    """Quiet hours: less urgent notifications are held for one digest at their end."""

    severity: Annotated[list[Severity], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["LOW", "MEDIUM"]
    )


class RepeatSection(msgspec.Struct, kw_only=True, rename="upper", forbid_unknown_fields=True):
    """Repeat interval by severity; an omitted severity never repeats."""

    critical: Duration | None = None
    high: Duration | None = None
    medium: Duration | None = None
    low: Duration | None = None

    def __post_init__(self) -> None:
        validate_repeat_intervals(CRITICAL=self.critical, HIGH=self.high, MEDIUM=self.medium, LOW=self.low)


class RouteSection(Document, kw_only=True):
    """A route. Omitted keys are inherited from the containing route."""

    name: Name | None = None
    match: Match = msgspec.field(default_factory=dict)
    """Matching alerts, by labels (and `rule`, the rule's name); default: all."""
    during: TimesSection | None = None
    """When the route applies; default: always."""
    continue_: bool = msgspec.field(default=False, name="continue")
    """Whether later routes are tried too."""
    channels: list[Name] | None = None
    policy: Name | None = None
    group_by: list[Name] | None = None
    """Alerts with equal values of these labels are sent in one message."""
    group_wait: Duration | None = None
    """How long to wait for more alerts before the first message of a group."""
    group_interval: Duration | None = None
    """Minimum time between two messages of a group."""
    repeat: Duration | RepeatSection | None = None
    """Repeat interval of an unacknowledged alert; 0: never."""
    quiet: QuietSection | None = None
    routes: list["RouteSection"] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        if self.channels is not None and self.policy is not None:
            raise ValueError("expected either `channels` or `policy`")
        validate_match(match=self.match)
        validate_durations(groupWait=self.group_wait, groupInterval=self.group_interval)
        if not isinstance(self.repeat, RepeatSection):
            validate_repeat_intervals(repeat=self.repeat)


class StepSection(Document, kw_only=True):
    """One step of an escalation."""

    after: Duration = 0.0
    """Time since the start of the round."""
    notify: Annotated[list[Name], Meta(min_length=1)]
    """Channels, people, rotations."""
    raise_severity: bool = False

    def __post_init__(self) -> None:
        validate_durations(after=self.after)


class PolicySection(Document, kw_only=True):
    """An escalation policy: whom to notify next until the alert is acknowledged."""

    steps: Annotated[list[StepSection], Meta(min_length=1)]
    rounds: Annotated[int, Meta(ge=1, le=100)] = 1
    pause: Duration | None = None
    """Time from the last step of a round to the next round; default: as before that step, at least a minute.

    Where there is one step only, five minutes.
    """
    acknowledge_timeout: Duration | None = None
    """Duration of acknowledgements without a timeout of their own."""

    def __post_init__(self) -> None:
        moments = [milliseconds(step.after) for step in self.steps]
        if moments != sorted(moments):
            raise ValueError(
                "`steps`: expected ascending order of `after` (time since the start of the round)"
            )
        validate_durations(pause=self.pause, acknowledgeTimeout=self.acknowledge_timeout)
        if self.rounds > 1 and self.pause is not None:
            between = moments[0] + milliseconds(self.pause)
            if between < MIN_ROUND_MS:
                raise ValueError(f"`pause`: expected at least 1s between rounds, got {self.pause!r}")
        if self.acknowledge_timeout is not None and not milliseconds(self.acknowledge_timeout):
            raise ValueError("`acknowledgeTimeout`: expected more than 0")


class PersonSection(Document, kw_only=True):
    """A person and their channels, the preferred one first: if one fails, the next is used."""

    contacts: Annotated[list[Name], Meta(min_length=1)]


class OverrideSection(Document, kw_only=True):
    """A person takes another person's shift for a time."""

    person: Name
    from_: Timestamp = msgspec.field(name="from")
    until: Timestamp

    def __post_init__(self) -> None:
        if self.until <= self.from_:
            raise ValueError("`until`: expected a time after `from`")


class RotationSection(Document, kw_only=True):
    """An on-call rotation: people take shifts, in the local time of a time zone."""

    people: Annotated[list[Name], Meta(min_length=1)]
    every: ShiftLength = "weekly"
    """Length of a shift; at least an hour."""
    begins: date
    """The day of the first shift."""
    at: TimeOfDay = "09:00"
    """Time of day at which shifts begin."""
    time_zone: str = "UTC"
    overrides: list[OverrideSection] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        check_time_zone(self.time_zone)
        if not EARLIEST.date() <= self.begins < LATEST.date():
            raise ValueError(f"`begins`: expected a day of the years 2000 to 2099, got {self.begins}")
        if self.every not in ("daily", "weekly"):
            validate_durations(every=self.every)
            if milliseconds(self.every) < HOUR_MS:
                raise ValueError(f"`every`: expected daily, weekly or at least 1h, got {self.every!r}")


class WatchdogSection(Document, kw_only=True):
    """The watchdog beat: an always-firing alert through every part; its absence means a failure."""

    url: str = ""
    """URL to request (GET) at every beat, such as a check of healthchecks.io."""
    every: Duration = "1m"

    def __post_init__(self) -> None:
        validate_durations(every=self.every)
        if milliseconds(self.every) < MIN_BEAT_INTERVAL_MS:
            raise ValueError(f"`every`: expected at least 10s, got {self.every!r}")
        if self.url and not self.url.startswith(ENCRYPTED_PREFIX):
            validate_http_url(self.url)


class MaintenanceSection(Document, kw_only=True):
    """A maintenance window: once (`from`, `until`), or recurring (`cron`, `duration`)."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    match: Match = msgspec.field(default_factory=dict)
    """Matching alerts; default: all."""
    from_: Timestamp | None = msgspec.field(default=None, name="from")
    until: Timestamp | None = None
    cron: Annotated[str, Meta(max_length=128)] | None = None
    """Start times: minute, hour, day of the month, month, day of the week."""
    duration: Duration | None = None
    time_zone: str = "UTC"

    def __post_init__(self) -> None:
        once, again = (self.from_, self.until), (self.cron, self.duration)
        if not (None not in once and again == (None, None)) and not (
            None not in again and once == (None, None)
        ):
            raise ValueError("expected either `from` and `until`, or `cron` and `duration`")
        if self.from_ and self.until and self.until <= self.from_:
            raise ValueError("`until`: expected a time after `from`")
        validate_match(match=self.match)
        validate_durations(duration=self.duration)
        if self.duration is not None and not milliseconds(self.duration):
            raise ValueError("`duration`: expected more than 0")
        check_time_zone(self.time_zone)


class InhibitSection(Document, kw_only=True):
    """An inhibition: an open alert that matches `source` mutes those that match `target`."""

    source: Annotated[Match, Meta(min_length=1)]
    target: Annotated[Match, Meta(min_length=1)]
    equal: list[Name] = msgspec.field(default_factory=list)
    """Labels whose values must be equal on both."""

    def __post_init__(self) -> None:
        validate_match(source=self.source, target=self.target)


class ReportScheduleSection(Document, kw_only=True):
    """A report by schedule: of the last complete day, week or month."""

    period: Literal["daily", "weekly", "monthly"]
    at: TimeOfDay = "06:00"
    """Time of day at which it is built, on the day after the period."""
    time_zone: str = "UTC"
    """Where days, weeks and months begin."""
    kind: ReportKind = "monitoring"
    """`performance` leaves out alerts, on-call load, checks and hosts."""
    bots: Annotated[list[Pattern], Meta(max_length=MAX_PATTERNS)] = msgspec.field(default_factory=list)
    """Names or patterns; default: all."""
    formats: list[ReportFormat] = msgspec.field(default_factory=lambda: list(FORMATS))
    """Besides JSON."""
    channels: list[Name] = msgspec.field(default_factory=list)
    """Channels that it is sent to; a mailbox gets the page and the PDF, others a summary with a link."""

    def __post_init__(self) -> None:
        check_time_zone(self.time_zone)


def _default_schedules() -> dict[str, ReportScheduleSection]:
    return {
        "daily": ReportScheduleSection(period="daily"),
        "weekly": ReportScheduleSection(period="weekly"),
        "monthly": ReportScheduleSection(period="monthly"),
    }


class ReportsSection(Document, kw_only=True):
    """Reports by schedule, and how long reports are kept."""

    schedules: dict[Name, ReportScheduleSection] = msgspec.field(default_factory=_default_schedules)
    """By name; those of the document replace the three that are built in."""
    retention_days: Annotated[int, Meta(ge=1)] = 365
    """Days that reports are kept in `results/reports`."""


class Notifications(Document, kw_only=True):
    """`notifications.yml`."""

    channels: dict[Name, ChannelSection] = msgspec.field(default_factory=dict)
    routes: list[RouteSection] = msgspec.field(default_factory=list)
    policies: dict[Name, PolicySection] = msgspec.field(default_factory=dict)
    people: dict[Name, PersonSection] = msgspec.field(default_factory=dict)
    rotations: dict[Name, RotationSection] = msgspec.field(default_factory=dict)
    watchdog: WatchdogSection = msgspec.field(default_factory=WatchdogSection)
    maintenance: list[MaintenanceSection] = msgspec.field(default_factory=list)
    inhibit: list[InhibitSection] = msgspec.field(default_factory=list)
    reports: ReportsSection = msgspec.field(default_factory=ReportsSection)

    def __post_init__(self) -> None:
        channels = {*self.channels, *SEED_CHANNELS}
        known = {
            "a channel": channels,
            "a policy": {*self.policies},
            "one of `people`": {*self.people},
            "a channel, a person or a rotation": {*channels, *self.people, *self.rotations},
        }
        for place, name, what in _name_references(self):
            if name not in known[what]:
                raise ValueError(f"`{place}`: expected {what}, got {name!r}{did_you_mean(name, known[what])}")
        for one, other in combinations((channels, {*self.people}, {*self.rotations}), 2):
            for name in sorted(one & other):
                raise ValueError(
                    f"expected different names for channels, people and rotations, got {name!r} twice"
                )
        validate_fallbacks({name: channel.fallback for name, channel in self.channels.items()})
        taken = {DEFAULT_ROUTE}
        for place, route in _all_routes(self.routes):
            name = route.name or place
            if name in taken:
                raise ValueError(f"`{place}.name`: expected different names, got {name!r} twice")
            taken.add(name)


def _name_references(document: Notifications) -> Iterator[tuple[str, str, str]]:
    """Yield every reference: its path, the name, and what it refers to."""
    notified = "a channel, a person or a rotation"
    yield from _channel_references(document)
    for place, route in _all_routes(document.routes):
        yield from (
            (f"{place}.policy", wanted, "a policy") for wanted in [route.policy] if wanted is not None
        )
        yield from ((f"{place}.channels", wanted, notified) for wanted in route.channels or ())
    for name, policy in document.policies.items():
        for index, step in enumerate(policy.steps):
            place = f"policies.{name}.steps[{index}].notify"
            yield from ((place, wanted, notified) for wanted in step.notify)
    for name, person in document.people.items():
        yield from ((f"people.{name}.contacts", wanted, "a channel") for wanted in person.contacts)
    for name, rotation in document.rotations.items():
        for wanted in rotation.people:
            yield f"rotations.{name}.people", wanted, "one of `people`"
        for index, override in enumerate(rotation.overrides):
            yield f"rotations.{name}.overrides[{index}].person", override.person, "one of `people`"


def _channel_references(document: Notifications) -> Iterator[tuple[str, str, str]]:
    for name, channel in document.channels.items():
        if channel.fallback is not None:
            yield f"channels.{name}.fallback", channel.fallback, "a channel"
    for name, schedule in document.reports.schedules.items():
        place = f"reports.schedules.{name}.channels"
        yield from ((place, wanted, "a channel") for wanted in schedule.channels)


def _all_routes(routes: Iterable[RouteSection], place: str = "routes") -> Iterator[tuple[str, RouteSection]]:
    """Yield every route with its path."""
    for index, route in enumerate(routes):
        here = f"{place}[{index}]"
        yield here, route
        yield from _all_routes(route.routes, f"{here}.routes")

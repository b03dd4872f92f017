"""Silences: matchers for labels of alerts, with a start, an end, an author and a comment.

From: dashboard (people, tools). To: store, evaluator. The fields are Alertmanager's.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from shared.schema.alerts import Alert
from shared.schema.faults import Fault, InvalidError
from shared.schema.patterns import Regex, stored_regex
from shared.schema.timestamps import from_wire, to_wire

SilenceState = Literal["active", "pending", "expired"]
Timestamp = Annotated[datetime, Meta(tz=True)]


class Matcher(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A condition on one label; a missing label is ""."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    value: Annotated[str, Meta(max_length=1024)]
    is_regex: bool = False
    """The pattern must match the whole value."""
    is_equal: bool = True
    """False negates the matcher."""

    @property
    def error(self) -> str | None:
        """Why the pattern matches nothing: silences of earlier versions may have one that RE2 rejects."""
        compiled = stored_regex(self.value) if self.is_regex else None
        return compiled if isinstance(compiled, str) else None

    def __str__(self) -> str:
        """Return it as Alertmanager writes it: `bot=~"scalper-.*"`."""
        operator = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
        value = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.name}{operator[self.is_regex, self.is_equal]}"{value}"'

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether `labels` match; with an `error`, nothing matches."""
        value = labels.get(self.name, "")
        if not self.is_regex:
            return (value == self.value) == self.is_equal
        compiled = stored_regex(self.value)
        return isinstance(compiled, Regex) and compiled.fullmatch(value) == self.is_equal


class SilenceRequest(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/silences`."""

    id: str | None = None
    """ID of the silence to replace."""
    matchers: Annotated[list[Matcher], Meta(min_length=1, max_length=64)]
    """All of them must match."""
    starts_at: Timestamp | None = None
    """Default: now."""
    ends_at: Timestamp
    created_by: Annotated[str, Meta(min_length=1, max_length=256, pattern=r"\S")]
    comment: Annotated[str, Meta(max_length=4096)] = ""


class SilencePreviewRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /api/monitoring/silences/preview`."""

    matchers: Annotated[list[Matcher], Meta(min_length=1, max_length=64)]


class Silence(msgspec.Struct, kw_only=True, rename="camel"):
    """A stored silence; it is never deleted, only ended."""

    id: str
    matchers: list[Matcher]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    created_at: datetime
    updated_at: datetime
    ended_by: str | None = None
    """Who ended it early."""

    def state(self, now: datetime) -> SilenceState:
        """Return whether it is pending, active or expired at `now`; the end is exclusive.

        One that was ended early is expired, even if another machine's clock is behind.
        """
        if now >= self.ends_at or self.updated_at >= self.ends_at:
            return "expired"
        return "active" if now >= self.starts_at else "pending"

    @property
    def error(self) -> str | None:
        """Why it silences nothing: the error of the first invalid matcher."""
        return next((f"{one.name}: {one.error}" for one in self.matchers if one.error), None)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether all matchers match."""
        return match_all(self.matchers, labels)


def match_all(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> bool:
    """Return whether all matchers match."""
    return all(matcher.matches(labels) for matcher in matchers)


def matcher_faults(matchers: Sequence[Matcher]) -> list[Fault]:
    """Return what is wrong with the matchers of a silence: its patterns, or that any alert matches."""
    faults = [
        Fault(f"$.matchers[{index}].value", matcher.error)
        for index, matcher in enumerate(matchers)
        if matcher.error
    ]
    if all(matcher.matches({}) for matcher in matchers):
        message = "expected at least one that does not match an alert without the label"
        faults.append(Fault("$.matchers", message))
    return faults


def build_silence(given: SilenceRequest, new_id: str, now: datetime) -> Silence:
    """Return the requested silence, which starts at `now` at the earliest.

    InvalidError lists every fault.
    """
    faults = matcher_faults(given.matchers)
    wrong_matchers = len(faults)

    def moment(name: str, value: datetime) -> datetime:
        try:
            return from_wire(value)
        except ValueError as error:
            faults.append(Fault(f"$.{name}", str(error)))
            return now

    starts = max(now, moment("startsAt", given.starts_at or now))
    ends = moment("endsAt", given.ends_at)
    if len(faults) == wrong_matchers and ends <= starts:
        what = "`startsAt`" if starts > now else "now"
        faults.append(Fault("$.endsAt", f"expected a time after {what} ({to_wire(starts)})"))
    if faults:
        raise InvalidError(faults)
    return Silence(
        id=new_id,
        matchers=given.matchers,
        starts_at=starts,
        ends_at=ends,
        created_by=given.created_by.strip(),
        comment=given.comment.strip(),
        created_at=now,
        updated_at=now,
    )


def alert_labels(alert: Alert) -> dict[str, str]:
    """Return the labels of an alert, as in Alertmanager; Botwatch's labels override the alert's own.

    Those of an external alert are what was posted, so that every tool sees the same.
    """
    details = alert.details
    if details.external:
        return dict(details.labels)
    about = {"bot": details.bot, "host": details.host}
    return {
        **details.labels,
        "alertname": details.rule,
        "severity": alert.severity,
        "category": alert.category,
        "component": alert.component,
        "metric": details.metric,
        **{name: value for name, value in about.items() if value is not None},
    }


def config_labels(alert: Alert) -> dict[str, str]:
    """Return the labels that routes, maintenance windows and inhibitions of `notifications.yml` see.

    An external alert has Botwatch's `severity` there, and a `category` and `component` if none was posted.
    """
    labels = alert_labels(alert)
    if alert.details.external is None:
        return labels
    return {"category": alert.category, "component": alert.component, **labels, "severity": alert.severity}

"""External alerts: posted to the Alertmanager API, by Prometheus or `amtool`. Pure; time is an argument.

Whoever sends an alert keeps sending it while it fires, each time with a later `endsAt`. An alert ends when it
is sent with an `endsAt` that has passed, or when its last `endsAt` passes. Every post may come twice, late,
or from two replicas of Prometheus.

Source: Alertmanager's API v2 (`api/v2/openapi.yaml`) and `types.Alert.Merge`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast, get_args

import msgspec

from shared.schema.alert_lifecycle import (
    Evaluation,
    Transition,
    may_reopen,
    open_alert,
    reopen,
    resolve,
    update,
)
from shared.schema.alerts import Alert, Category, Details, External, Severity, alert_links
from shared.schema.faults import json_type
from shared.schema.fingerprints import fingerprint_of
from shared.schema.timestamps import EARLIEST, LATEST
from shared.schema.units import CONDITION

RESOLVE_TIMEOUT = timedelta(minutes=5)
"""When an alert without `endsAt` ends, unless it is sent again: Alertmanager's default."""
REPLICA_LAG = timedelta(minutes=1)
"""For so long after an alert was sent as resolved, another replica may still send the same firing."""
MAX_ALERTS = 2_000
"""Limit of alerts in one request; Prometheus sends at most 256."""
MAX_LABELS = 64
"""Limit of labels, and of annotations, of one alert."""
MAX_NAME = 128
MAX_LABEL = 1_024
MAX_ANNOTATION = 16_384
MAX_URL = 4_096
MAX_MESSAGE = 1_024
MAX_COMPONENT = 256
"""Limits in characters."""
FINGERPRINT_PREFIX = "external/"
"""Keeps their fingerprints apart from those of rules: FNV-1a is easy to forge."""

SEVERITY_WORDS: Mapping[Severity, tuple[str, ...]] = {
    "CRITICAL": ("critical", "crit", "error", "page", "fatal", "emergency", "disaster"),
    "HIGH": ("high", "major"),
    "MEDIUM": ("medium", "warning", "warn", "average"),
    "LOW": ("low", "minor", "info", "information", "notice", "debug", "none"),
}
"""Values of the label `severity`, in any case."""
DEFAULT_SEVERITY: Severity = "MEDIUM"
"""Without the label, or with another value: it is better to notify of too much than of too little."""
DEFAULT_CATEGORY: Category = "RESOURCE"
COMPONENT_LABELS = ("bot", "host", "part", "instance", "node", "pod", "service", "job")
"""The first of these labels that an alert has is its component."""
_SEVERITY_OF = {word: severity for severity, words in SEVERITY_WORDS.items() for word in words}
_RUNBOOK_PAGE = re.compile(r"[a-z0-9][a-z0-9-]{0,100}")


class PostedAlert(NamedTuple):
    """A valid alert of a request, with all times filled in."""

    labels: dict[str, str]
    """At least one; none is empty."""
    annotations: dict[str, str]
    generator_url: str
    starts_at: datetime
    ends_at: datetime
    is_timeout: bool
    """Whether `ends_at` was not sent, but follows from the time-out."""

    @property
    def fingerprint(self) -> str:
        """Return what identifies its alert in the store."""
        return f"{FINGERPRINT_PREFIX}{fingerprint_of(self.labels)}"


class Validity(NamedTuple):
    """Until when an external alert fires if it is not sent again."""

    ends_at: datetime | None
    """None: it is resolved."""
    is_timeout: bool = False
    ended_at: datetime | None = None
    """When it ended, as it was sent; kept when it is reopened."""
    updated_at: datetime | None = None
    """When it was last sent."""


class _Body(
    msgspec.Struct, rename={"starts_at": "startsAt", "ends_at": "endsAt", "generator_url": "generatorURL"}
):
    """One alert as clients send it; fields that are unknown here are ignored."""

    labels: dict[str, str]
    annotations: dict[str, str] | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    generator_url: str | None = None


def parse_alerts(items: Sequence[object], now: datetime) -> tuple[list[PostedAlert], list[str]]:
    """Return the valid alerts of a request, and what is wrong with the others."""
    posted, faults = [], []
    for index, item in enumerate(items):
        try:
            posted.append(_parse_alert(item, now))
        except (ValueError, msgspec.ValidationError) as error:
            faults.append(f"alert {index}: {error}")
    return posted, faults


def _parse_alert(item: object, now: datetime) -> PostedAlert:
    if not isinstance(item, dict):
        raise ValueError(f"expected an object, got {json_type(item)}")  # noqa: TRY004 - a fault of the request
    given = msgspec.convert(item, _Body)
    labels = {name: value for name, value in given.labels.items() if value}
    annotations = given.annotations or {}
    if not labels:
        raise ValueError("at least one label pair required")
    _check_texts("label", labels, MAX_LABEL)
    _check_texts("annotation", annotations, MAX_ANNOTATION)
    starts, ends = _moment(given.starts_at), _moment(given.ends_at)
    starts_at = starts or ends or now
    if ends and ends < starts_at:
        raise ValueError("start time must be before end time")
    generator_url = given.generator_url or ""
    if len(generator_url) > MAX_URL:
        raise ValueError(f"generatorURL: expected at most {MAX_URL} characters, got {len(generator_url)}")
    return PostedAlert(
        labels, annotations, generator_url, starts_at, ends or now + RESOLVE_TIMEOUT, is_timeout=ends is None
    )


def _check_texts(what: str, texts: Mapping[str, str], longest: int) -> None:
    if len(texts) > MAX_LABELS:
        raise ValueError(f"expected at most {MAX_LABELS} {what}s, got {len(texts)}")
    for name, text in texts.items():
        if not 0 < len(name) <= MAX_NAME:
            raise ValueError(f"invalid {what} name: expected 1 to {MAX_NAME} characters, got {len(name)}")
        if len(text) > longest:
            raise ValueError(f"{what} {name}: expected at most {longest} characters, got {len(text)}")


def _moment(given: datetime | None) -> datetime | None:
    """Return a time in UTC within the years of the store; Go's zero time stands for none."""
    if given is None or given.year == 1:
        return None
    if given.tzinfo is None:
        given = given.replace(tzinfo=UTC)
    # Compared before it is converted: at the calendar's ends the conversion overflows.
    return EARLIEST if given < EARLIEST else LATEST if given >= LATEST else given.astimezone(UTC)


def severity_of(labels: Mapping[str, str]) -> Severity:
    """Return Botwatch's severity for a label `severity`."""
    return _SEVERITY_OF.get(labels.get("severity", "").strip().lower(), DEFAULT_SEVERITY)


def next_validity(posted: PostedAlert, known: Validity | None, now: datetime) -> Validity:
    """Return until when an alert that is sent as firing is valid.

    The end that was sent last counts; an end that follows from the time-out never shortens one that was sent.
    """
    earlier = known.ends_at if known and not known.is_timeout else None
    ended_at = known.ended_at if known else None
    if earlier and earlier > posted.ends_at:
        return Validity(earlier, is_timeout=False, ended_at=ended_at, updated_at=now)
    return Validity(posted.ends_at, posted.is_timeout, ended_at, now)


def is_firing(posted: PostedAlert, now: datetime) -> bool:
    """Return whether an alert is sent as firing."""
    return posted.ends_at > now


def is_late(posted: PostedAlert, known: Validity | None, now: datetime) -> bool:
    """Return whether a post only says what another replica of its sender has taken back.

    An alert that fires again has a later start. A replica that goes on sending it counts after `REPLICA_LAG`.
    """
    ended_at = known.ended_at if known and known.ends_at is None else None
    return ended_at is not None and posted.starts_at <= ended_at and now - ended_at < REPLICA_LAG


def fire(
    posted: PostedAlert,
    current: Alert | None,
    new_id: str,
    dashboard_url: str,
    now: datetime,
    *,
    is_flapping: bool = False,
) -> Transition | None:
    """Return the transition of an alert that is sent as firing: opened, reopened, updated, or none.

    `current` is the open alert, or else the one that resolved last; None: there is none. `is_flapping`: it
    opens too often.
    """
    if current and current.status != "RESOLVED":
        return update(current, _evaluation(posted, current), now)
    if current and may_reopen(current, now):
        return reopen(current, _evaluation(posted, None), now, is_flapping=is_flapping)
    return open_alert(_new_alert(posted, new_id, dashboard_url, now))


def end(
    posted: PostedAlert, current: Alert | None, known: Validity | None, now: datetime
) -> Transition | None:
    """Return the transition of an alert that is sent as resolved.

    None where it is resolved already, where the end is one that was sent before (Prometheus repeats it for 15
    minutes), or where a later firing is open. An end that is sent without a start is of the open one.
    """
    external = current.details.external if current else None
    if current is None or external is None or posted.starts_at < posted.ends_at < external.starts_at:
        return None
    if known and known.ended_at and posted.ends_at <= known.ended_at:
        return None
    return end_at(current, min(posted.ends_at, now))


def end_at(current: Alert, moment: datetime, comment: str | None = None) -> Transition | None:
    """Resolve an external alert at its end, but not before its last change."""
    return resolve(current, max(moment, current.updated_at), value=0.0, comment=comment)


def _evaluation(posted: PostedAlert, current: Alert | None) -> Evaluation:
    """Return what a post says; an alert that is open keeps its earliest start."""
    known = current.details.external if current else None
    starts_at = min(known.starts_at, posted.starts_at) if known else posted.starts_at
    external = External(
        annotations=posted.annotations, generator_url=posted.generator_url, starts_at=starts_at
    )
    severity = severity_of(posted.labels)
    return Evaluation(severity, 1.0, 0.0, _message(posted), "Condition", CONDITION.name, external)


def _new_alert(posted: PostedAlert, new_id: str, dashboard_url: str, now: datetime) -> Alert:
    labels, evaluation = posted.labels, _evaluation(posted, None)
    details = Details(
        rule=_name(labels),
        bot=labels.get("bot"),
        host=labels.get("host"),
        metric="alert",
        measure=evaluation.measure,
        unit=evaluation.unit,
        value=evaluation.value,
        operator=">",
        threshold=evaluation.threshold,
        labels=labels,
        runbook=_runbook(posted.annotations),
        external=evaluation.external,
    )
    alert = Alert(
        id=new_id,
        timestamp=min(posted.starts_at, now),
        severity=evaluation.severity,
        category=_category(labels),
        component=_component(labels),
        message=evaluation.message,
        status="ACTIVE",
        details=details,
        fingerprint=posted.fingerprint,
        updated_at=now,
    )
    details.links = alert_links(alert, dashboard_url)
    if _is_web(posted.generator_url):
        details.links["source"] = posted.generator_url
    return alert


def _name(labels: Mapping[str, str]) -> str:
    return labels.get("alertname", "(no alertname)")[:MAX_COMPONENT]


def _message(posted: PostedAlert) -> str:
    texts = (posted.annotations.get(name, "").strip() for name in ("summary", "description", "message"))
    message = next(filter(None, texts), "") or _name(posted.labels)
    return " ".join(message.split())[:MAX_MESSAGE]


def _component(labels: Mapping[str, str]) -> str:
    named = next((labels[name] for name in COMPONENT_LABELS if name in labels), None)
    return (named or _name(labels))[:MAX_COMPONENT]


def _category(labels: Mapping[str, str]) -> Category:
    posted = labels.get("category", "").upper()
    return cast("Category", posted) if posted in get_args(Category) else DEFAULT_CATEGORY


def _runbook(annotations: Mapping[str, str]) -> str | None:
    """Return the URL of the runbook, or the name of one of Botwatch's own pages."""
    url = annotations.get("runbook_url", "").strip()
    page = annotations.get("runbook", "").strip()
    if _is_web(url):
        return url
    return page if _is_web(page) or _RUNBOOK_PAGE.fullmatch(page) else None


def _is_web(url: str) -> bool:
    """Return whether the page may link to it."""
    return url.startswith(("https://", "http://"))

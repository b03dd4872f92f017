"""Alerts over HTTP: the list with filters, one alert, its metric's values, and acknowledging one or many."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec
from flask import Blueprint, Response, g, request
from msgspec import Meta
from sqlalchemy import Connection

from services.dashboard.acknowledgements import AcknowledgementService
from services.dashboard.api.parameters import MAX_LIMIT, Limit, Moment, QueryParameters, some_of
from services.dashboard.api.queries import (
    DEFAULT_LIMIT,
    MAX_COMMENT,
    MAX_NAME,
    Timeout,
    parse_acknowledgement,
    parse_bulk_acknowledgement,
)
from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.runtime.web.pagination import encode_cursor, link_next
from shared.schema.alerts import (
    Acknowledgement,
    Alert,
    AlertStatus,
    BulkAcknowledgement,
    Category,
    Change,
    Severity,
)
from shared.schema.formatting import metric_label, unit_of_metric
from shared.schema.measured_values import is_limit_of_metric
from shared.schema.timestamps import to_store
from shared.store import alerts, outbox
from shared.store.alerts import AlertFilter
from shared.store.database import Database
from shared.store.recent_values import metric_values

TAG = "Alerts"
MAX_WORDS, MAX_TEXT = 8, 256
EXPORT_BATCH = 500
AROUND = timedelta(minutes=30)
"""How much is shown before an alert opened and after it resolved."""
LONGEST = timedelta(days=7)
"""The longest span of values; of a longer alert, the latest."""
CSV_COLUMNS = (
    "id", "timestamp", "severity", "category", "component", "rule", "message", "status", "value", "limit",
    "unit", "assignee", "comment", "acknowledgedAt", "resolvedAt", "mutedBy", "timeToAcknowledgeSeconds",
    "timeToResolveSeconds",
)  # fmt: skip


class ListedAlert(Alert, kw_only=True, rename="camel"):
    """An alert in full, and how long people and the problem took."""

    time_to_acknowledge_seconds: float | None
    """From its opening to the first acknowledgement; null without one."""
    time_to_resolve_seconds: float | None
    """From its opening to its resolution; null while it is open."""


class TimelineEvent(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A change on an alert's timeline; one that is notified has what the alert said at that time."""

    timestamp: datetime
    change: Change
    by: str | None
    comment: str | None
    severity: Severity | msgspec.UnsetType = msgspec.UNSET
    message: str | msgspec.UnsetType = msgspec.UNSET
    value: float | msgspec.UnsetType = msgspec.UNSET
    value_text: str | msgspec.UnsetType = msgspec.UNSET
    limit_text: str | msgspec.UnsetType = msgspec.UNSET


class AlertDelivery(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A delivery of an alert to a channel, and its outcome."""

    channel: str
    change: Change
    state: Literal["PENDING", "SENT", "FAILED", "SUPPRESSED"]
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    sent_at: datetime | None
    last_error: str | None
    reason: str | None
    """Why this channel is notified."""
    held_until: datetime | None
    batch: str | None


class AlertInFull(ListedAlert, kw_only=True, rename="camel"):
    """An alert with its timeline and its deliveries, oldest first."""

    timeline: list[TimelineEvent]
    notifications: list[AlertDelivery]


class MetricPoint(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A value at a time."""

    timestamp: datetime
    value: float


class AlertValues(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """The values of an alert's metric around it."""

    metric: str
    label: str
    """Display name of the metric."""
    unit: str
    """Unit of the values, such as `percent`."""
    from_: datetime = msgspec.field(name="from")
    to: datetime
    limit: float | None
    """The alert's limit; null where it is none for the metric's own values, as for an absence."""
    points: list[MetricPoint]
    """Oldest first; empty where the metric is not stored."""


class AcknowledgementBody(Acknowledgement, kw_only=True, forbid_unknown_fields=True):
    """Who acknowledges an alert (the signed-in user, if it is not said), until when, and why."""

    by: Annotated[str, Meta(max_length=MAX_NAME)] | None = None  # type: ignore[assignment] # describes only
    comment: Annotated[str, Meta(max_length=MAX_COMMENT)] | None = None
    timeout: Timeout | None = None


class BulkAcknowledgementBody(BulkAcknowledgement, kw_only=True, forbid_unknown_fields=True):
    """Who acknowledges several alerts."""

    by: Annotated[str, Meta(max_length=MAX_NAME)] | None = None  # type: ignore[assignment] # describes only
    comment: Annotated[str, Meta(max_length=MAX_COMMENT)] | None = None
    timeout: Timeout | None = None


class AcknowledgeResult(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What became of one of several alerts."""

    id: str
    outcome: Literal["acknowledged", "resolved", "notFound"]
    """`resolved`: it is already, so it was not acknowledged."""
    alert: Alert | None


class AlertListQuery(NamedTuple):
    """Which alerts are wanted, how many, and after which."""

    wanted: AlertFilter
    limit: int
    after: tuple[str, str] | None
    is_csv: bool


_MANY = "Several, separated by commas."


LIST_PARAMETERS = (
    Parameter("status", some_of(get_args(AlertStatus)), _MANY),
    Parameter("severity", some_of(get_args(Severity)), _MANY),
    Parameter("category", some_of(get_args(Category)), _MANY),
    Parameter("component", str, f"Bot or host. {_MANY}"),
    Parameter("bot", str, _MANY),
    Parameter("host", str, _MANY),
    Parameter("rule", str, f"Name of the rule. {_MANY}"),
    Parameter(
        "label",
        Annotated[str, Meta(pattern=r"^[a-z]+=[^,]*(,[a-z]+=[^,]*)*$")],
        "`name=value`; several, separated by commas, must all be there.",
    ),
    Parameter(
        "text",
        Annotated[str, Meta(max_length=MAX_TEXT, pattern=rf"^\S+( \S+){{0,{MAX_WORDS - 1}}}$")],
        "Words, each in the message, component, rule, assignee or comment; or the ID.",
    ),
    Parameter("from", Moment, "Opened at this time or later."),
    Parameter("to", Moment, "Opened before this time."),
    Parameter("limit", Limit, f"Default {DEFAULT_LIMIT}; CSV: all."),
    Parameter("cursor", str, "From the header `Link`."),
)


def add_alerts(api: Blueprint, sources: DataSources, desk: AcknowledgementService, clock: Clock) -> None:
    """Add the routes below `/alerts`."""
    _add_reading(api, sources, clock)
    _add_acknowledging(api, desk, clock)


def _add_reading(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    @api.get("/alerts")
    @describe(
        "List alerts, newest first", tag=TAG, answers=list[ListedAlert], query=LIST_PARAMETERS, csv=True
    )
    def many() -> Response:
        query = alert_list_query(request.args)
        if query.is_csv:
            return csv_response(_csv_rows(sources.health, query), CSV_COLUMNS, "alerts")
        with sources.health.read() as connection:
            found = _listed(connection, query.wanted, query.limit + 1, query.after)
        page = found[: query.limit]
        return link_next(
            json_response(page), encode_cursor(_place(page[-1])) if len(found) > len(page) else None
        )

    @api.get("/alerts/<alert_id>")
    @describe("Get an alert with its timeline and deliveries", tag=TAG, answers=AlertInFull, errors=(404,))
    def one(alert_id: str) -> Response:
        with sources.health.read() as connection:
            alert = alerts.alert_by_id(connection, alert_id)
            if alert is None:
                return _alert_not_found(alert_id)
            acknowledged_at = alerts.first_acknowledgements(connection, [alert_id]).get(alert_id)
            timeline = msgspec.convert(alerts.timeline(connection, alert_id), list[TimelineEvent])
            sent = msgspec.convert(outbox.delivery_history(connection, alert_id), list[AlertDelivery])
        fields = _fields(alert, acknowledged_at)
        return json_response(AlertInFull(**fields, timeline=timeline, notifications=sent))

    @api.get("/alerts/<alert_id>/values")
    @describe(
        "Get the values of an alert's metric around it",
        tag=TAG,
        answers=AlertValues,
        errors=(404,),
        description="From half an hour before it opened to half an hour after it resolved, at most a week.",
    )
    def values(alert_id: str) -> Response:
        with sources.health.read() as connection:
            alert = alerts.alert_by_id(connection, alert_id)
        if alert is None:
            return _alert_not_found(alert_id)
        return json_response(_values_around(sources, alert, clock()))


def _add_acknowledging(api: Blueprint, desk: AcknowledgementService, clock: Clock) -> None:
    @api.post("/alerts/<alert_id>/acknowledge")
    @describe("Acknowledge an alert", tag=TAG, answers=Alert, body=AcknowledgementBody, errors=(404, 409))
    def acknowledge(alert_id: str) -> Response:
        alert = desk.acknowledge(alert_id, parse_acknowledgement(request.get_data(), g.identity), clock())
        if alert is None:
            return _alert_not_found(alert_id)
        if alert.status == "RESOLVED":
            return json_error(HTTPStatus.CONFLICT, "alert is already resolved", alert=alert)
        return json_response(alert)

    @api.post("/alerts/acknowledge")
    @describe(
        "Acknowledge several alerts",
        tag=TAG,
        answers=list[AcknowledgeResult],
        body=BulkAcknowledgementBody,
        description="Answers what became of each, in the order of the IDs.",
    )
    def acknowledge_many() -> Response:
        given = parse_bulk_acknowledgement(request.get_data(), g.identity)
        return json_response(list(_results(desk.acknowledge_many(given, clock()))))


def _results(found: Mapping[str, Alert | None]) -> Iterator[AcknowledgeResult]:
    for alert_id, alert in found.items():
        outcome: Literal["acknowledged", "resolved", "notFound"] = "acknowledged"
        if alert is None:
            outcome = "notFound"
        elif alert.status == "RESOLVED":
            outcome = "resolved"
        yield AcknowledgeResult(id=alert_id, outcome=outcome, alert=alert)


def alert_list_query(arguments: Mapping[str, str]) -> AlertListQuery:
    """Read which alerts are wanted; InvalidError names every wrong parameter and what is allowed."""
    read = QueryParameters(arguments, [parameter.name for parameter in LIST_PARAMETERS] + ["format"])
    wanted = AlertFilter(
        status=_words_of(read, "status", get_args(AlertStatus)),
        severity=_words_of(read, "severity", get_args(Severity)),
        category=_words_of(read, "category", get_args(Category)),
        component=read.several("component"),
        bot=read.several("bot"),
        host=read.several("host"),
        rule=read.several("rule"),
        labels=_labels(read),
        words=_searched(read),
        since=read.timestamp("from"),
        until=read.timestamp("to"),
    )
    limit = read.number("limit", MAX_LIMIT)
    after, is_csv = read.cursor(tuple[str, str]), read.is_csv()
    read.check()
    return AlertListQuery(wanted, limit or DEFAULT_LIMIT, after, is_csv)


def _words_of(read: QueryParameters, name: str, allowed: Sequence[str]) -> list[str]:
    given = read.several(name)
    for word in given:
        if word.upper() not in allowed:
            read.add_error(name, f"expected one of {', '.join(allowed)}, got {word!r}")
    return [word.upper() for word in given]


def _labels(read: QueryParameters) -> list[tuple[str, str]]:
    pairs = [word.partition("=") for word in read.several("label")]
    for name, equals, value in pairs:
        if not (name and equals):
            read.add_error("label", f"expected name=value, got {name + equals + value!r}")
    return [(name, value) for name, _, value in pairs]


def _searched(read: QueryParameters) -> list[str]:
    text = read.text("text") or ""
    if len(text) > MAX_TEXT:
        read.add_error("text", f"expected at most {MAX_TEXT} characters, got {len(text)}")
    words = text.split()
    if len(words) > MAX_WORDS:
        read.add_error("text", f"expected at most {MAX_WORDS} words, got {len(words)}")
    return words


def _listed(
    connection: Connection, wanted: AlertFilter, limit: int, after: tuple[str, str] | None
) -> list[ListedAlert]:
    found = alerts.list_alerts(connection, wanted, limit=limit, after=after)
    acknowledged = alerts.first_acknowledgements(connection, [alert.id for alert in found])
    return [ListedAlert(**_fields(alert, acknowledged.get(alert.id))) for alert in found]


def _fields(alert: Alert, acknowledged_at: datetime | None) -> dict[str, Any]:
    def seconds_to(moment: datetime | None) -> float | None:
        return None if moment is None else max(0.0, (moment - alert.timestamp).total_seconds())

    return {
        **{name: getattr(alert, name) for name in Alert.__struct_fields__},
        "time_to_acknowledge_seconds": seconds_to(acknowledged_at),
        "time_to_resolve_seconds": seconds_to(alert.resolved_at),
    }


def _place(alert: Alert) -> tuple[str, str]:
    """Return where an alert is in the list."""
    return to_store(alert.timestamp), alert.id


def _csv_rows(database: Database, query: AlertListQuery) -> Iterator[Mapping[str, object]]:
    """Yield all alerts that are wanted, in short transactions: the export may be long and slow."""
    after = query.after
    while True:
        with database.read() as connection:
            found = _listed(connection, query.wanted, EXPORT_BATCH, after)
        for alert in found:
            details = alert.details
            yield {
                **msgspec.to_builtins(alert),
                "rule": details.rule,
                "value": details.value,
                "limit": details.threshold,
                "unit": details.unit,
                "mutedBy": details.muted_by,
            }
        if len(found) < EXPORT_BATCH:
            return
        after = _place(found[-1])


def _values_around(sources: DataSources, alert: Alert, now: datetime) -> AlertValues:
    until = min(now, (alert.resolved_at or now) + AROUND)
    since = max(alert.timestamp - AROUND, until - LONGEST)
    points = metric_values(sources.performance, sources.health, alert, (since, until))
    details = alert.details
    return AlertValues(
        metric=details.metric,
        label=metric_label(details.metric),
        unit=unit_of_metric(details.metric).name,
        from_=since,
        to=until,
        limit=details.threshold if is_limit_of_metric(details.metric, details.measure) else None,
        points=[MetricPoint(timestamp=at, value=value) for at, value in points],
    )


def _alert_not_found(alert_id: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no alert with ID {alert_id!r}")

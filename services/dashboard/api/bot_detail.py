"""One bot in the API: its figures, labels and open alerts, and what it reports against what is computed."""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus

import msgspec
from flask import Blueprint, Response, request

from services.dashboard import snapshot
from services.dashboard.api.answers import Answer, BotSnapshot
from services.dashboard.api.history import bot_not_found
from services.dashboard.api.parameters import QueryParameters
from services.dashboard.data_sources import DataSources
from shared.analytics.disagreements import tolerated_difference
from shared.analytics.events import REPORTED
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import describe
from shared.schema.alerts import Alert
from shared.schema.records import AnyRecord, Metric, Performance
from shared.schema.units import metric_fields
from shared.store import history
from shared.store.alerts import open_alerts


class MetricComparison(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A metric that the bot reports and Botwatch computes, both in the metric's unit."""

    metric: str
    reported: float
    computed: float
    tolerance: float
    """By how much the two may differ."""
    agrees: bool


class BotDetail(Answer):
    """Everything that is known of a bot now. It only describes: the figures are put together as a dict."""

    bot: str
    timestamp: datetime
    """When this was read."""
    first_at: datetime | None
    """Where its stored history begins; null without any."""
    labels: dict[str, str]
    """Labels of its latest records; of several values of a label the newest."""
    performance: BotSnapshot
    """Its latest figures, as in `performance` of `GET /api/monitoring`."""
    comparisons: list[MetricComparison]
    """The metrics that it reports itself and Botwatch computes."""
    alerts: list[Alert]
    """Its open alerts, oldest first."""


def add_bot_detail(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route to the API."""

    @api.get("/bots/<path:bot>")
    @describe(
        "Get a bot",
        tag="Bots",
        answers=BotDetail,
        errors=(HTTPStatus.NOT_FOUND,),
        description="A slash of its name may be sent as it is or as %2F.",
    )
    def detail(bot: str) -> Response:
        QueryParameters(request.args, ()).check()
        now = clock()
        records = sources.read_bot(bot, now) or sources.last_stored(bot)
        if not records and (refusal := bot_not_found(sources, bot, now)):
            return refusal
        figures = snapshot.bot_snapshot(bot, records, now, sources.configured_currency(bot))
        with sources.performance.read() as connection:
            first_at = history.first_moment(connection, bot)
        with sources.health.read() as connection:
            alerts = [
                alert for alert in open_alerts(connection) if bot in (alert.component, alert.details.bot)
            ]
        return json_response(
            {
                "bot": bot,
                "timestamp": now,
                "firstAt": first_at,
                "labels": current_labels(records),
                "performance": figures,
                "comparisons": compare_metrics(records),
                "alerts": alerts,
            }
        )


def current_labels(records: Iterable[AnyRecord]) -> dict[str, str]:
    """Return the labels of a bot, each with its newest value; those of custom metrics tell series apart."""
    found: dict[str, str] = {}
    for record in sorted(records, key=lambda record: record.at):
        if not isinstance(record, Metric):
            found |= record.labels
    return dict(sorted(found.items()))


def compare_metrics(records: Iterable[AnyRecord]) -> list[MetricComparison]:
    """Compare what a bot reports with what is computed, metric by metric.

    Where they differ, both values are those of the recorder's latest comparison, which are of the same time.
    """
    by_source = {record.source: record for record in records if isinstance(record, Performance)}
    reported, computed = by_source.get("reported"), by_source.get("computed")
    if reported is None or computed is None:
        return []
    found = []
    for metric in _COMPARED:
        pair = getattr(reported, metric.attribute), getattr(computed, metric.attribute)
        difference = computed.differences.get(metric.wire)
        own, made = (difference.reported, difference.computed) if difference else pair
        if own is None or made is None:
            continue
        equity = computed.portfolio_value
        found.append(
            MetricComparison(
                metric=metric.wire,
                reported=own,
                computed=made,
                tolerance=tolerated_difference(metric.unit, own, made, equity),
                agrees=difference is None,
            )
        )
    return found


_COMPARED = tuple(metric for metric in metric_fields(Performance) if metric.attribute in REPORTED)

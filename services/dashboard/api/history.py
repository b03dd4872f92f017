"""The API's histories of a bot: performance, equity, drawdown."""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from operator import itemgetter
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from sqlalchemy import Connection, Integer

from services.dashboard import snapshot
from services.dashboard.api.parameters import Moment, Name, Step
from services.dashboard.api.queries import HistoryQuery, curve_query, history_query
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.csv import csv_response
from shared.runtime.web.openapi import Parameter, describe
from shared.schema.timestamps import from_store
from shared.store import history
from shared.store.candles import Candle
from shared.store.tables import performance_metrics
from shared.store.time_buckets import MINUTE, SECOND, Resolution, TimeBuckets

Curve = Callable[[Connection, str, TimeBuckets], dict[datetime, Candle]]

FROM = Parameter("from", Moment, "An hour before `to` by default.")
TO = Parameter("to", Moment, "Now by default.")
STEP = Parameter("step", Step, "Distance of the points; by default chosen for at most 500.")
BOT = Parameter("bot", Name, "The bot's name.", required=True)


class EquityPoint(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """A bot's equity in a step, account currency."""

    timestamp: datetime
    """Start of the step."""
    open: float
    high: float
    low: float
    close: float
    net_flow: float
    """Deposits minus withdrawals."""


class DrawdownPoint(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """How far a bot's equity is below its peak in a step, percent of the peak."""

    timestamp: datetime
    """Start of the step."""
    drawdown: float
    """The deepest."""
    current: float
    """At the end of the step."""


class HistoryRange(msgspec.Struct, kw_only=True, frozen=True, rename="camel"):
    """What a history covers: whole steps, so that the next range begins where this one ends."""

    bot: str
    from_: datetime = msgspec.field(name="from")
    to: datetime
    """Not included."""
    step: int
    """Seconds."""
    resolution: Resolution
    """From which rows it is made."""


class EquityHistory(HistoryRange, kw_only=True, frozen=True, rename="camel"):
    """A bot's equity over time."""

    points: list[EquityPoint]
    """Oldest first; none for a step without rows."""


class DrawdownHistory(HistoryRange, kw_only=True, frozen=True, rename="camel"):
    """A bot's drawdown over time."""

    points: list[DrawdownPoint]
    """Oldest first; none for a step without rows."""


_COUNTS = {column.name for column in performance_metrics.c if isinstance(column.type, Integer)}
"""Rollups have these figures as floats as well."""


def add_history(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/performance")
    @describe(
        "Get the metrics of a bot over time",
        tag="Performance",
        answers=dict[str, Any],
        query=(
            BOT._replace(required=False), FROM, TO, STEP,
            Parameter("fields", str, "Names of metrics, separated by commas; default: all."),
            Parameter("source", str, "`reported` or `computed`; default: both."),
        ),
        errors=(404,),
        csv=True,
        description="Without parameters: the latest metrics of all bots, by name.",
    )  # fmt: skip
    def performance() -> Response:
        now = clock()
        records = sources.read_current(now).records
        if not request.args:
            return json_response(snapshot.bot_snapshots(records, now, sources.configured_currency))
        query = history_query(request.args, now)
        points = performance_points(sources, query)
        bot = query.bot
        if not points and (refusal := bot_not_found(sources, bot, now)):
            return refusal
        if query.is_csv:
            return csv_response(points, ("timestamp", "source", *query.fields), f"performance-{bot}")
        own = snapshot.group_by_bot(records).get(bot) or sources.last_stored(bot)
        known = (
            snapshot.bot_snapshot(bot, own, now, sources.configured_currency(bot)) if own else {"bot": bot}
        )
        return json_response({**known, **range_fields(query.steps), "points": points})

    @api.get("/equity")
    @describe(
        "Get the equity of a bot over time",
        tag="Performance",
        answers=EquityHistory,
        query=(BOT, FROM, TO, STEP),
        errors=(404,),
        csv=True,
        description="For a bot without equity records, its reported portfolio value.",
    )
    def equity() -> Response:
        return _curve("equity", sources, clock(), history.equity_candles, _equity_point, SECOND)

    @api.get("/drawdown")
    @describe(
        "Get the drawdown of a bot over time",
        tag="Performance",
        answers=DrawdownHistory,
        query=(BOT, FROM, TO, STEP._replace(description="As of the equity, at least a minute.")),
        errors=(404,),
        csv=True,
    )
    def drawdown() -> Response:
        return _curve("drawdown", sources, clock(), history.drawdown_candles, _drawdown_point, MINUTE)


def performance_points(sources: DataSources, query: HistoryQuery) -> list[Fields]:
    """Return the points of every source that is wanted, oldest first."""
    points: list[Fields] = []
    with sources.performance.read() as connection:
        for source in query.sources:
            rows = history.performance_rows(connection, query.bot, source, query.fields, query.steps)
            for moment, *values in rows:
                known = dict(zip(query.fields, values, strict=True))
                counts = {
                    name: int(known[name]) for name in _COUNTS & known.keys() if known[name] is not None
                }
                points.append({"timestamp": from_store(moment), "source": source, **known, **counts})
    return sorted(points, key=itemgetter("timestamp"))


def _curve(
    name: str,
    sources: DataSources,
    now: datetime,
    curve: Curve,
    point: Callable[[datetime, Candle], EquityPoint | DrawdownPoint],
    least: timedelta,
) -> Response:
    bot, steps, is_csv = curve_query(request.args, now, least)
    with sources.performance.read() as connection:
        found = curve(connection, bot, steps)
    if not found and (refusal := bot_not_found(sources, bot, now)):
        return refusal
    points = [point(begin, candle) for begin, candle in found.items()]
    if is_csv:
        columns = [field.encode_name for field in msgspec.structs.fields(_POINTS[name])]
        return csv_response(map(snapshot.wire_fields, points), columns, f"{name}-{bot}")
    return json_response({"bot": bot, **range_fields(steps), "points": points})


_POINTS: dict[str, type[msgspec.Struct]] = {"equity": EquityPoint, "drawdown": DrawdownPoint}


def _equity_point(begin: datetime, candle: Candle) -> EquityPoint:
    return EquityPoint(
        timestamp=begin, open=candle.open, high=candle.high, low=candle.low, close=candle.close,
        net_flow=candle.flow,
    )  # fmt: skip


def _drawdown_point(begin: datetime, candle: Candle) -> DrawdownPoint:
    return DrawdownPoint(timestamp=begin, drawdown=candle.high, current=candle.close)


def range_fields(steps: TimeBuckets) -> Fields:
    """Return what was answered: whole steps, so that the next span begins where this one ends."""
    return {
        "from": steps.start,
        "to": steps.end,
        "step": int(steps.width.total_seconds()),
        "resolution": steps.resolution,
    }


def bot_not_found(sources: DataSources, bot: str, now: datetime) -> Response | None:
    """Return 404 for a bot without any record; one that stopped reporting still has its history."""
    with sources.performance.read() as connection:
        if history.has_history(connection, bot):
            return None
    bots = snapshot.group_by_bot(sources.read_current(now).records)
    if bot in bots:
        return None
    return json_error(HTTPStatus.NOT_FOUND, f"no record of a bot named {bot!r}", bots=list(bots))

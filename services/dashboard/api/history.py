"""The API's histories of a bot: performance, equity, drawdown."""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from operator import itemgetter

from flask import Blueprint, Response, request
from sqlalchemy import Connection, Integer

from services.dashboard import snapshot
from services.dashboard.api.queries import HistoryQuery, curve_query, history_query
from services.dashboard.data_sources import DataSources
from services.dashboard.snapshot import Fields
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.schema.timestamps import from_store
from shared.store import history
from shared.store.candles import Candle
from shared.store.tables import performance_metrics
from shared.store.time_buckets import MINUTE, SECOND, TimeBuckets

Curve = Callable[[Connection, str, TimeBuckets], dict[datetime, Candle]]

_COUNTS = {column.name for column in performance_metrics.c if isinstance(column.type, Integer)}
"""Rollups have these figures as floats as well."""


def add_history(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/performance")
    def performance() -> Response:
        now = clock()
        records = sources.read_current(now).records
        if not request.args:
            return json_response(snapshot.bot_snapshots(records, now, sources.configured_currency))
        query = history_query(request.args, now)
        points = performance_points(sources, query)
        bot = query.bot
        own = snapshot.group_by_bot(records).get(bot) or sources.last_stored(bot)
        known = (
            snapshot.bot_snapshot(bot, own, now, sources.configured_currency(bot)) if own else {"bot": bot}
        )
        if not points and (refusal := bot_not_found(sources, bot, now)):
            return refusal
        return json_response({**known, **range_fields(query.steps), "points": points})

    @api.get("/equity")
    def equity() -> Response:
        return _curve(sources, clock(), history.equity_candles, _equity_point, SECOND)

    @api.get("/drawdown")
    def drawdown() -> Response:
        return _curve(sources, clock(), history.drawdown_candles, _drawdown_point, MINUTE)


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
    sources: DataSources, now: datetime, curve: Curve, point: Callable[[Candle], Fields], least: timedelta
) -> Response:
    bot, steps = curve_query(request.args, now, least)
    with sources.performance.read() as connection:
        found = curve(connection, bot, steps)
    if not found and (refusal := bot_not_found(sources, bot, now)):
        return refusal
    points = [{"timestamp": begin, **point(candle)} for begin, candle in found.items()]
    return json_response({"bot": bot, **range_fields(steps), "points": points})


def _equity_point(candle: Candle) -> Fields:
    return {
        "open": candle.open,
        "high": candle.high,
        "low": candle.low,
        "close": candle.close,
        "netFlow": candle.flow,
    }


def _drawdown_point(candle: Candle) -> Fields:
    return {"drawdown": candle.high, "current": candle.close}


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

"""Retiring and forgetting bots over HTTP: the dashboard appends the request to the record log."""

from datetime import datetime
from functools import partial
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, g, request

from services.dashboard.api.answers import ForgottenBot, RetiredBot
from services.dashboard.api.queries import BY, acting
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.clock import Clock
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.openapi import describe
from shared.schema.records import RETIRED, UNRETIRED, Heartbeat
from shared.store import history

log = structlog.get_logger()

ENDPOINT = "dashboard"

describe_change = partial(
    describe,
    tag="Bots",
    status=HTTPStatus.ACCEPTED,
    query=(BY,),
    errors=(HTTPStatus.NOT_FOUND,),
)


def add_bots(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes below `/bots/NAME`; names may hold slashes."""
    record_log = RecordLog(sources.redis)

    def append(action: str, bot: str, now: datetime) -> None:
        # Before the request is carried out, so that none is missing in the audit log.
        by = acting(request.args, g.identity)
        with sources.health.write() as connection:
            audit.append(connection, now, action, bot, by=by)
        log.info("operator request", action=action, bot=bot, by=by)

    def mark(bot: str, status: str, action: str) -> Response:
        now = clock()
        if not _bot_exists(sources, bot, now):
            return _bot_not_found(bot)
        append(action, bot, now)
        record_log.append([Heartbeat(bot=bot, status=status, timestamp=now)], ENDPOINT, until_written=True)
        return json_response({"bot": bot, "retired": status == RETIRED}, HTTPStatus.ACCEPTED)

    @api.post("/bots/<path:bot>/retire")
    @describe_change(
        "Retire a bot",
        answers=RetiredBot,
        description="It is no longer expected to report, until it does or is unretired.",
    )
    def retire(bot: str) -> Response:
        return mark(bot, RETIRED, "bot.retire")

    @api.post("/bots/<path:bot>/unretire")
    @describe_change("Expect a retired bot again", answers=RetiredBot)
    def unretire(bot: str) -> Response:
        return mark(bot, UNRETIRED, "bot.unretire")

    @api.delete("/bots/<path:bot>")
    @describe_change("Delete a bot and all its data", answers=ForgottenBot)
    def forget(bot: str) -> Response:
        now = clock()
        if not _bot_exists(sources, bot, now):
            return _bot_not_found(bot)
        append("bot.forget", bot, now)
        record_log.forget(bot)
        return json_response({"bot": bot, "forgotten": True}, HTTPStatus.ACCEPTED)


def _bot_exists(sources: DataSources, bot: str, now: datetime) -> bool:
    if any(getattr(record, "bot", None) == bot for record in sources.read_current(now).records):
        return True
    with sources.performance.read() as connection:
        return history.has_history(connection, bot)


def _bot_not_found(bot: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no record of a bot named {bot!r}")

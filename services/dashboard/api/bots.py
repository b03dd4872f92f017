"""Retiring and forgetting bots over HTTP: the dashboard appends the request to the record log."""

from datetime import datetime
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, request
from sqlalchemy import insert

from services.dashboard.api.queries import ended_by
from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.web.app import json_error, json_response
from shared.schema.records import RETIRED, UNRETIRED, Heartbeat
from shared.schema.timestamps import to_store
from shared.store import history
from shared.store.tables import audit_log

log = structlog.get_logger()

ENDPOINT = "dashboard"


def add_bots(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes below `/bots/NAME`; names may hold slashes."""
    record_log = RecordLog(sources.redis)

    def mark(bot: str, status: str, action: str) -> Response:
        now = clock()
        if not _bot_exists(sources, bot, now):
            return _bot_not_found(bot)
        _write_audit(sources, action, bot, ended_by(request.args), now)
        record_log.append([Heartbeat(bot=bot, status=status, timestamp=now)], ENDPOINT)
        return json_response({"bot": bot, "retired": status == RETIRED}, HTTPStatus.ACCEPTED)

    @api.post("/bots/<path:bot>/retire")
    def retire(bot: str) -> Response:
        return mark(bot, RETIRED, "bot.retire")

    @api.post("/bots/<path:bot>/unretire")
    def unretire(bot: str) -> Response:
        return mark(bot, UNRETIRED, "bot.unretire")

    @api.delete("/bots/<path:bot>")
    def forget(bot: str) -> Response:
        now = clock()
        if not _bot_exists(sources, bot, now):
            return _bot_not_found(bot)
        _write_audit(sources, "bot.forget", bot, ended_by(request.args), now)
        record_log.forget(bot)
        return json_response({"bot": bot, "forgotten": True}, HTTPStatus.ACCEPTED)


def _write_audit(sources: DataSources, action: str, bot: str, by: str | None, now: datetime) -> None:
    """Write the request to the audit log before it is carried out, so that none is missing there."""
    with sources.health.write() as connection:
        row = {"timestamp": to_store(now), "action": action, "subject": bot, "by": by}
        connection.execute(insert(audit_log).values(row))
    log.info("operator request", action=action, bot=bot, by=by)


def _bot_exists(sources: DataSources, bot: str, now: datetime) -> bool:
    if any(getattr(record, "bot", None) == bot for record in sources.read_current(now).records):
        return True
    with sources.performance.read() as connection:
        return history.has_history(connection, bot)


def _bot_not_found(bot: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"no record of a bot named {bot!r}")

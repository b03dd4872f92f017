"""The dashboard's Flask app, put together."""

from http import HTTPStatus

import structlog
from flask import Flask, Response
from sqlalchemy.exc import DatabaseError, OperationalError

from services.dashboard.acknowledgements import NAME as ACKNOWLEDGEMENTS
from services.dashboard.acknowledgements import Desk, make_acknowledgements
from services.dashboard.api import make_api
from services.dashboard.config import DashboardSettings
from services.dashboard.configuration import make_configuration
from services.dashboard.deadline import TooSlowError
from services.dashboard.metrics import AlertGauges
from services.dashboard.page import make_page, make_secure
from services.dashboard.runbooks import make_runbooks
from services.dashboard.sources import Sources
from shared.runtime import clock
from shared.runtime.clock import Clock
from shared.runtime.health import Check
from shared.runtime.links import Links
from shared.runtime.web import WebPart, create_app, error
from shared.store.database import Database, is_damaged

log = structlog.get_logger()

DAMAGED_RUNBOOK = "/runbooks/botwatch-store-away"
MAX_BODY_BYTES = 64 * 2**10


def make_app(settings: DashboardSettings, sources: Sources, links: Links, time: Clock = clock.now) -> Flask:
    """Return the app; it opens no connection, so that workers may be forked from it."""
    web_part = WebPart("dashboard", settings, sources.redis, settings.dashboard_port)
    checks: dict[str, Check] = {
        "redis": sources.redis.ping,
        "performance": _answers(sources.performance),
        "health": _answers(sources.health),
    }
    # A page that sends no referrer has the origin `null`, and so has one inside a mail program. The token in
    # the address of an acknowledge link, which no foreign page knows, stands for it.
    app = create_app(
        "services.dashboard",
        web_part,
        checks,
        [AlertGauges(sources.health)],
        null_origins=ACKNOWLEDGEMENTS,
    )
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    desk = Desk(sources)
    app.register_blueprint(make_api(sources, desk, time))
    app.register_blueprint(make_acknowledgements(sources, links, desk, time))
    app.register_blueprint(make_configuration(sources, settings))
    app.register_blueprint(make_page(settings))
    app.register_blueprint(make_runbooks())
    app.register_error_handler(DatabaseError, _store_error)
    app.register_error_handler(TooSlowError, _too_slow)
    app.after_request(make_secure(settings))
    return app


def _answers(database: Database) -> Check:
    def check() -> None:
        database.require_whole()
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM log_position LIMIT 1")

    return check


def _too_slow(raised: TooSlowError) -> Response:
    log.error("An answer took too long", reason=str(raised))
    text = f"{raised}; ask for fewer bots (limit) or without trends (trends=false)"
    return error(HTTPStatus.SERVICE_UNAVAILABLE, text)


def _store_error(raised: DatabaseError) -> Response:
    if is_damaged(raised):
        log.error("a database is damaged", error=str(raised.orig))
        text = f"a database of Botwatch is damaged and has to be restored: see {DAMAGED_RUNBOOK}"
        return error(HTTPStatus.SERVICE_UNAVAILABLE, text)
    if not isinstance(raised, OperationalError):
        raise raised
    is_full = "full" in str(raised.orig)  # SQLite: "database or disk is full"
    why = "the disk is full: nothing can be stored" if is_full else "the database does not answer"
    log.error(why, error=str(raised.orig))
    response = error(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; try again")
    response.headers["Retry-After"] = "1"
    return response

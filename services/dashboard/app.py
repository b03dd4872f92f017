"""The dashboard's Flask app, put together."""

from datetime import datetime
from http import HTTPStatus

import structlog
from flask import Flask, Response
from sqlalchemy.exc import DatabaseError, OperationalError

from services.dashboard.access_journal import AccessJournal
from services.dashboard.account_page import create_account_page
from services.dashboard.accounts import Accounts
from services.dashboard.acknowledge_page import NAME as ACKNOWLEDGEMENTS
from services.dashboard.acknowledge_page import create_acknowledge_pages
from services.dashboard.acknowledgements import AcknowledgementService
from services.dashboard.alertmanager.routes import MAX_BODY_BYTES as MAX_ALERTS_BYTES
from services.dashboard.alertmanager.routes import POST_ALERTS, create_alertmanager_api, install_alertmanager
from services.dashboard.api.documentation import create_documentation
from services.dashboard.api.overview import TimeBudgetExceededError
from services.dashboard.api.reload import config_reloader, create_reload_route
from services.dashboard.api.routes import create_api
from services.dashboard.api.users import create_users_api
from services.dashboard.calendars.routes import accept_calendar_tokens, create_calendars
from services.dashboard.config import DashboardSettings
from services.dashboard.cross_origin import foreign_origins, install_cors
from services.dashboard.data_sources import DataSources
from services.dashboard.guard import Guard
from services.dashboard.login_pages import create_login_pages
from services.dashboard.page import VIEW_PATHS, create_page, create_runbooks, security_headers
from services.dashboard.prometheus_exporter import (
    AlertMetricsCollector,
    DashboardInfo,
    PositionMetricsCollector,
)
from services.dashboard.proxy_users import ProxyUsers
from services.dashboard.request_audit import RequestAudit
from services.dashboard.route_scopes import BADGES, ROUTE_SCOPES
from services.dashboard.status_page.pages import create_status_pages
from shared.access.identity import Scope
from shared.access.login import Logins
from shared.access.sealing import Sealer
from shared.access.users import Users
from shared.runtime import clock
from shared.runtime.access import open_access_warning
from shared.runtime.audit_key import audit_key
from shared.runtime.clock import Clock
from shared.runtime.health import Check
from shared.runtime.signed_links import SignedLinks
from shared.runtime.web.app import WebWorkerPart, create_web_app, json_error
from shared.runtime.web.asgi import LONGER_BODIES
from shared.runtime.web.rate_limits import RateLimits
from shared.runtime.web.transfer import install_transfer
from shared.store.audit import AuditEntry, AuditKeyFile, append_audit
from shared.store.database import Database, is_corruption

log = structlog.get_logger()

DAMAGED_RUNBOOK = "/runbooks/botwatch-store-away"
MAX_BODY_BYTES = 64 * 2**10
READ_BY_PROGRAMS = ("/api/", "/status", "/badge/", "/calendar/")
"""Beginnings of the paths whose answers have an ETag and count towards the limit of requests."""


def create_dashboard_app(
    settings: DashboardSettings, sources: DataSources, links: SignedLinks, time: Clock = clock.now
) -> Flask:
    """Return the app; it opens no connection, so that workers may be forked from it."""
    page = create_page(settings)
    scopes: dict[str, Scope | None] = {
        **ROUTE_SCOPES,
        f"GET {page.static_url_path}/<path:filename>": None,
        **{f"GET {path}": "read" for path in VIEW_PATHS},
        **(dict.fromkeys(BADGES) if settings.status_page == "on" else {}),
    }
    web_part = WebWorkerPart("dashboard", settings, sources.redis, settings.dashboard_port, scopes)
    sources.refusal = web_part.refusal
    warning = open_access_warning(settings, settings.bind_host)
    sources.access = {"mode": settings.access, "warning": warning}
    origins = foreign_origins(settings)
    checks: dict[str, Check] = {
        "redis": sources.redis.ping,
        "performance": _database_check(sources.performance),
        "health": _database_check(sources.health),
    }
    # A page that sends no referrer has the origin `null`, and so has one inside a mail program. The token in
    # the address of an acknowledge link, which no foreign page knows, takes its place.
    app = create_web_app(
        "services.dashboard",
        web_part,
        checks,
        [
            DashboardInfo(settings.dashboard_url),
            AlertMetricsCollector(sources.health),
            PositionMetricsCollector(sources.performance),
        ],
        null_origins=ACKNOWLEDGEMENTS,
        foreign_origins=origins,
    )
    install_cors(app, origins)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.config[LONGER_BODIES] = {POST_ALERTS: MAX_ALERTS_BYTES}
    key = audit_key(settings.botwatch_home)
    audit = RequestAudit(sources.health, key)
    web_part.background.append(AccessJournal(sources.redis, sources.health, key, time).run)
    desk = AcknowledgementService(sources, audit)
    app.register_blueprint(create_api(settings, sources, desk, audit, time))
    app.register_blueprint(create_acknowledge_pages(sources, links, desk, time))
    reload_config = config_reloader(sources, settings, audit, time)
    app.register_blueprint(create_reload_route(reload_config))
    page_url = settings.dashboard_url.rstrip("/")
    app.register_blueprint(create_alertmanager_api(sources, audit, page_url, reload_config, time))
    install_alertmanager(app, web_part.access, time)
    accounts, guard = _create_access(settings, sources, links, time, key)
    guard.install(app, web_part.access)
    accept_calendar_tokens(web_part.access)
    if settings.api_requests_per_minute:
        RateLimits(settings.api_requests_per_minute, READ_BY_PROGRAMS).install(app)
    install_transfer(app, READ_BY_PROGRAMS)
    app.register_blueprint(create_login_pages(accounts, links.secret))
    app.register_blueprint(create_account_page(accounts, links.secret))
    app.register_blueprint(create_users_api(accounts))
    app.register_blueprint(create_status_pages(settings, sources, time))
    app.register_blueprint(create_calendars(settings, sources, time))
    app.register_blueprint(create_documentation())
    app.register_blueprint(page)
    app.register_blueprint(create_runbooks())
    app.register_error_handler(DatabaseError, _store_error)
    app.register_error_handler(TimeBudgetExceededError, _too_slow)
    app.after_request(security_headers(settings))
    return app


def _create_access(
    settings: DashboardSettings, sources: DataSources, links: SignedLinks, time: Clock, key: AuditKeyFile
) -> tuple[Accounts, Guard]:
    """Return the users, and the guard of every route. Raises InvalidError for wrong settings of a proxy."""
    users = Users(sources.health, key, Sealer(links.secret))
    accounts = Accounts(users, Logins(sources.health, users, key), time, is_open=settings.access == "open")

    def report_spoofing(name: str, address: str, at: datetime) -> None:
        entry = AuditEntry(
            action="user.login",
            actor=name,
            address=address,
            target=settings.proxy_user_header,
            after={"reason": "not an address of a proxy"},
            outcome="denied",
        )
        with sources.health.write() as connection:
            append_audit(connection, entry, at, key)

    proxies = ProxyUsers(settings, users, report_spoofing)
    return accounts, Guard(sources.health, proxies, time)


def _database_check(database: Database) -> Check:
    def check() -> None:
        database.raise_if_damaged()
        with database.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM log_position LIMIT 1")

    return check


def _too_slow(raised: TimeBudgetExceededError) -> Response:
    log.error("request timed out", reason=str(raised))
    text = f"{raised}; request fewer bots (limit) or no trends (trends=false)"
    return json_error(HTTPStatus.SERVICE_UNAVAILABLE, text)


def _store_error(raised: DatabaseError) -> Response:
    if is_corruption(raised):
        log.error("database is damaged", error=str(raised.orig))
        text = f"a Botwatch database is damaged and must be restored; see {DAMAGED_RUNBOOK}"
        return json_error(HTTPStatus.SERVICE_UNAVAILABLE, text)
    if not isinstance(raised, OperationalError):
        raise raised
    is_full = "full" in str(raised.orig)  # SQLite: "database or disk is full"
    why = "disk is full: nothing can be stored" if is_full else "database is not responding"
    log.error(why, error=str(raised.orig))
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; retry later")
    response.headers["Retry-After"] = "1"
    return response

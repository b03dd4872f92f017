"""The API below /api/monitoring."""

from http import HTTPStatus
from typing import Literal

from flask import Blueprint, Response, g, request

from services.dashboard import snapshot
from services.dashboard.acknowledgements import AcknowledgementService
from services.dashboard.api.alerts import add_alerts
from services.dashboard.api.answers import Head, Overview, SystemNow, Ticket, Trends
from services.dashboard.api.audit import add_audit
from services.dashboard.api.availability import add_availability
from services.dashboard.api.backups import add_backups
from services.dashboard.api.bot_detail import add_bot_detail
from services.dashboard.api.bot_list import BotRow, list_bots
from services.dashboard.api.bot_marks import add_bot_marks
from services.dashboard.api.bots import add_bots
from services.dashboard.api.calendar_link import add_calendar_link
from services.dashboard.api.channels import add_channels
from services.dashboard.api.checks import add_checks
from services.dashboard.api.execution import add_execution
from services.dashboard.api.heartbeats import add_heartbeats
from services.dashboard.api.history import add_history
from services.dashboard.api.hosts import add_hosts
from services.dashboard.api.maintenance import add_maintenance
from services.dashboard.api.on_call import add_on_call
from services.dashboard.api.overview import overview, summary, system, trends
from services.dashboard.api.parameters import Limit, Name
from services.dashboard.api.portfolio import add_portfolio
from services.dashboard.api.positions import add_positions
from services.dashboard.api.prometheus_targets import add_prometheus_targets
from services.dashboard.api.queries import bot_name, bot_page
from services.dashboard.api.reports import add_reports
from services.dashboard.api.rules import add_rules
from services.dashboard.api.silences import add_silences
from services.dashboard.api.tokens import add_tokens
from services.dashboard.api.trades import add_trades
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.access.tickets import LIFETIME_S, issue_ticket
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import Parameter, describe

PREFIX = "/api/monitoring"


def create_api(
    settings: DashboardSettings,
    sources: DataSources,
    desk: AcknowledgementService,
    audit: RequestAudit,
    clock: Clock,
) -> Blueprint:
    """Return the routes that read, and those that acknowledge and silence."""
    api = Blueprint("monitoring", __name__, url_prefix=PREFIX)
    _add_read_routes(api, sources, clock)
    add_checks(api, sources, clock)
    add_availability(api, sources, clock)
    add_heartbeats(api, sources, clock)
    add_hosts(api, sources, clock)
    add_history(api, sources, clock)
    add_trades(api, sources, clock)
    add_positions(api, sources, clock)
    add_portfolio(api, sources, clock)
    add_bots(api, sources, audit, clock)
    add_bot_detail(api, sources, clock)
    add_bot_marks(api, sources, clock)
    add_execution(api, sources, clock)
    add_alerts(api, sources, desk, clock)
    add_silences(api, sources, audit, clock)
    add_rules(api, sources, clock)
    add_maintenance(api, sources, clock)
    add_audit(api, sources)
    add_on_call(api, sources, clock)
    add_channels(api, sources, audit, clock)
    add_backups(api, sources, audit, clock)
    add_reports(api, sources, audit, clock)
    _add_ticket(api, sources, settings)
    add_tokens(api, sources, audit, clock)
    add_calendar_link(api, settings, sources, audit, clock)
    add_prometheus_targets(api, sources, clock)
    return api


def _add_read_routes(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    @api.get("")
    @describe(
        "Get the whole dashboard",
        tag="Overview",
        answers=Overview,
        query=(
            Parameter("limit", Limit, "How many bots; 500 by default."),
            Parameter("after", str, "`page.next` of the page before."),
            Parameter("trends", Literal["true", "false"], "With trends or not; by default of up to 20 bots."),
        ),
        description="Bots are paginated. `503` with the slowest step after more than 10 s.",
    )
    def whole() -> Response:
        return json_response(overview(sources, clock(), bot_page(request.args)))

    @api.get("/summary")
    @describe("Get the overall status", tag="Overview", answers=Head)
    def summary_of_all() -> Response:
        return json_response(summary(sources, clock()))

    @api.get("/system")
    @describe("Get the status of Botwatch itself", tag="Overview", answers=SystemNow)
    def system_of_botwatch() -> Response:
        return json_response(system(sources, clock()))

    @api.get("/trends")
    @describe(
        "Get the last hour of a bot",
        tag="Bots",
        answers=Trends,
        query=(Parameter("bot", Name, "The bot.", required=True),),
    )
    def trends_of_bot() -> Response:
        bot, now = bot_name(request.args), clock()
        bots = {bot: snapshot.bot_snapshot(bot, sources.read_bot(bot, now), now)}
        return json_response(trends(sources.performance, bots, now)[bot])

    @api.get("/bots")
    @describe("List the bots", tag="Bots", answers=list[BotRow])
    def bots() -> Response:
        return json_response(list_bots(sources, clock()))


def _add_ticket(api: Blueprint, sources: DataSources, settings: DashboardSettings) -> None:
    @api.post("/websocket-ticket")
    @describe(
        "Get a ticket for the WebSocket",
        tag="WebSocket",
        answers=Ticket,
        status=HTTPStatus.CREATED,
        description="It may be used once, and expires after `expiresInSeconds`.",
    )
    def websocket_ticket() -> Response:
        ticket = issue_ticket(sources.redis, g.identity)
        answer = Ticket(
            ticket=ticket,
            expires_in_seconds=LIFETIME_S,
            port=settings.websocket_port,
            url=settings.websocket_url or None,
        )
        return json_response(answer, HTTPStatus.CREATED)

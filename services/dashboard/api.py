"""The API below /api/monitoring."""

from collections import Counter
from http import HTTPStatus

from flask import Blueprint, Response, request

from services.dashboard import figures
from services.dashboard.acknowledgements import Desk
from services.dashboard.bots import add_bots
from services.dashboard.checks import add_checks
from services.dashboard.history import add_history
from services.dashboard.monitoring import monitoring, trends
from services.dashboard.queries import acknowledgement, alert_filter, bot_name, bot_page
from services.dashboard.silences import add_silences
from services.dashboard.sources import Sources
from shared.runtime.clock import Clock
from shared.runtime.web import error, reply
from shared.store import alerts, outbox

PREFIX = "/api/monitoring"


def make_api(sources: Sources, desk: Desk, clock: Clock) -> Blueprint:
    """Return the routes that read, and those that acknowledge and silence."""
    api = Blueprint("monitoring", __name__, url_prefix=PREFIX)
    _add_readings(api, sources, clock)
    add_checks(api, sources, clock)
    add_history(api, sources, clock)
    add_bots(api, sources, clock)
    _add_alerts(api, sources)
    _add_acknowledge(api, desk, clock)
    add_silences(api, sources, clock)
    return api


def _add_readings(api: Blueprint, sources: Sources, clock: Clock) -> None:
    @api.get("")
    def whole() -> Response:
        return reply(monitoring(sources, clock(), bot_page(request.args)))

    @api.get("/trends")
    def trends_of_bot() -> Response:
        bot, now = bot_name(request.args), clock()
        records = [record for record in sources.now(now).records if record.subject == bot]
        return reply(trends(sources.performance, {bot: figures.of_bot(bot, records, now)}, now)[bot])

    @api.get("/health")
    def health() -> Response:
        now = clock()
        return reply(figures.of_hosts(sources.now(now).records, now))

    @api.get("/rules")
    def rules() -> Response:
        found = sources.rules()
        if found is None:
            reason = "the state of the rules is not known: Redis does not answer, or the evaluator never ran"
            return error(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return reply([figures.all_fields(one) for one in found])

    @api.get("/bots")
    def bots() -> Response:
        now = clock()
        records = figures.by_bot(sources.now(now).records)
        with sources.health.read() as connection:
            active = Counter(alert.component for alert in alerts.open_alerts(connection))
        return reply(
            [figures.listed(bot, own, now) | {"activeAlerts": active[bot]} for bot, own in records.items()]
        )


def _add_alerts(api: Blueprint, sources: Sources) -> None:
    @api.get("/alerts")
    def many() -> Response:
        wanted = alert_filter(request.args)
        with sources.health.read() as connection:
            return reply(alerts.list_alerts(connection, **wanted._asdict()))

    @api.get("/alerts/<alert_id>")
    def one(alert_id: str) -> Response:
        with sources.health.read() as connection:
            alert = alerts.alert_by_id(connection, alert_id)
            if alert is None:
                return _unknown(alert_id)
            told = outbox.history(connection, alert_id)
            happened = alerts.timeline(connection, alert_id)
        return reply({**figures.all_fields(alert), "timeline": happened, "notifications": told})


def _add_acknowledge(api: Blueprint, desk: Desk, clock: Clock) -> None:
    @api.post("/alerts/<alert_id>/acknowledge")
    def acknowledge(alert_id: str) -> Response:
        alert = desk.acknowledge(alert_id, acknowledgement(request.get_data()), clock())
        if alert is None:
            return _unknown(alert_id)
        if alert.status == "RESOLVED":
            return error(HTTPStatus.CONFLICT, "the alert is resolved already", alert=alert)
        return reply(alert)


def _unknown(alert_id: str) -> Response:
    return error(HTTPStatus.NOT_FOUND, f"no alert has the id {alert_id!r}")

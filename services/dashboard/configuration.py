"""Reading the config documents again, from outside."""

from http import HTTPStatus

import structlog
from flask import Blueprint, Response

from services.dashboard.config import DashboardSettings
from services.dashboard.sources import Sources
from shared.runtime.documents import load_documents
from shared.runtime.reload import ask, wait_for_answer
from shared.runtime.web import error, reply
from shared.schema.faults import InvalidError

log = structlog.get_logger()

PATIENCE_S = 5.0
"""How long the evaluator may take to answer."""


def make_configuration(sources: Sources, settings: DashboardSettings) -> Blueprint:
    """Return the route that asks for a reload and tells what came of it."""
    routes = Blueprint("configuration", __name__, url_prefix="/api/monitoring/config")

    @routes.post("/reload")
    def reload() -> Response:
        try:
            load_documents(settings.botwatch_config)
        except InvalidError as wrong:
            return _refused(wrong.faults)
        request = ask(sources.redis)
        log.info("reload asked for", request=request)
        answer = wait_for_answer(sources.redis, request, PATIENCE_S)
        if answer is None:
            return error(
                HTTPStatus.SERVICE_UNAVAILABLE, "the evaluator does not answer; it reads them when it is back"
            )
        if answer.faults:
            return _refused(answer.faults)
        return reply({"rules": answer.rules})

    return routes


def _refused(faults: object) -> Response:
    return error(HTTPStatus.BAD_REQUEST, "the documents are not valid; the old ones stay", faults=faults)

"""Reading the config documents again, from outside."""

from http import HTTPStatus

import structlog
from flask import Blueprint, Response

from services.dashboard.config import DashboardSettings
from services.dashboard.sources import Sources
from shared.runtime.documents import load_documents
from shared.runtime.reload import READERS, ask, wait_for_answers
from shared.runtime.web import error, reply
from shared.schema.faults import InvalidError

log = structlog.get_logger()

PATIENCE_S = 5.0
"""How long the parts may take to answer."""


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
        answers = wait_for_answers(sources.redis, request, PATIENCE_S)
        if faults := [fault for answer in answers.values() for fault in answer.faults]:
            return _refused(faults)
        if missing := [part for part in READERS if part not in answers]:
            silent = " and the ".join(missing)
            words = f"no answer from the {silent}: there they are read at the next start"
            return error(HTTPStatus.SERVICE_UNAVAILABLE, words)
        holds = {name: count for answer in answers.values() for name, count in answer.holds.items()}
        warnings = [warning for answer in answers.values() for warning in answer.warnings]
        return reply({**holds, "warnings": warnings} if warnings else holds)

    return routes


def _refused(faults: object) -> Response:
    return error(HTTPStatus.BAD_REQUEST, "the documents are not valid; the old ones stay", faults=faults)

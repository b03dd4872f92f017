"""POST /api/monitoring/config/reload: load the configuration again."""

from collections.abc import Callable
from http import HTTPStatus

import structlog
from flask import Blueprint, Response

from services.dashboard.api.answers import Reloaded
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.clock import Clock
from shared.runtime.config.documents import load_documents
from shared.runtime.redis.reload_requests import RELOADING_PARTS, request_reload, wait_for_results
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.openapi import describe
from shared.schema.faults import Fault, InvalidError

log = structlog.get_logger()

REPLY_TIMEOUT_S = 5.0
"""How long the parts may take to respond."""


def create_reload_route(reload_config: Callable[[], Response]) -> Blueprint:
    """Return the route that requests a reload and returns its result."""
    routes = Blueprint("configuration", __name__, url_prefix="/api/monitoring/config")

    @routes.post("/reload")
    @describe(
        "Load the configuration again",
        tag="Configuration",
        answers=Reloaded,
        errors=(HTTPStatus.BAD_REQUEST,),
        description="Answers what the parts hold now. A configuration that is not valid changes nothing.",
    )
    def reload() -> Response:
        return reload_config()

    return routes


def config_reloader(
    sources: DataSources, settings: DashboardSettings, audit: RequestAudit, clock: Clock
) -> Callable[[], Response]:
    """Return the function that requests a reload and returns its result."""

    def refuse(faults: list[Fault]) -> Response:
        audit.append_reload(clock(), settings.botwatch_config, faults)
        return _invalid_config(faults)

    def reload() -> Response:
        try:
            load_documents(settings.botwatch_config)
        except InvalidError as wrong:
            return refuse(wrong.faults)
        request = request_reload(sources.redis)
        log.info("reload requested", request=request)
        answers = wait_for_results(sources.redis, request, REPLY_TIMEOUT_S)
        if faults := [fault for answer in answers.values() for fault in answer.faults]:
            return refuse(faults)
        audit.append_reload(clock(), settings.botwatch_config)
        if missing := [part for part in RELOADING_PARTS if part not in answers]:
            silent = " and the ".join(missing)
            words = f"no response from the {silent}: the configuration is loaded there at the next start"
            return json_error(HTTPStatus.SERVICE_UNAVAILABLE, words)
        holds = {name: count for answer in answers.values() for name, count in answer.holds.items()}
        warnings = [warning for answer in answers.values() for warning in answer.warnings]
        return json_response({**holds, "warnings": warnings} if warnings else holds)

    return reload


def _invalid_config(faults: object) -> Response:
    return json_error(
        HTTPStatus.BAD_REQUEST, "configuration is not valid; keeping the previous one", faults=faults
    )

"""The API's checks: how each stands, and how one stood over time."""

from http import HTTPStatus

from flask import Blueprint, Response, request

from services.dashboard import figures
from services.dashboard.history import span_fields
from services.dashboard.queries import check_filter, check_history_query
from services.dashboard.sources import Sources
from shared.runtime.clock import Clock
from shared.runtime.web import error, reply
from shared.store.checks import check_names, check_steps


def add_checks(api: Blueprint, sources: Sources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/checks")
    def latest() -> Response:
        wanted = check_filter(request.args)
        now = clock()
        known = figures.of_checks(sources.now(now).records, now)
        return reply(
            {
                host: chosen
                for host, checks in known.items()
                if wanted.host in (None, host)
                and (
                    chosen := {
                        name: check
                        for name, check in checks.items()
                        if wanted.type in (None, check["type"]) and wanted.status in (None, check["status"])
                    }
                )
            }
        )

    @api.get("/checks/history")
    def history() -> Response:
        host, check, steps = check_history_query(request.args, clock())
        with sources.health.read() as connection:
            known = check_names(connection, host)
            points = check_steps(connection, host, check, steps)
        if check not in known:
            return error(HTTPStatus.NOT_FOUND, f"no record of a check {check!r} on {host!r}", checks=known)
        found = [
            {
                "timestamp": point.begin,
                "status": point.status,
                "text": point.text,
                "checkLatencyMs": point.latency_ms,
                "availability": point.availability,
            }
            for point in points
        ]
        span = {**span_fields(steps), "resolution": "raw"}  # there are no rollups of checks
        return reply({"host": host, "check": check, **span, "points": found})

"""The API's checks: the latest results, and the history of one."""

from http import HTTPStatus

from flask import Blueprint, Response, request

from services.dashboard import snapshot
from services.dashboard.api.history import range_fields
from services.dashboard.api.queries import check_filter, check_history_query
from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.store.check_history import check_buckets, check_names


def add_checks(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the routes to the API."""

    @api.get("/checks")
    def latest() -> Response:
        wanted = check_filter(request.args)
        now = clock()
        known = snapshot.check_snapshots(sources.read_current(now).records, now)
        return json_response(
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
            points = check_buckets(connection, host, check, steps)
        if check not in known:
            return json_error(
                HTTPStatus.NOT_FOUND, f"no record of a check {check!r} on {host!r}", checks=known
            )
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
        span = {**range_fields(steps), "resolution": "raw"}  # there are no rollups of checks
        return json_response({"host": host, "check": check, **span, "points": found})

"""Backups over HTTP: listed, and requested from the jobs part."""

from http import HTTPStatus

from flask import Blueprint, Response

from services.dashboard.api.answers import BackupSnapshot, RequestedJob
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.runtime.backups import describe_backup, list_backups
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import describe
from shared.schema import redis_keys

JOB = "backup"


def add_backups(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes `/backups`."""

    @api.get("/backups")
    @describe("List the backups", tag="Backups", answers=list[BackupSnapshot])
    def backups() -> Response:
        found = list_backups(sources.home) if sources.home else []
        return json_response([describe_backup(backup) for backup in found])

    @api.post("/backups")
    @describe("Request a backup", tag="Backups", answers=RequestedJob, status=HTTPStatus.ACCEPTED)
    def request_backup() -> Response:
        """Request a backup; `system.jobs` says how it goes."""
        sources.redis.sadd(redis_keys.JOB_REQUESTS, JOB)
        with sources.health.write() as connection:
            audit.append(connection, clock(), "backup.request", "backups")
        return json_response({"job": JOB, "status": "requested"}, HTTPStatus.ACCEPTED)

"""The link with which a calendar program subscribes to the calendars.

Such programs send nothing but an address. Where access is required it has a token that may do nothing but
this; each user has one, which a new link replaces, and which ends when the user is disabled.
"""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from flask import Blueprint, Response, g
from msgspec import Meta
from sqlalchemy import Connection

from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.access import tokens as store
from shared.access.identity import ForbiddenError, Identity
from shared.access.tokens import ApiToken, TokenRequest
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.openapi import describe

TAG = "Notifications"


class CalendarLink(msgspec.Struct, kw_only=True, rename="camel"):
    """Where to subscribe to the calendars."""

    on_call: str
    """Address of the shifts; with `&person=NAME` of one person's."""
    maintenance: str
    """Address of the maintenance windows."""
    has_token: bool
    """Whether the addresses hold a secret, which is shown only in the answer that created it."""
    created_at: datetime | None
    """When the link of the one who asks was created; null without one."""
    last_used_at: Annotated[datetime | None, Meta(description="Accurate to a minute.")]


def add_calendar_link(
    api: Blueprint, settings: DashboardSettings, sources: DataSources, audit: RequestAudit, clock: Clock
) -> None:
    """Add the routes `/calendar-link`."""

    @api.get("/calendar-link")
    @describe("Get where to subscribe to the calendars", tag=TAG, answers=CalendarLink)
    def link() -> Response:
        with sources.health.read() as connection:
            token = store.find_calendar_token(connection, g.identity.name)
        return json_response(_link(settings, token))

    @api.post("/calendar-link")
    @describe(
        "Create addresses of the calendars that need no sign-in",
        tag=TAG,
        answers=CalendarLink,
        status=HTTPStatus.CREATED,
        description="They hold a token with the scope `calendar`. Those of an earlier request end. Where "
        "access is open they need none.",
    )
    def create_link() -> Response:
        identity: Identity = g.identity
        if identity.kind == "open":
            return json_response(_link(settings, None), HTTPStatus.CREATED)
        if identity.kind == "token":
            raise ForbiddenError(
                "a token has no link of its own: create a token with the scope calendar", "scope"
            )
        user, now = identity.name, clock()
        wanted = TokenRequest(name=store.calendar_token_name(user), scopes=["calendar"])
        with sources.health.write() as connection:
            _revoke(connection, audit, now)
            token, secret = store.create_token(connection, wanted, user, now)
            audit.append(connection, now, "token.create", token.name, after=token.audited())
        return json_response(_link(settings, token, secret), HTTPStatus.CREATED)

    @api.delete("/calendar-link")
    @describe(
        "End the addresses of the calendars that one created",
        tag=TAG,
        answers=CalendarLink,
        errors=(HTTPStatus.NOT_FOUND,),
    )
    def end_link() -> Response:
        with sources.health.write() as connection:
            revoked = _revoke(connection, audit, clock())
        if revoked is None:
            return json_error(HTTPStatus.NOT_FOUND, f"{g.identity.name} has no link to the calendars")
        return json_response(_link(settings, None))


def _revoke(connection: Connection, audit: RequestAudit, now: datetime) -> ApiToken | None:
    token = store.find_calendar_token(connection, g.identity.name)
    if token:
        store.revoke_token(connection, token.id, g.identity.name, now)
        audit.append(connection, now, "token.revoke", token.name, before=token.audited())
    return token


def _link(settings: DashboardSettings, token: ApiToken | None, secret: str = "") -> CalendarLink:
    base = f"{settings.dashboard_url.rstrip('/')}/calendar"
    query = f"?{urlencode({'token': secret})}" if secret else ""
    return CalendarLink(
        on_call=f"{base}/on-call.ics{query}",
        maintenance=f"{base}/maintenance.ics{query}",
        has_token=bool(secret),
        created_at=token.created_at if token else None,
        last_used_at=token.last_used_at if token else None,
    )

"""API tokens over HTTP, for admins: list, create, revoke."""

from datetime import datetime
from http import HTTPStatus

from flask import Blueprint, Response, g, request

from services.dashboard import snapshot
from services.dashboard.api.queries import parse_token
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.access import tokens as store
from shared.access.tokens import ApiToken, TokenRequest, TokenState
from shared.runtime.clock import Clock
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.openapi import describe


class TokenEntry(ApiToken, frozen=True, kw_only=True, rename="camel"):
    """A token, without its secret."""

    state: TokenState


class CreatedToken(TokenEntry, frozen=True, kw_only=True, rename="camel"):
    """A token that was just created."""

    secret: str
    """What programs send as `Authorization: Bearer …`; it is shown only here."""


def add_tokens(api: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    """Add the routes below `/tokens`; every part sees a change within two seconds."""

    @api.get("/tokens")
    @describe(
        "List the API tokens",
        tag="Administration",
        answers=list[TokenEntry],
        description="Also revoked and expired ones, the oldest first.",
    )
    def tokens() -> Response:
        now = clock()
        with sources.health.read() as connection:
            return json_response([_token_fields(one, now) for one in store.list_tokens(connection)])

    @api.post("/tokens")
    @describe(
        "Create an API token",
        tag="Administration",
        answers=CreatedToken,
        status=HTTPStatus.CREATED,
        body=TokenRequest,
    )
    def create_token() -> Response:
        wanted, now = parse_token(request.get_data()), clock()
        with sources.health.write() as connection:
            token, secret = store.create_token(connection, wanted, g.identity.name, now)
            audit.append(connection, now, "token.create", token.name, after=token.audited())
        return json_response({**_token_fields(token, now), "secret": secret}, HTTPStatus.CREATED)

    @api.delete("/tokens/<token>")
    @describe(
        "Revoke an API token",
        tag="Administration",
        answers=TokenEntry,
        errors=(HTTPStatus.NOT_FOUND,),
        description="By its ID or its name. Every part refuses it within two seconds; open WebSockets end.",
    )
    def revoke_token(token: str) -> Response:
        now = clock()
        with sources.health.write() as connection:
            known = store.find_token(connection, token)
            revoked = store.revoke_token(connection, token, g.identity.name, now)
            if known is None or revoked is None:
                return json_error(HTTPStatus.NOT_FOUND, f"no token with the name or ID {token!r}")
            if not known.revoked_at:
                audit.append(connection, now, "token.revoke", known.name, before=known.audited())
        return json_response(_token_fields(revoked, now))


def _token_fields(token: ApiToken, now: datetime) -> snapshot.Fields:
    return {**snapshot.wire_fields(token), "state": token.state_at(now)}

"""The routes below /alertmanager: those of Alertmanager's API v2, with its answers and its errors.

An error is a JSON string there, where the rest of the API answers problem details.
"""

import base64
import binascii
import uuid
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from flask import Blueprint, Flask, Response, g, request

from services.dashboard.alertmanager.alert_list import AlertFilter, AlertList, Receiver
from services.dashboard.alertmanager.label_filters import matches_receiver, parse_filters
from services.dashboard.alertmanager.posting import AlertReceiver
from services.dashboard.alertmanager.routing_yaml import receiver_names, routing_yaml
from services.dashboard.alertmanager.silence_list import matching_silences, parse_silence, show_silence
from services.dashboard.data_sources import DataSources
from services.dashboard.request_audit import RequestAudit
from shared.access.identity import Identity
from shared.runtime.clock import Clock
from shared.runtime.config.routes import RoutingTree
from shared.runtime.web.app import json_error, json_response
from shared.runtime.web.problems import PROBLEM
from shared.runtime.web.request_access import RequestAccess
from shared.schema.decoding import UNREADABLE, describe_json_error
from shared.schema.external_alerts import PostedAlert
from shared.schema.timestamps import to_wire
from shared.store import silences as store
from shared.version import VERSION

log = structlog.get_logger()

PREFIX = "/alertmanager"
API = f"{PREFIX}/api/v2"
POST_ALERTS = f"{API}/alerts"
MAX_BODY_BYTES = 4 * 2**20
"""Limit of a request with alerts: Prometheus sends up to 256 in one."""
IDENTITY = ("matchers",)
"""What makes a silence another one, besides its start: as in Alertmanager, a new comment does not."""
FOLLOWED_VERSION = "0.25.0"
"""The version of Alertmanager whose API this is; tools choose by it what they ask."""


def create_alertmanager_api(
    sources: DataSources,
    audit: RequestAudit,
    dashboard_url: str,
    reload: Callable[[], Response],
    clock: Clock,
) -> Blueprint:
    """Return the routes; `reload` loads the configuration again."""
    routes = Blueprint("alertmanager", __name__, url_prefix=PREFIX)
    _add_alerts(routes, sources, dashboard_url, clock)
    _add_silences(routes, sources, audit, clock)
    _add_status(routes, sources, clock(), reload)
    return routes


def install_alertmanager(app: Flask, access: RequestAccess, clock: Clock) -> None:
    """Let requests below /alertmanager sign in by Basic, and answer their errors as JSON strings."""
    access.further.append(lambda: _identify_basic(access, clock()))

    def limit_body() -> None:
        if request.path == POST_ALERTS and request.method == "POST":
            request.max_content_length = MAX_BODY_BYTES

    def write_error(response: Response) -> Response:
        is_problem = response.mimetype == PROBLEM and request.path.startswith(f"{PREFIX}/")
        if is_problem:
            detail = msgspec.json.decode(response.get_data())["detail"]
            response.data = msgspec.json.encode(detail)
            response.content_type = "application/json"
        return response

    app.before_request(limit_body)
    app.after_request(write_error)


def _add_alerts(routes: Blueprint, sources: DataSources, dashboard_url: str, clock: Clock) -> None:
    receiver = AlertReceiver(sources, dashboard_url)

    @routes.post("/api/v2/alerts")
    def post_alerts() -> Response:
        body = request.get_data()
        try:
            items = msgspec.json.decode(body, type=list[Any])
        except UNREADABLE as error:
            return _bad_request(f"expected an array of alerts: {describe_json_error(body, error)}")
        faults = receiver.receive(items, clock(), _refusal_of(g.identity))
        return _bad_request("; ".join(faults)[:4096]) if faults else Response(status=HTTPStatus.OK)

    @routes.get("/api/v2/alerts")
    def alerts() -> Response:
        try:
            wanted = _alert_filter()
            with sources.health.read() as connection:
                found = AlertList(connection, sources.documents, clock()).matching(wanted)
        except ValueError as error:
            return _bad_request(str(error))
        return json_response(found)

    @routes.get("/api/v2/alerts/groups")
    def groups() -> Response:
        try:
            wanted = _alert_filter()
            with sources.health.read() as connection:
                found = AlertList(connection, sources.documents, clock()).groups(wanted)
        except ValueError as error:
            return _bad_request(str(error))
        return json_response(found)


def _add_silences(routes: Blueprint, sources: DataSources, audit: RequestAudit, clock: Clock) -> None:
    @routes.get("/api/v2/silences")
    def silences() -> Response:
        try:
            matchers = parse_filters(request.args.getlist("filter"))
        except ValueError as error:
            return _bad_request(str(error))
        with sources.health.read() as connection:
            return json_response(matching_silences(connection, matchers, clock()))

    @routes.post("/api/v2/silences")
    def put_silence() -> Response:
        now = clock()
        try:
            given = parse_silence(request.get_data(), g.identity, now)
        except ValueError as error:
            return _bad_request(str(error))
        with sources.health.write() as connection:
            before = store.silence_by_id(connection, given.id) if given.id else None
            silence = store.put_silence(connection, given, str(uuid.uuid4()), now, IDENTITY)
            if silence:
                action = "silence.edit" if before else "silence.create"
                target, by = given.id or silence.id, given.created_by
                audit.append(connection, now, action, target, by=by, before=before, after=silence)
        if silence is None:
            return _not_found(given.id or "")
        log.info("silenced", silence=silence.id, by=silence.created_by, until=silence.ends_at.isoformat())
        return json_response({"silenceID": silence.id})

    @routes.get("/api/v2/silence/<silence_id>")
    def silence(silence_id: str) -> Response:
        with sources.health.read() as connection:
            found = store.silence_by_id(connection, silence_id)
        return json_response(show_silence(found, clock())) if found else _not_found(silence_id)

    @routes.delete("/api/v2/silence/<silence_id>")
    def expire(silence_id: str) -> Response:
        now, by = clock(), None if g.identity.kind == "open" else g.identity.name
        with sources.health.write() as connection:
            before = store.silence_by_id(connection, silence_id)
            ended = store.end_silence(connection, silence_id, now, by)
            if ended and ended != before:
                audit.append(connection, now, "silence.end", silence_id, by=by, before=before, after=ended)
        return Response(status=HTTPStatus.OK) if ended else _not_found(silence_id)


def _add_status(
    routes: Blueprint, sources: DataSources, started_at: datetime, reload: Callable[[], Response]
) -> None:
    @routes.get("/api/v2/status")
    def status() -> Response:
        version = {
            "version": FOLLOWED_VERSION,
            "revision": f"botwatch {VERSION}",
            "branch": "botwatch",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }
        answer = {
            "cluster": {"status": "disabled", "peers": []},
            "versionInfo": version,
            "config": {"original": routing_yaml(sources.documents)},
            "uptime": to_wire(started_at),
        }
        return json_response(answer)

    @routes.get("/api/v2/receivers")
    def receivers() -> Response:
        names = receiver_names(RoutingTree.from_documents(sources.documents))
        return json_response([Receiver(name) for name in names])

    @routes.get("/-/healthy")
    def healthy() -> Response:
        return Response("OK", content_type="text/plain; charset=utf-8")

    @routes.get("/-/ready")
    def ready() -> Response:
        with sources.health.read() as connection:
            connection.exec_driver_sql("SELECT 1 FROM alerts LIMIT 1")
        return Response("OK", content_type="text/plain; charset=utf-8")

    @routes.post("/-/reload")
    def reload_configuration() -> Response:
        answer = reload()
        return Response(status=HTTPStatus.OK) if answer.status_code == HTTPStatus.OK else answer


def _alert_filter() -> AlertFilter:
    """Read which alerts are wanted. Raises ValueError.

    Tools that do not know `muted` (maintenance windows) mean with `silenced` whatever is muted on purpose.
    """
    receiver = request.args.get("receiver") or None
    if receiver:
        matches_receiver(receiver, ())  # refuses what is no pattern, also where no alert is open
    return AlertFilter(
        parse_filters(request.args.getlist("filter")),
        receiver,
        _flag("active"),
        _flag("silenced"),
        _flag("inhibited"),
        _flag("silenced") and _flag("muted"),
    )


def _flag(name: str) -> bool:
    text = request.args.get(name, "true").lower()
    if text not in ("true", "false", "1", "0"):
        raise ValueError(f"{name}: expected true or false, got {text[:64]!r}")
    return text in ("true", "1")


def _refusal_of(identity: Identity) -> Callable[[PostedAlert], str | None]:
    """Return the function that says why `identity` may not send an alert: a token may be for some bots."""

    def refusal(posted: PostedAlert) -> str | None:
        if identity.may_send_alert(posted.labels.get("bot", "")):
            return None
        return f"{identity.name} may only send alerts with the label bot of its own bots"

    return refusal


def _identify_basic(access: RequestAccess, now: datetime) -> Identity | None:
    """Return who signs in by Basic, as tools do with a user and a password in their URL.

    The password is an API token, the user does not matter; a token alone may be the user.
    """
    if not request.path.startswith(f"{PREFIX}/"):
        return None
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    token = password or user
    return access.authenticator.identify(token, request.remote_addr or "", now) if token else None


def _bad_request(message: str) -> Response:
    return json_error(HTTPStatus.BAD_REQUEST, message)


def _not_found(silence_id: str) -> Response:
    return json_error(HTTPStatus.NOT_FOUND, f"silence {silence_id[:64]} not found")

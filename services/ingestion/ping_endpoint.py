"""Ping endpoint: `/ping/<key>[/start|/fail|/log|/<exit code>]`, for bots and jobs that only have curl.

The API of healthchecks.io. The key is the secret; no token is needed. Any worker accepts a ping, atomically,
into a Redis stream, which the heartbeat monitor of the single process `ingestion-redis` reads.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

import msgspec
import structlog
from flask import Blueprint, Response, request
from redis import Redis
from werkzeug.exceptions import RequestEntityTooLarge

from services.ingestion.heartbeats import Action, Ping
from shared.access.identity import Scope
from shared.runtime import clock
from shared.runtime.redis import postponed_writes
from shared.runtime.web.app import json_error
from shared.schema.redis_keys import PINGS

log = structlog.get_logger()

MAX_PENDING = 5_000
"""Limit of queued pings; further ones get 503, and curl's --retry sends them again."""
RATE_LIMIT, RATE_WINDOW_S = 50, 10
"""Limit of pings of one heartbeat per window, in seconds."""
MAX_BODY_BYTES = 10_000
"""How much of a body is kept: its end, where a log has the outcome."""
MAX_EXIT_CODE = 255

_ACCEPT_PING = f"""{postponed_writes.LUA}
-- KEYS: stream, counter of this heartbeat's pings.
-- ARGV: limit of them, window in seconds; limit of all queued pings; the ping.
-- Returns the outcome, and the run ID of a Redis that may postpone writing the ping.
local taken = redis.pcall('INCR', KEYS[2])
if type(taken) ~= 'number' then  -- a foreign value is reset: it must not block pings
  redis.call('DEL', KEYS[2])
  taken = redis.call('INCR', KEYS[2])
end
if taken == 1 then redis.call('EXPIRE', KEYS[2], ARGV[2]) end
if taken > tonumber(ARGV[1]) then return {{'often', ''}} end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[3]) then return {{'full', ''}} end
redis.call('XADD', KEYS[1], '*', 'data', ARGV[4])
return {{'taken', postponing()}}
"""
_ACTIONS: dict[str, Action] = {"": "success", "start": "start", "fail": "fail", "log": "log"}
_RUN = re.compile(r"[A-Za-z0-9_-]{0,64}\Z")
_CODE = re.compile(r"[0-9]{1,3}\Z")


_METHODS = ("GET", "POST")
_RULES = ("/ping/<key>", "/ping/<key>/", "/ping/<key>/<action>", "/ping/<key>/<action>/")
PING_SCOPES: Mapping[str, Scope | None] = MappingProxyType(
    {f"{method} {rule}": None for method in _METHODS for rule in _RULES}
)


def create_ping_routes(redis: Redis, names: Mapping[str, str]) -> Blueprint:
    """Return the routes; `names` maps keys to names of heartbeats."""
    part = Blueprint("pings", __name__)
    take = redis.register_script(_ACCEPT_PING)

    def answer(key: str, action: str = "") -> Response:
        name = names.get(key)
        if name is None:
            return json_error(HTTPStatus.NOT_FOUND, "no heartbeat has this key")
        meant = parse_action(action)
        if meant is None:
            expected = "start, fail, log, an exit code from 0 to 255, or nothing"
            return json_error(HTTPStatus.NOT_FOUND, f"expected {expected} after the key")
        run = request.args.get("rid", "")
        if not _RUN.match(run):
            return json_error(HTTPStatus.BAD_REQUEST, "rid: expected at most 64 letters, digits, - and _")
        ping = Ping(name, meant[0], clock.now(), meant[1], run, _body())
        data = msgspec.msgpack.encode(ping)
        keys = [PINGS, f"{PINGS}:rate:{name}"]
        outcome, run_id = take(keys=keys, args=[RATE_LIMIT, RATE_WINDOW_S, MAX_PENDING, data])
        if run_id:
            postponed_writes.wait_until_written(redis, run_id.decode())
        return _respond(outcome, name)

    for rule in _RULES:
        part.add_url_rule(rule, view_func=answer, methods=["HEAD", *_METHODS])
    return part


def parse_action(action: str) -> tuple[Action, int | None] | None:
    """Return the action and exit code of a path's last segment; None if it is not valid."""
    if action in _ACTIONS:
        return _ACTIONS[action], None
    if _CODE.match(action) and int(action) <= MAX_EXIT_CODE:
        return "success" if int(action) == 0 else "fail", int(action)
    return None


def _body() -> bytes:
    if request.method != "POST":
        return b""
    try:
        return request.get_data()[-MAX_BODY_BYTES:]
    except RequestEntityTooLarge:
        return b"(body too large)"  # the ping still counts


def _respond(outcome: bytes, name: str) -> Response:
    if outcome == b"taken":
        # Pings may be GET requests: no cache may answer them.
        return Response("OK", content_type="text/plain", headers={"Cache-Control": "no-store"})
    if outcome == b"often":
        message = f"too many pings: at most {RATE_LIMIT} in {RATE_WINDOW_S} s"
        response = json_error(HTTPStatus.TOO_MANY_REQUESTS, message)
        response.headers["Retry-After"] = str(RATE_WINDOW_S)
        return response
    log.error("rejecting pings: queue is full", heartbeat=name)
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, "too many pings are queued; retry later")
    response.headers["Retry-After"] = "5"
    return response

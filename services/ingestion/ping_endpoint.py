"""Pings: `/ping/<key>[/start|/fail|/log|/<exit code>]`, for bots and jobs that can only curl.

As healthchecks.io has them. The key is the secret, no token is asked for. A ping is taken in one step, by
whichever worker: it waits in a stream of Redis for the one process that knows what is expected.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
import structlog
from flask import Blueprint, Response, request
from redis import Redis
from werkzeug.exceptions import RequestEntityTooLarge

from services.ingestion.heartbeats import Action, Ping
from shared.runtime import clock
from shared.runtime.web.app import json_error
from shared.schema.redis_keys import PINGS

log = structlog.get_logger()

MAX_PENDING = 5_000
"""Pings that wait; past it they are refused, and curl's --retry sends them again."""
RATE_LIMIT, RATE_WINDOW_S = 50, 10
"""Pings of one heartbeat that are taken in so many seconds."""
MAX_BODY_BYTES = 10_000
"""How much of a body is kept: its end, where a log says how it went out."""
MAX_EXIT_CODE = 255

_ACCEPT_PING = """
-- KEYS: stream, counter of this heartbeat's pings.
-- ARGV: how many of them, in how many seconds; how many of all may wait; the ping.
local taken = redis.pcall('INCR', KEYS[2])
if type(taken) ~= 'number' then  -- what is no number there begins again: it must not keep pings out
  redis.call('DEL', KEYS[2])
  taken = redis.call('INCR', KEYS[2])
end
if taken == 1 then redis.call('EXPIRE', KEYS[2], ARGV[2]) end
if taken > tonumber(ARGV[1]) then return 'often' end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 'full' end
redis.call('XADD', KEYS[1], '*', 'data', ARGV[4])
return 'taken'
"""
_ACTIONS: dict[str, Action] = {"": "success", "start": "start", "fail": "fail", "log": "log"}
_RUN = re.compile(r"[A-Za-z0-9_-]{0,64}\Z")
_CODE = re.compile(r"[0-9]{1,3}\Z")


def create_ping_routes(redis: Redis, names: Mapping[str, str]) -> Blueprint:
    """Return the routes; `names` has the heartbeats' names by their keys."""
    part = Blueprint("pings", __name__)
    take = redis.register_script(_ACCEPT_PING)
    methods = ["HEAD", "GET", "POST"]

    @part.route("/ping/<key>", methods=methods)
    @part.route("/ping/<key>/", methods=methods)
    @part.route("/ping/<key>/<action>", methods=methods)
    @part.route("/ping/<key>/<action>/", methods=methods)
    def answer(key: str, action: str = "") -> Response:
        name = names.get(key)
        if name is None:
            return json_error(HTTPStatus.NOT_FOUND, "no heartbeat has this key")
        meant = parse_action(action)
        if meant is None:
            expected = "nothing, start, fail, log or an exit code from 0 to 255"
            return json_error(HTTPStatus.NOT_FOUND, f"expected {expected} after the key")
        run = request.args.get("rid", "")
        if not _RUN.match(run):
            return json_error(HTTPStatus.BAD_REQUEST, "rid: expected at most 64 letters, digits, - and _")
        ping = Ping(name, meant[0], clock.now(), meant[1], run, _body())
        data = msgspec.msgpack.encode(ping)
        keys = [PINGS, f"{PINGS}:rate:{name}"]
        return _respond(take(keys=keys, args=[RATE_LIMIT, RATE_WINDOW_S, MAX_PENDING, data]), name)

    return part


def parse_action(action: str) -> tuple[Action, int | None] | None:
    """Return what the end of a path means, and its exit code; None when it means nothing."""
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
        return b"(body too large)"  # that it came counts all the same


def _respond(came_of_it: bytes, name: str) -> Response:
    if came_of_it == b"taken":
        # Pings come by GET as well: nobody on the way may answer them again.
        return Response("OK", content_type="text/plain", headers={"Cache-Control": "no-store"})
    if came_of_it == b"often":
        message = f"expected at most {RATE_LIMIT} pings in {RATE_WINDOW_S} s"
        response = json_error(HTTPStatus.TOO_MANY_REQUESTS, message)
        response.headers["Retry-After"] = str(RATE_WINDOW_S)
        return response
    log.error("rejecting pings: queue is full", heartbeat=name)
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, "too many pings are queued; retry later")
    response.headers["Retry-After"] = "5"
    return response

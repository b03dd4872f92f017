"""The frame of a web part: Flask under gunicorn, with JSON errors, /health and /metrics."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from http import HTTPStatus

import msgspec
import structlog
from flask import Flask, Response, current_app, g, request
from gunicorn.app import wsgiapp  # type: ignore[import-untyped]
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.registry import Collector
from redis import Redis
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from shared.access.identity import ForbiddenError, Scope
from shared.access.refusals import AccessDeniedError
from shared.runtime.access import create_authenticator
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.exposition import expose
from shared.runtime.health import BuildInfo, Check, HealthChecks, brief
from shared.runtime.redis.connection import describe_redis_error
from shared.runtime.redis.presence import PresencePublisher, server_url
from shared.runtime.repeated_logs import RepeatedLog
from shared.runtime.settings import REPOSITORY, WebSettings
from shared.runtime.web.asgi import FastRoute
from shared.runtime.web.multiprocess_metrics import WorkerMetrics
from shared.runtime.web.problems import PROBLEM, problem_body
from shared.runtime.web.request_access import RequestAccess
from shared.runtime.web.tls import TlsFiles, scheme
from shared.runtime.web.worker_processes import WorkerProcesses
from shared.schema.faults import InvalidError, did_you_mean

log = structlog.get_logger()
_redis_down = RepeatedLog()

REQUESTS = Counter("botwatch_http_requests", "Requests by path and status.", ["part", "path", "status"])
ELSEWHERE = {
    "/api/v1/": "records are posted to ingestion, by default at port 9090 (INGESTION_PORT)",
    "/api/monitoring": "the API is at the dashboard, by default at port 3001 (DASHBOARD_PORT)",
}
"""Paths of another web part, and which one: the ports are easily mistaken."""

DURATION = Histogram("botwatch_http_request_duration_seconds", "Duration of requests.", ["part", "path"])


class WebWorkerPart:
    """A web part in one worker: its presence starts and ends with the worker.

    gunicorn's hooks in deploy/gunicorn.conf.py find it as `app.extensions["botwatch"]`.
    """

    def __init__(
        self, part: str, settings: WebSettings, redis: Redis, port: int, scopes: Mapping[str, Scope | None]
    ) -> None:
        """`scopes` has what each route needs, besides /health and /metrics (`RequestAccess`)."""
        self.part = part
        self.access = RequestAccess(create_authenticator(part, settings, redis), scopes)
        self.hosts = AllowedHosts(settings)
        self.trusts_proxy = settings.trust_proxy
        self._redis = redis
        self._url = server_url(settings.bind_host, port, scheme(settings))
        self._presence: PresencePublisher | None = None
        self.fast_route: FastRoute | None = None
        """Takes some requests in the event loop, before the app."""
        self.background: list[Callable[[threading.Event], None]] = []
        """Functions that each worker runs in a thread, until the event is set."""
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start publishing presence; called in each worker after the fork."""
        self._presence = PresencePublisher(self._redis, self.part, self._url)
        self.access.authenticator.start()
        for run in self.background:
            threading.Thread(target=run, args=[self._stopping], daemon=True).start()

    def refusal(self) -> RedisError | None:
        """Return why Redis rejected this worker's last presence write; None if it did not, or is down."""
        return self._presence.refusal if self._presence else None

    def close(self) -> None:
        """Stop publishing presence."""
        self._stopping.set()
        self.access.authenticator.close()
        if self._presence:
            self._presence.close()


def json_response(body: object, status: int = HTTPStatus.OK) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(body), status, content_type="application/json")


def json_error(status: int, message: str, **further: object) -> Response:
    """Return an error response: problem details with `error` (the message) and further members."""
    return Response(problem_body(status, message, **further), status, content_type=PROBLEM)


def create_web_app(
    name: str,
    web_part: WebWorkerPart,
    checks: dict[str, Check],
    collectors: Iterable[Collector] = (),
    metrics_path: str = "/metrics",
    null_origins: str | None = None,
    foreign_origins: AbstractSet[str] = frozenset(),
) -> Flask:
    """Return a Flask app with /health, /metrics and JSON errors, for allowed hosts only.

    `null_origins` names a blueprint that accepts requests of pages without an origin. Pages of
    `foreign_origins` (`*`: of any) may use what is below /api/, and change it with a token.
    """
    app = Flask(name, static_folder=None)
    app.extensions["botwatch"] = web_part
    if web_part.trusts_proxy:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_prefix=1)  # type: ignore[method-assign]
    health = HealthChecks(web_part.part, checks)
    registry = CollectorRegistry()
    shared: list[Collector] = []
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shared = [WorkerMetrics(folder), WorkerProcesses()]
    for collector in (BuildInfo(), *shared, *collectors):
        registry.register(collector)

    @app.get("/health")
    def answer_health() -> Response:
        report = health.report()
        return json_response(
            report if g.identity.allows("read") else brief(report),
            HTTPStatus.OK if report.status == "ok" else HTTPStatus.SERVICE_UNAVAILABLE,
        )

    @app.get(metrics_path)
    def answer_metrics() -> Response:
        accept, encoding = request.headers.get("Accept"), request.headers.get("Accept-Encoding")
        headers, body = expose(registry, accept, encoding)
        return Response(body, headers=headers)

    app.register_error_handler(HTTPException, http_error_response)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(InvalidError, _invalid)
    app.register_error_handler(RedisError, redis_error_response)
    app.register_error_handler(Exception, _unexpected)
    app.before_request(_start_timer)
    app.before_request(lambda: _reject_cross_site(web_part.hosts, null_origins, foreign_origins))
    web_part.access.scopes |= {"GET /health": None, f"GET {metrics_path}": "read"}
    app.before_request(web_part.access.check)
    app.register_error_handler(AccessDeniedError, answer_denied)
    app.register_error_handler(ForbiddenError, lambda error: answer_denied(web_part.access.forbid(error)))
    app.after_request(_request_counter(web_part.part))
    return app


def http_error_response(raised: HTTPException) -> Response:
    """Return an error of HTTP as problem+json."""
    status = raised.code or HTTPStatus.INTERNAL_SERVER_ERROR
    text = raised.description or raised.name
    if isinstance(raised, MethodNotAllowed):
        text = f"expected {' or '.join(sorted(raised.valid_methods or ()))}, got {request.method}"
    elif request.routing_exception and isinstance(raised, NotFound):
        text = _unknown_path(request.path)
    response = json_error(status, text)
    response.headers.extend(header for header in raised.get_headers() if header[0] != "Content-Type")
    return response


def _unknown_path(path: str) -> str:
    """Return what to say about a path that does not exist; it is not quoted, for a ping's is its secret."""
    known = [rule.rule for rule in current_app.url_map.iter_rules()]
    for others, where in ELSEWHERE.items():
        if path.startswith(others) and not any(rule.startswith(others) for rule in known):
            return f"no such path here: {where}"
    hint = did_you_mean(path, [rule for rule in known if "<" not in rule])
    return f"no such path{hint or '; GET /api/openapi.json lists those that exist'}"


def _too_large(_: RequestEntityTooLarge) -> Response:
    size, limit = request.content_length, request.max_content_length
    message = f"request body is {size} bytes (limit {limit}); send smaller batches"
    return json_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def _invalid(raised: InvalidError) -> Response:
    return json_error(HTTPStatus.BAD_REQUEST, "invalid request", faults=raised.faults)


def redis_error_response(raised: RedisError) -> Response:
    """Return the response while Redis does not take a command, and log why."""
    why = describe_redis_error(raised)
    if (before := _redis_down.count()) is not None:
        log.warning("redis is down", reason=why, error=str(raised), requests_since_last_line=before)
    response = json_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}; retry later")
    response.headers["Retry-After"] = "1"
    return response


def _unexpected(raised: Exception) -> Response:
    # Not the path: it may contain the token of a link.
    log.error("request failed", route=str(request.url_rule), exc_info=raised)
    return json_error(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error; see the log of this part")


def answer_denied(raised: AccessDeniedError) -> Response:
    """Return the response to a refused request."""
    response = json_error(raised.refusal.status, str(raised))
    response.headers.extend(raised.refusal.headers)
    return response


def _start_timer() -> None:
    g.begun = time.perf_counter()


def _reject_cross_site(
    hosts: AllowedHosts, null_origins: str | None, foreign_origins: AbstractSet[str]
) -> Response | None:
    """Reject requests that DNS rebinding or a page of another site makes a browser send."""
    host, origin = request.headers.get("Host"), request.headers.get("Origin")
    refusal = hosts.host_refusal(host)
    is_foreign = request.path.startswith("/api/") and not foreign_origins.isdisjoint((origin, "*"))
    if is_foreign and not refusal and "Access-Control-Request-Method" in request.headers:
        return current_app.make_default_options_response()
    # A page can send `Authorization` only after a preflight request, so that no simple form is let through.
    is_allowed = (origin == "null" and request.blueprint == null_origins) or (
        is_foreign and "Authorization" in request.headers
    )
    if not refusal and not is_allowed:
        sent_from = request.headers.get("Sec-Fetch-Site")
        refusal = hosts.change_refusal(request.method, host, origin, sent_from)
    return json_error(refusal.status, refusal.message) if refusal else None


def count_request(part: str, path: str, status: int, seconds: float) -> None:
    """Count a response; `path` is the rule of its route."""
    REQUESTS.labels(part, path, status).inc()
    DURATION.labels(part, path).observe(seconds)


def _request_counter(part: str) -> Callable[[Response], Response]:
    def count(response: Response) -> Response:
        path = request.url_rule.rule if request.url_rule else "(none)"
        count_request(part, path, response.status_code, time.perf_counter() - g.begun)
        return response

    return count


def run_gunicorn(app: str, settings: WebSettings, port: int, tls: TlsFiles | None) -> None:
    """Serve `app` (`module:factory()`) with gunicorn on `port` until this process ends, over TLS if given."""
    sys.argv = [
        "gunicorn",
        *("--config", str(REPOSITORY / "deploy" / "gunicorn.conf.py")),
        *("--bind", f"{settings.bind_host}:{port}"),
        *("--workers", str(settings.web_workers), "--threads", str(settings.web_threads)),
        *(("--certfile", str(tls.certificate), "--keyfile", str(tls.key)) if tls else ()),
        app,
    ]
    wsgiapp.run()

"""Health of a part: the checks of its dependencies, and the internal port with /health and /metrics."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from socketserver import ThreadingMixIn
from types import MappingProxyType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec
from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.access.authenticator import Authenticator
from shared.access.refusals import AccessDeniedError
from shared.runtime import clock
from shared.runtime.allowed_hosts import AllowedHosts
from shared.runtime.exposition import expose
from shared.version import VERSION

Check = Callable[[], object]
"""Return a detail to show (or None); raise when the dependency fails."""

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class BuildInfo(Collector):
    """The metric `botwatch_build_info`: always 1, its label `version` is that of the running code."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric. A collector, because prometheus_client's Info knows no multiprocess mode."""
        info = GaugeMetricFamily("botwatch_build_info", "Version of the running code.", labels=["version"])
        info.add_metric([VERSION], 1)
        yield info


REGISTRY.register(BuildInfo())


class DependencyResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """The result of one check."""

    status: str
    latency_ms: float
    detail: object = None
    error: str | None = None


class HealthReport(msgspec.Struct, rename="camel"):
    """The body of /health; `status` is `ok` only when every check is."""

    part: str
    version: str
    status: str
    checks: dict[str, DependencyResult]


class BriefReport(msgspec.Struct, rename="camel"):
    """The body of /health for those who may not read: no details."""

    part: str
    status: str


class HealthChecks:
    """The dependencies of a part."""

    def __init__(self, part: str, checks: dict[str, Check]) -> None:
        self.part = part
        self._checks = checks

    def add(self, name: str, check: Check) -> None:
        """Add a check."""
        self._checks[name] = check

    def report(self) -> HealthReport:
        """Run all checks now."""
        results = {name: _run(check) for name, check in list(self._checks.items())}
        healthy = all(result.status == "ok" for result in results.values())
        return HealthReport(self.part, VERSION, "ok" if healthy else "failing", results)


def brief(report: HealthReport) -> BriefReport:
    """Return a report without details."""
    return BriefReport(report.part, report.status)


def _run(check: Check) -> DependencyResult:
    started = time.perf_counter()
    try:
        detail = check()
    except Exception as error:  # noqa: BLE001 - /health must show any error of a dependency
        # The further lines of SQLAlchemy's errors are the statement and its parameters.
        reason = str(error).partition("\n")[0]
        return DependencyResult("failing", _elapsed_ms(started), error=f"{type(error).__name__}: {reason}")
    return DependencyResult("ok", _elapsed_ms(started), detail)


def _elapsed_ms(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)


class Pulse:
    """Records the iterations of a part's main loop."""

    def __init__(self, limit_s: float = 15.0) -> None:
        self._limit_s = limit_s
        self._last = time.monotonic()
        self.beats = 0

    def touch(self) -> None:
        """Record an iteration, or that the loop deliberately waits."""
        self._last = time.monotonic()
        self.beats += 1

    def check(self) -> str:
        """Raise TimeoutError when the last iteration was too long ago."""
        silent = time.monotonic() - self._last
        if silent > self._limit_s:
            raise TimeoutError(f"main loop stalled for {silent:.0f} s (limit {self._limit_s:g} s)")
        return f"last iteration {silent:.1f} s ago"


class _HealthServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Leave scrapes out of the logs."""


def serve_health(
    health: HealthChecks, host: str, port: int, allowed: AllowedHosts, access: Authenticator
) -> _HealthServer:
    """Serve /metrics and /health on `host:port` (0: any free port) in a thread.

    /metrics needs the scope `read`; without it /health has no details.
    """

    def app(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if refusal := allowed.host_refusal(environ.get("HTTP_HOST")):
            return _refuse(start_response, refusal.status, refusal.message)
        sent_from = (environ.get("HTTP_AUTHORIZATION"), environ["REMOTE_ADDR"])
        if path == "/metrics":
            try:
                access.authenticate(*sent_from, "read", clock.now())
            except AccessDeniedError as denied:
                return _refuse(start_response, denied.refusal.status, str(denied), denied.refusal.headers)
            if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
                return _refuse(
                    start_response, HTTPStatus.METHOD_NOT_ALLOWED, "use GET", {"Allow": "GET, HEAD"}
                )
            answer = expose(REGISTRY, environ.get("HTTP_ACCEPT"), environ.get("HTTP_ACCEPT_ENCODING"))
            start_response("200 OK", answer.headers)
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]
        if path == "/health":
            report = health.report()
            status = "200 OK" if report.status == "ok" else "503 Service Unavailable"
            start_response(status, [("Content-Type", "application/json")])
            may_read = access.may_read(*sent_from, clock.now())
            return [msgspec.json.encode(report if may_read else brief(report))]
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no such path; expected /metrics or /health\n"]

    server = make_server(host, port, app, server_class=_HealthServer, handler_class=_QuietHandler)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server


def _refuse(
    start_response: StartResponse,
    status: HTTPStatus,
    message: str,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> list[bytes]:
    start_response(f"{status.value} {status.phrase}", [("Content-Type", "text/plain"), *headers.items()])
    return [f"{message}\n".encode()]

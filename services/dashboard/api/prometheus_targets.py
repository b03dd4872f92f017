"""Prometheus' service discovery over HTTP: the running parts, wherever their ports are."""

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

import msgspec
from flask import Blueprint, Response

from services.dashboard.data_sources import DataSources
from shared.runtime.clock import Clock
from shared.runtime.redis.presence import PartPresence, read_presence
from shared.runtime.web.app import json_response
from shared.runtime.web.openapi import describe

APP = "botwatch"
"""The label `app` of all targets, which rules and dashboards select."""


class TargetGroup(msgspec.Struct, kw_only=True, frozen=True):
    """Where one part serves its metrics, as `http_sd_config` reads it."""

    targets: list[str]
    labels: dict[str, str]
    """`app`, `part`, `job`; `__scheme__` and `__metrics_path__` where they are not the defaults."""


def add_prometheus_targets(api: Blueprint, sources: DataSources, clock: Clock) -> None:
    """Add the route `/prometheus/targets`."""

    @api.get("/prometheus/targets")
    @describe(
        "List the targets for Prometheus",
        tag="Overview",
        answers=list[TargetGroup],
        description="For `http_sd_configs`. A part that was killed stays a target, so that its `up` is 0.",
    )
    def targets() -> Response:
        # While Redis is down: 503, with which Prometheus keeps the targets that it has.
        known = read_presence(sources.redis, clock()).values()
        endpoint = sources.documents.performance.prometheus.endpoint
        return json_response([*_target_groups((part for part, _ in known), endpoint)])


def _target_groups(parts: Iterable[PartPresence], endpoint: str) -> Iterator[TargetGroup]:
    """Yield a group for each part; `endpoint` is the path of ingestion's metrics."""
    for part in parts:
        url = urlsplit(part.url or "")
        if not url.netloc:
            continue
        labels = {"app": APP, "part": part.part, "job": part.part}
        if url.scheme != "http":
            labels["__scheme__"] = url.scheme
        if part.part == "ingestion" and endpoint != "/metrics":
            labels["__metrics_path__"] = endpoint
        yield TargetGroup(targets=[url.netloc], labels=labels)

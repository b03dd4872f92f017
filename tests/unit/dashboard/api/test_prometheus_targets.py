"""Service discovery for Prometheus: each part that has an address is a target."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.dashboard.app import create_dashboard_app
from services.dashboard.data_sources import DataSources
from shared.runtime.redis.presence import PartPresence
from shared.schema.redis_keys import PARTS
from shared.store.database import Database
from tests.unit.dashboard.conftest import LINKS, SETTINGS
from tests.unit.dashboard.sample_data import NOON, get_json

TARGETS = "/api/monitoring/prometheus/targets"


@pytest.fixture
def parts(redis: Redis, client: FlaskClient) -> None:
    """Let three parts have addresses, one of them killed a day ago; the others have none."""
    addresses: Mapping[str, tuple[str, timedelta]] = {
        "ingestion": ("https://box:9090", timedelta(0)),
        "recorder": ("http://127.0.0.1:43211", timedelta(0)),
        "evaluator": ("http://[::1]:8000", timedelta(days=1)),
    }
    assert client
    for name, (url, silent) in addresses.items():
        part = PartPresence(part=name, host="box", pid=7, started_at=NOON, seen_at=NOON - silent, url=url)
        redis.hset(PARTS, name, msgspec.json.encode(part))


@pytest.mark.usefixtures("parts")
def test_parts_with_an_address_are_targets(client: FlaskClient) -> None:
    """The killed one, too: that its `up` is 0 is what the alert is about."""
    assert get_json(client, TARGETS) == [
        {"targets": ["[::1]:8000"], "labels": {"app": "botwatch", "part": "evaluator", "job": "evaluator"}},
        {
            "targets": ["box:9090"],
            "labels": {"app": "botwatch", "part": "ingestion", "job": "ingestion", "__scheme__": "https"},
        },
        {
            "targets": ["127.0.0.1:43211"],
            "labels": {"app": "botwatch", "part": "recorder", "job": "recorder"},
        },
    ]
    assert client.get(TARGETS).content_type == "application/json"


@pytest.mark.usefixtures("parts")
def test_ingestion_is_scraped_at_its_configured_path(
    redis: Redis, performance: Database, health: Database, tmp_path: Path
) -> None:
    """`prometheus.endpoint` of `performance_logger.json` is the path of its metrics."""
    (tmp_path / "performance_logger.json").write_text('{"prometheus": {"endpoint": "/prom"}}')
    sources = DataSources(redis, performance, health, config=tmp_path)
    client = create_dashboard_app(SETTINGS, sources, LINKS, lambda: NOON).test_client()
    paths = {
        group["labels"]["part"]: group["labels"].get("__metrics_path__")
        for group in get_json(client, TARGETS)
    }
    assert paths == {"evaluator": None, "ingestion": "/prom", "recorder": None}


def test_without_redis_the_answer_is_an_error(client_without_redis: FlaskClient) -> None:
    """Prometheus then keeps the targets that it has."""
    assert client_without_redis.get(TARGETS).status_code == 503

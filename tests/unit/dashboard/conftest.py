"""A dashboard on a real Valkey and real SQLite, asked through Flask's test client, at a fixed moment."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis
from selenium.webdriver import Chrome

from services.dashboard.app import make_app
from services.dashboard.config import DashboardSettings
from services.dashboard.sources import Sources
from shared.runtime.links import Links
from shared.runtime.parts import EXPECTED, Part
from shared.runtime.redis import connect
from shared.schema.streams import PARTS
from shared.store.database import Database
from tests.support import free_port
from tests.unit.dashboard.browsing import chromium
from tests.unit.dashboard.cases import NOON

SETTINGS = DashboardSettings(dashboard_url="https://botwatch.example", websocket_port=18080)
LINKS = Links(b"a secret of the tests", SETTINGS.dashboard_url)


@pytest.fixture
def client(redis: Redis, performance: Database, health: Database) -> FlaskClient:
    """Return a client of a dashboard that has everything it needs, and whose fellow parts all run."""
    for name in EXPECTED:
        part = Part(part=name, host="box", pid=7, started_at=NOON, seen_at=NOON)
        redis.hset(PARTS, name, msgspec.json.encode(part))
    return make_app(SETTINGS, Sources(redis, performance, health), LINKS, lambda: NOON).test_client()


@pytest.fixture
def client_without_redis(performance: Database, health: Database) -> Iterator[FlaskClient]:
    """Yield a client of a dashboard whose Redis is away."""
    away = connect(f"redis://127.0.0.1:{free_port()}/0", call_timeout_s=0.2, retries=0)
    yield make_app(SETTINGS, Sources(away, performance, health), LINKS, lambda: NOON).test_client()
    away.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """Yield a Chromium with a profile of its own."""
    with chromium(tmp_path / "profile") as driver:
        yield driver

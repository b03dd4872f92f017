"""A dashboard on a real Valkey and real SQLite, asked through Flask's test client, at a fixed moment."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.routing import Rule
from werkzeug.routing.rules import RulePart

from services.dashboard.app import create_dashboard_app
from services.dashboard.config import DashboardSettings
from services.dashboard.data_sources import DataSources
from shared.runtime.audit_key import audit_key
from shared.runtime.redis.connection import connect_redis
from shared.runtime.redis.presence import EXPECTED_PARTS, PartPresence
from shared.runtime.signed_links import SignedLinks
from shared.schema.redis_keys import PARTS
from shared.store.audit import AuditKeyFile
from shared.store.database import Database
from tests.support import free_port
from tests.unit.dashboard.sample_data import NOON

SETTINGS = DashboardSettings(dashboard_url="https://botwatch.example", websocket_port=18080)
LINKS = SignedLinks(b"a secret of the tests", SETTINGS.dashboard_url)


@pytest.fixture(autouse=True, scope="session")
def shared_routes() -> Iterator[None]:
    """Let the routes of all apps share what their paths were parsed to, and compile URL builders when called.

    Nearly each test has an app of its own, with 100 routes, and builds few URLs: to parse and compile all
    takes 50 ms. werkzeug has no option for this.
    """
    compile_builder, parse = Rule._compile_builder, Rule._parse_rule  # noqa: SLF001
    parsed: dict[str, tuple[tuple[RulePart, ...], list[Any], dict[str, Any], set[str]]] = {}

    def build_later(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        builder = cache(lambda: compile_builder(rule, append_unknown))

        def build(rule: Rule, **values: object) -> tuple[str, str]:
            return builder()(rule, **values)

        return build

    def parse_once(rule: Rule, path: str) -> tuple[RulePart, ...]:
        if path not in parsed:
            first, arguments = len(rule._trace), set(rule.arguments)  # noqa: SLF001
            parts = tuple(parse(rule, path))
            converters = dict(rule._converters)  # noqa: SLF001
            parsed[path] = parts, rule._trace[first:], converters, rule.arguments - arguments  # noqa: SLF001
            return parts
        parts, trace, converters, arguments = parsed[path]
        rule._trace += trace  # noqa: SLF001
        rule._converters |= converters  # noqa: SLF001
        rule.arguments |= arguments
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "_compile_builder", build_later)
        patch.setattr(Rule, "_parse_rule", parse_once)
        yield


@pytest.fixture(autouse=True)
def audit_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditKeyFile:
    """Give each dashboard an audit key of its own; return where it is."""
    file = audit_key(tmp_path, {})
    monkeypatch.setattr("services.dashboard.app.audit_key", lambda _home: file)
    return file


@pytest.fixture(autouse=True)
def hash_cheaply(cheap_hashes: None) -> None:
    """Hash passwords with little work: each test that signs in adds users."""


@pytest.fixture
def client(redis: Redis, performance: Database, health: Database) -> FlaskClient:
    """Return a client of a dashboard that has everything it needs, and whose fellow parts all run."""
    for name in EXPECTED_PARTS:
        part = PartPresence(part=name, host="box", pid=7, started_at=NOON, seen_at=NOON)
        redis.hset(PARTS, name, msgspec.json.encode(part))
    return create_dashboard_app(
        SETTINGS, DataSources(redis, performance, health), LINKS, lambda: NOON
    ).test_client()


@pytest.fixture
def client_without_redis(performance: Database, health: Database) -> Iterator[FlaskClient]:
    """Yield a client of a dashboard whose Redis is away."""
    away = connect_redis(f"redis://127.0.0.1:{free_port()}/0", call_timeout_s=0.2, retries=0)
    yield create_dashboard_app(
        SETTINGS, DataSources(away, performance, health), LINKS, lambda: NOON
    ).test_client()
    away.close()

"""The route in the event loop: it takes the usual requests, and answers them as the routes of Flask do."""

import asyncio
import gzip
import json
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import Flask
from prometheus_client import REGISTRY
from redis import Redis
from sqlalchemy.engine import make_url

from services.ingestion.config import IngestionSettings
from services.ingestion.http_endpoint import create_ingestion_app
from services.ingestion.percent_conversion import ToPercent, keep_percent, percent_converter
from services.ingestion.records_route import MAX_BODY_BYTES
from shared.access.tokens import TokenRequest, create_token
from shared.runtime import clock
from shared.runtime.config.documents import AnalyticsSection
from shared.runtime.redis import record_log as log_module
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogReader
from shared.runtime.web.asgi import AsgiResponse, FastRoute
from shared.schema.records import AnyRecord
from shared.store.database import Database
from tests.slow_redis import APPEND_ONLY, slow_valkey, wait_for_sync
from tests.support import free_port, valkey, wait_until

EQUITY = {"kind": "equity", "bot": "a", "equity": 100.0}
JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
FUTURE = (clock.now() + timedelta(days=1)).isoformat()
OLD = "3f5a9c0d7e1b2468"


def make_app(url: str, to_percent: ToPercent = keep_percent, **settings: Any) -> Flask:
    """Return the endpoint."""
    given = IngestionSettings(redis_url=url, **settings)
    return create_ingestion_app(given, port=9090, metrics_path="/metrics", to_percent=to_percent)


def ask(
    app: Flask, body: bytes, headers: Mapping[str, str], path: str = "/api/v1/records", **scope: Any
) -> AsgiResponse | None:
    """Pass a request to the route, as the bridge does."""
    encoded = [(name.encode(), value.encode()) for name, value in {"host": "localhost", **headers}.items()]
    asked = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": encoded, **scope}
    route = app.extensions["botwatch"].fast_route

    async def run() -> AsgiResponse | None:
        answer: AsgiResponse | None = await route(asked, body)
        return answer

    return asyncio.run(run())


def logged(redis: Redis) -> list[AnyRecord]:
    """Return the records in the log."""
    found = LogReader(RecordLog(redis), "test", batch=1000).read(block_ms=1)
    return [record for entry in found for record in entry.records]


TAKEN: dict[str, tuple[object, Mapping[str, str], str]] = {
    "one": (EQUITY, JSON, "records"),
    "several": ([EQUITY, {"kind": "heartbeat", "bot": "b"}], JSON, "records"),
    "of a kind": ({"bot": "a", "equity": 1}, JSON, "equity"),
    "lines": (b'{"kind":"equity","bot":"a","equity":1}\n{"kind":"heartbeat","bot":"a"}\n', LINES, "records"),
    "charset": (EQUITY, {"content-type": "application/json; charset=utf-8"}, "records"),
    "byte order mark": (b"\xef\xbb\xbf" + json.dumps(EQUITY).encode(), JSON, "records"),
}
LEFT: dict[str, tuple[object, Mapping[str, str], str]] = {
    "nothing": (b"", JSON, "records"),
    "empty list": ([], JSON, "records"),
    "a fault": ([EQUITY, {"kind": "equity"}], JSON, "records"),
    "not JSON": (b"{", JSON, "records"),
    "other kind": (EQUITY, JSON, "fill"),
    "unknown kind": (EQUITY, JSON, "nothing"),
    "of the future": ({**EQUITY, "timestamp": FUTURE}, JSON, "records"),
    "computed": (
        {"kind": "performance", "bot": "a", "portfolioValue": 1, "source": "computed"},
        JSON,
        "records",
    ),
    "gzip": (gzip.compress(json.dumps(EQUITY).encode()), {**JSON, "content-encoding": "gzip"}, "records"),
    "text": (EQUITY, {"content-type": "text/plain"}, "records"),
    "no type": (EQUITY, {}, "records"),
    "another host": (EQUITY, {**JSON, "host": "evil.example"}, "records"),
    "a page": (EQUITY, {**JSON, "origin": "https://evil.example"}, "records"),
    "a proxy": (EQUITY, {**JSON, "x-forwarded-host": "evil.example"}, "records"),
    "a page's form": (EQUITY, {**JSON, "sec-fetch-site": "cross-site"}, "records"),
    "large": ([EQUITY] * (MAX_BODY_BYTES // 40), JSON, "records"),
}


def encoded(body: object) -> bytes:
    """Return a body in JSON, or as it is."""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.mark.parametrize("name", TAKEN)
def test_a_usual_request_is_taken_and_answered_as_by_flask(redis: Redis, valkey_url: str, name: str) -> None:
    """Status, content type and body are equal but for the ID of the entry; so are the records in the log."""
    body, headers, kind = TAKEN[name]
    app = make_app(valkey_url)
    answer = ask(app, encoded(body), headers, f"/api/v1/{kind}")
    assert answer is not None
    first = logged(redis)
    expected = app.test_client().post(f"/api/v1/{kind}", data=encoded(body), headers=dict(headers))
    assert answer.status == expected.status_code == HTTPStatus.ACCEPTED
    assert dict(answer.headers)[b"content-type"].decode() == expected.headers["Content-Type"]
    assert int(dict(answer.headers)[b"content-length"]) == len(answer.body)
    assert expected.json
    assert json.loads(answer.body).keys() == expected.json.keys()
    assert json.loads(answer.body)["accepted"] == expected.json["accepted"] == len(first)
    again = logged(redis)
    for record in (*first, *again):
        record.timestamp = None
    assert first == again


@pytest.mark.parametrize("name", LEFT)
def test_any_other_request_is_left_to_flask(redis: Redis, valkey_url: str, name: str) -> None:
    """Nothing of it is in the log, and it is not counted."""
    body, headers, kind = LEFT[name]
    assert ask(make_app(valkey_url), encoded(body), headers, f"/api/v1/{kind}") is None
    assert logged(redis) == []
    assert not redis.exists("botwatch:counters")


@pytest.mark.parametrize("scope", [{"method": "PUT"}, {"query_string": b"partial=true"}, {"path": "/health"}])
def test_other_methods_and_options_are_left_to_flask(valkey_url: str, scope: dict[str, Any]) -> None:
    """The route knows one method and no options."""
    assert ask(make_app(valkey_url), encoded(EQUITY), JSON, **{"path": "/api/v1/records", **scope}) is None


def test_a_request_is_counted(redis: Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the metrics of requests and of records, as one that Flask took; also while the log is full."""
    assert redis.ping()

    def counted(status: int) -> float:
        labels = {"part": "ingestion", "path": "/api/v1/records", "status": str(status)}
        return REGISTRY.get_sample_value("botwatch_http_requests_total", labels) or 0.0

    accepted, full = counted(202), counted(503)
    app = make_app(valkey_url)
    ask(app, encoded(EQUITY), JSON)
    text = app.test_client().get("/metrics").text
    assert 'botwatch_records_accepted_total{door="http",kind="equity"} 1.0' in text
    monkeypatch.setattr(log_module, "MAX_ENTRIES", 0)
    ask(app, encoded(EQUITY), JSON)
    assert (counted(202) - accepted, counted(503) - full) == (1, 1)


def test_a_header_that_is_there_twice_is_left_to_flask(valkey_url: str) -> None:
    """Of which the last would be read here, and the first there."""
    app = make_app(valkey_url)
    route = app.extensions["botwatch"].fast_route
    headers = [(b"content-type", b"application/json"), (b"host", b"localhost"), (b"host", b"evil.example")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/records",
        "query_string": b"",
        "headers": headers,
    }
    assert asyncio.run(_call(route, scope)) is None


async def _call(route: FastRoute, scope: Any) -> AsgiResponse | None:
    return await route(scope, encoded(EQUITY))


def test_fractions_become_percent(redis: Redis, valkey_url: str) -> None:
    """Of bots that report fractions."""
    section = msgspec.convert({"bots": {"a": {"unit": "fraction"}}}, AnalyticsSection)
    app = make_app(valkey_url, percent_converter(section))
    ask(app, encoded({"kind": "performance", "bot": "a", "portfolioValue": 1, "maxDrawdown": 0.085}), JSON)
    [record] = logged(redis)
    assert getattr(record, "max_drawdown", None) == pytest.approx(8.5)


def test_a_bot_too_many_is_left_to_flask(redis: Redis, valkey_url: str) -> None:
    """Which answers with the fault."""
    app = make_app(valkey_url, max_bots=1)
    assert ask(app, encoded(EQUITY), JSON)
    assert ask(app, encoded({**EQUITY, "bot": "b"}), JSON) is None
    assert len(logged(redis)) == 1


def test_a_full_log_and_a_redis_that_is_down_are_answered(
    redis: Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 503 and Retry-After, and after one attempt."""
    assert redis.ping()
    monkeypatch.setattr(log_module, "MAX_ENTRIES", 0)
    for url, wait in ((valkey_url, b"5"), (f"redis://127.0.0.1:{free_port()}/0", b"1")):
        answer = ask(make_app(url), encoded(EQUITY), JSON)
        assert answer
        assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
        assert dict(answer.headers)[b"Retry-After"] == wait


def test_tokens_decide_what_is_taken(redis: Redis, valkey_url: str, health: Database, tmp_path: Path) -> None:
    """A valid token with its bots is taken; any other is left to Flask, which refuses it."""
    document = f'{{"database": {{"path": "{make_url(health.url).database}"}}}}'
    (tmp_path / "health_monitor.json").write_text(document)
    with health.write() as connection:
        wanted = TokenRequest(name="desk", scopes=["ingest"], bots=["a"])
        token = create_token(connection, wanted, "test", clock.now()).secret
        reader = create_token(connection, TokenRequest(name="r", scopes=["read"]), "test", clock.now()).secret
    app = make_app(
        valkey_url, access="required", internal_tokens=f"{'00' * 32} prometheus read",
        botwatch_config=tmp_path, ingest_tokens=f"{OLD}=a",
    )  # fmt: skip
    app.extensions["botwatch"].access.authenticator.refresh()

    def is_taken(secret: str, bot: str = "a") -> bool:
        sent = {"authorization": f"Bearer {secret}"} if secret else {}
        return ask(app, encoded({**EQUITY, "bot": bot}), {**JSON, **sent}) is not None

    assert [is_taken(token), is_taken(OLD), is_taken(token, "b")] == [True, True, False]
    assert [is_taken(""), is_taken("wrong"), is_taken(reader)] == [False, False, False]
    assert len(logged(redis)) == 2


@pytest.mark.parametrize("way", ["event loop", "thread"])
def test_what_is_answered_while_the_disk_is_slow_survives_a_kill_of_redis(tmp_path: Path, way: str) -> None:
    """202 means that Redis has written the records to its file."""
    body = json.dumps(EQUITY).encode()
    with slow_valkey(tmp_path) as (url, process), Redis.from_url(url) as redis:
        app = make_app(url)
        wait_for_sync(redis, lambda: redis.incr("other"))
        if way == "event loop":
            answer = ask(app, body, JSON)
            status = answer and answer.status
        else:
            status = app.test_client().post("/api/v1/records", data=body, headers=JSON).status_code
        assert status == HTTPStatus.ACCEPTED
        process.kill()
    with valkey(tmp_path, None, *APPEND_ONLY) as url, Redis.from_url(url) as back:
        wait_until(lambda: back.info()["loading"] == 0, "it has loaded its file")
        assert len(logged(back)) == 1

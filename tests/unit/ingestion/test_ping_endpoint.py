"""Ping endpoint: responses, queued pings, limits."""

from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import cast

import msgspec
import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.ingestion import ping_endpoint as module
from services.ingestion.config import IngestionSettings
from services.ingestion.heartbeats import Ping
from services.ingestion.http_endpoint import create_ingestion_app
from services.ingestion.ping_endpoint import MAX_BODY_BYTES, RATE_LIMIT, parse_action
from shared.runtime.redis.record_log import StreamEntry
from shared.schema.redis_keys import PINGS
from tests.slow_redis import APPEND_ONLY, slow_valkey, wait_for_sync
from tests.support import free_port, valkey, wait_until
from tests.unit.ingestion.http_requests import KEY, status

NAMES = {KEY: "backup", "another-key": "mail"}
TOKEN = "3f5a9c0d7e1b2468"


def client_for(url: str) -> FlaskClient:
    settings = IngestionSettings(redis_url=url, ingest_token=TOKEN, max_body_bytes=200_000)
    return create_ingestion_app(settings, 9090, "/metrics", heartbeats=NAMES).test_client()


@pytest.fixture
def client(redis: Redis, valkey_url: str) -> FlaskClient:
    """Return a client of an endpoint that requires a token."""
    assert redis.ping()
    return client_for(valkey_url)


def taken(redis: Redis) -> list[Ping]:
    entries = cast("list[StreamEntry]", redis.xrange(PINGS))
    return [msgspec.msgpack.decode(fields[b"data"], type=Ping) for _, fields in entries]


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST"])
@pytest.mark.parametrize(
    ("path", "action", "code"),
    [
        ("", "success", None),
        ("/start", "start", None),
        ("/fail", "fail", None),
        ("/log", "log", None),
        ("/0", "success", 0),
        ("/1", "fail", 1),
        ("/255", "fail", 255),
        ("/", "success", None),
        ("/fail/", "fail", None),
    ],
)
def test_a_ping_is_accepted_by_every_method_without_a_token(
    client: FlaskClient, redis: Redis, method: str, path: str, action: str, code: int | None
) -> None:
    answer = client.open(f"/ping/{KEY}{path}", method=method)
    assert (answer.status_code, answer.text) == (HTTPStatus.OK, "" if method == "HEAD" else "OK")
    assert answer.headers["Cache-Control"] == "no-store"
    (ping,) = taken(redis)
    assert (ping.name, ping.action, ping.code) == ("backup", action, code)


def test_every_exit_code_means_something_and_only_0_is_success() -> None:
    assert [parse_action(str(code)) for code in range(256)] == [
        ("success" if code == 0 else "fail", code) for code in range(256)
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/ping/unknown-key", "/ping/another", f"/ping/{KEY}/256", f"/ping/{KEY}/-1", f"/ping/{KEY}/1.0",
        f"/ping/{KEY}/success", f"/ping/{KEY}/START", f"/ping/{KEY}/1/2", f"/ping/{KEY}/%D9%A3", "/ping/",
    ],
)  # fmt: skip
def test_an_unknown_key_or_suffix_is_404(client: FlaskClient, redis: Redis, path: str) -> None:
    answer = client.post(path, data=b"x")
    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert KEY not in answer.text
    assert taken(redis) == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_another_method_is_405(client: FlaskClient, redis: Redis, method: str) -> None:
    assert client.open(f"/ping/{KEY}", method=method).status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert taken(redis) == []


def test_a_run_id_is_kept_and_an_invalid_one_rejected(client: FlaskClient, redis: Redis) -> None:
    assert client.get(f"/ping/{KEY}/start?rid=run-7").status_code == HTTPStatus.OK
    assert [ping.run for ping in taken(redis)] == ["run-7"]
    for strange in ("x" * 65, "a b", "é", "a\n"):
        answer = client.get(f"/ping/{KEY}/start", query_string={"rid": strange})
        assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert len(taken(redis)) == 1


def test_the_end_of_a_long_body_is_kept(client: FlaskClient, redis: Redis) -> None:
    assert client.post(f"/ping/{KEY}/3", data=b"x" * 99_990 + b"\ndisk full").status_code == HTTPStatus.OK
    (ping,) = taken(redis)
    assert len(ping.body) == MAX_BODY_BYTES
    assert ping.body.endswith(b"x\ndisk full")


def test_a_ping_with_a_too_long_body_still_counts(client: FlaskClient, redis: Redis) -> None:
    assert client.post(f"/ping/{KEY}/fail", data=b"x" * 200_001).status_code == HTTPStatus.OK
    (ping,) = taken(redis)
    assert (ping.action, ping.body) == ("fail", b"(body too large)")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_body_of_any_type_is_kept_as_it_is(client: FlaskClient, redis: Redis, content_type: str) -> None:
    client.post(f"/ping/{KEY}", data=b"a=1&b=\xff", content_type=content_type)
    assert [ping.body for ping in taken(redis)] == [b"a=1&b=\xff"]


def test_the_rate_limit_applies_to_each_heartbeat_alone(client: FlaskClient, redis: Redis) -> None:
    statuses = [client.get(f"/ping/{KEY}").status_code for _ in range(RATE_LIMIT + 2)]
    assert statuses == [HTTPStatus.OK] * RATE_LIMIT + [HTTPStatus.TOO_MANY_REQUESTS] * 2
    refused = client.get(f"/ping/{KEY}/fail")
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get("/ping/another-key").status_code == HTTPStatus.OK
    assert len(taken(redis)) == RATE_LIMIT + 1
    redis.delete(f"{PINGS}:rate:backup")  # what its time to live does
    assert client.get(f"/ping/{KEY}").status_code == HTTPStatus.OK


def test_the_rate_limit_ends_after_its_window(client: FlaskClient, redis: Redis) -> None:
    client.get(f"/ping/{KEY}")
    assert 0 < redis.ttl(f"{PINGS}:rate:backup") <= 10


def test_an_invalid_rate_counter_is_reset(client: FlaskClient, redis: Redis) -> None:
    for value in ("x", "9223372036854775807"):
        redis.set(f"{PINGS}:rate:backup", value)
        assert client.get(f"/ping/{KEY}").status_code == HTTPStatus.OK
    redis.delete(f"{PINGS}:rate:backup")
    redis.rpush(f"{PINGS}:rate:backup", "x")
    assert client.get(f"/ping/{KEY}").status_code == HTTPStatus.OK


def test_pings_are_rejected_when_the_queue_is_full(
    client: FlaskClient, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 2)
    assert [client.get(f"/ping/{KEY}").status_code for _ in range(3)] == [200, 200, 503]
    assert len(taken(redis)) == 2


def test_without_redis_a_ping_is_503_so_that_curl_tries_again() -> None:
    answer = client_for(f"redis://127.0.0.1:{free_port()}/0").get(f"/ping/{KEY}")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Retry-After" in answer.headers


def test_the_key_is_nowhere_in_redis_nor_in_the_metrics(client: FlaskClient, redis: Redis) -> None:
    client.post(f"/ping/{KEY}/start", data=b"hello")
    assert KEY not in client.get("/metrics").text
    found = [*redis.scan_iter()]
    assert found
    for key in found:
        assert KEY.encode() not in key
        assert KEY.encode() not in (redis.dump(key) or b"")


def test_concurrent_pings_are_each_accepted_once(served: int, redis: Redis) -> None:
    with ThreadPoolExecutor(8) as pool:
        paths = [f"/ping/{KEY}/{code}" for code in range(40)]
        assert [*pool.map(lambda path: status(served, "POST", path, b"x"), paths)] == [200] * 40
    assert sorted(ping.code or 0 for ping in taken(redis)) == [*range(40)]


@pytest.mark.slow
def test_a_real_server_accepts_chunked_and_too_long_bodies(served: int, redis: Redis) -> None:
    assert status(served, "POST", f"/ping/{KEY}/1", iter([b"one\n", b"two\n"])) == 200
    assert status(served, "POST", f"/ping/{KEY}/1", b"x" * 3_000_000) == 200
    assert status(served, "HEAD", f"/ping/{KEY}") == 200
    assert [ping.body for ping in taken(redis)] == [b"one\ntwo\n", b"(body too large)", b""]


def test_a_ping_that_was_answered_while_the_disk_is_slow_survives_a_kill_of_redis(tmp_path: Path) -> None:
    """Otherwise the heartbeat would be late although the job has pinged."""
    with slow_valkey(tmp_path) as (url, process), Redis.from_url(url) as redis:
        client = client_for(url)
        wait_for_sync(redis, lambda: redis.incr("other"))
        assert client.get(f"/ping/{KEY}").status_code == HTTPStatus.OK
        process.kill()
    with valkey(tmp_path, None, *APPEND_ONLY) as url, Redis.from_url(url) as back:
        wait_until(lambda: back.info()["loading"] == 0, "it has loaded its file")
        assert [ping.name for ping in taken(back)] == ["backup"]

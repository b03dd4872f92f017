"""HTTP endpoint: statuses, faults, the log, and metrics."""

import gzip
import json
import socket
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis

from services.ingestion import http_endpoint as http_module
from services.ingestion.config import IngestionSettings
from services.ingestion.http_endpoint import create_ingestion_app
from shared.runtime import clock
from shared.runtime.redis import record_log as log_module
from shared.runtime.redis.record_log import RecordLog
from shared.runtime.redis.stream_reader import LogReader
from shared.schema.decoding import decode
from shared.schema.records import Equity
from tests.support import free_port
from tests.unit.ingestion.http_requests import status

pytestmark = pytest.mark.slow  # starts processes

EQUITY = {"kind": "equity", "bot": "a", "equity": 100}


@pytest.fixture
def client(redis: Redis, valkey_url: str) -> FlaskClient:
    assert redis.ping()
    settings = IngestionSettings(redis_url=valkey_url, max_body_bytes=10_000)
    return create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client()


def logged(redis: Redis) -> list[Any]:
    reader = LogReader(RecordLog(redis), "test", batch=100)
    return [record for entry in reader.read(block_ms=1) for record in entry.records]


def test_one_record_is_accepted_and_in_the_log(client: FlaskClient, redis: Redis) -> None:
    answer = client.post("/api/v1/records", json=EQUITY)
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert answer.json is not None
    assert answer.json["accepted"] == 1
    (record,) = logged(redis)
    assert (record.bot, record.equity) == ("a", 100.0)
    assert record.timestamp is not None


def test_a_future_timestamp_is_replaced_and_the_sender_warned(client: FlaskClient, redis: Redis) -> None:
    future = (clock.now() + timedelta(days=3)).isoformat()
    answer = client.post("/api/v1/records", json=[EQUITY, EQUITY | {"timestamp": future}]).json
    assert answer is not None
    assert answer["accepted"] == 2
    (warning,) = answer["warnings"]
    assert warning["path"] == "$[1].timestamp"
    assert "3 d in the future; arrival time used" in warning["message"]
    _, record, event = logged(redis)
    assert record.at <= clock.now()
    assert (event.kind, event.bot, event.title) == ("event", "a", "Timestamps in the future")
    assert 'botwatch_records_clamped_total{door="http"} 1.0' in client.get("/metrics").text


def test_clocks_may_differ_by_seconds(client: FlaskClient, redis: Redis) -> None:
    ahead = (clock.now() + timedelta(seconds=3)).replace(microsecond=0)
    answer = client.post("/api/v1/records", json=EQUITY | {"timestamp": ahead.isoformat()}).json
    assert answer is not None
    assert "warnings" not in answer
    assert [record.at for record in logged(redis)] == [ahead]


@pytest.mark.parametrize("kind", ["equity", "performance", "heartbeat"])
def test_every_kind_has_a_path_that_implies_the_kind(client: FlaskClient, kind: str) -> None:
    body = {"bot": "a", **({"equity": 1} if kind == "equity" else {})}
    body |= {"portfolioValue": 1} if kind == "performance" else {}
    assert client.post(f"/api/v1/{kind}", json=body).status_code == HTTPStatus.ACCEPTED


def test_an_array_with_a_fault_is_rejected_as_a_whole(client: FlaskClient, redis: Redis) -> None:
    answer = client.post("/api/v1/records", json=[EQUITY, {"kind": "equity", "bot": ""}, {"kind": "x"}])
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert answer.json is not None
    assert {fault["path"] for fault in answer.json["faults"]} == {"$[1].bot", "$[1].equity", "$[2].kind"}
    assert logged(redis) == []


def test_partial_takes_the_valid_ones_and_still_lists_the_faults(client: FlaskClient, redis: Redis) -> None:
    answer = client.post("/api/v1/records?partial=true", json=[EQUITY, {"kind": "equity"}])
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert answer.json is not None
    assert (answer.json["accepted"], answer.json["refused"]) == (1, 1)
    assert len(logged(redis)) == 1


def test_gzipped_ndjson_is_taken(client: FlaskClient, redis: Redis) -> None:
    lines = "\n".join(json.dumps({**EQUITY, "equity": value}) for value in range(3))
    answer = client.post(
        "/api/v1/records",
        data=gzip.compress(lines.encode()),
        headers={"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert [record.equity for record in logged(redis)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"data": "x" * 10_001, "content_type": "application/json"}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        ({"data": "{}", "content_type": "text/plain"}, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        ({"data": "", "content_type": "application/json"}, HTTPStatus.BAD_REQUEST),
        ({"json": [], "query_string": "partial=perhaps"}, HTTPStatus.BAD_REQUEST),
    ],
    ids=["too large", "not json", "empty", "bad option"],
)
def test_a_bad_request_is_refused_in_json(
    client: FlaskClient, request_: dict[str, Any], status: HTTPStatus
) -> None:
    answer = client.post("/api/v1/records", **request_)
    assert answer.status_code == status
    assert answer.json is not None
    assert answer.get_json()["error"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/v1/record", "no such path; did you mean `/api/v1/records`?"),
        ("/nowhere", "no such path; GET /api/openapi.json lists those that exist"),
        (
            "/api/monitoring/alerts",
            "no such path here: the API is at the dashboard, by default at port 3001 (DASHBOARD_PORT)",
        ),
    ],
)
def test_an_unknown_path_is_404_with_the_right_one(client: FlaskClient, path: str, text: str) -> None:
    """Another path of this part, or the part that has it: ports are easily mistaken."""
    answer = client.post(path, json=EQUITY)
    assert (answer.status_code, answer.get_json()["error"]) == (404, text)


def test_another_method_is_405_with_the_right_one(client: FlaskClient) -> None:
    answer = client.get("/api/v1/records")
    assert (answer.status_code, answer.get_json()["error"]) == (405, "expected OPTIONS or POST, got GET")


def test_a_full_log_is_503_with_retry_after(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "MAX_ENTRIES", 0)
    answer = client.post("/api/v1/records", json=EQUITY)
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert int(answer.headers["Retry-After"]) > 0


def test_without_redis_records_are_503_and_health_says_why() -> None:
    settings = IngestionSettings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    client = create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client()
    refused = client.post("/api/v1/records", json=EQUITY)
    assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Retry-After" in refused.headers
    health = client.get("/health")
    assert health.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert health.json is not None
    assert health.json["checks"]["redis"]["status"] == "failing"


def test_health_names_every_dependency_with_its_latency(client: FlaskClient) -> None:
    health = client.get("/health")
    assert health.status_code == HTTPStatus.OK
    assert health.json is not None
    assert set(health.json["checks"]) == {"redis", "log"}
    assert all(check["latencyMs"] >= 0 for check in health.json["checks"].values())


def test_metrics_show_the_latest_figures_in_base_units(client: FlaskClient, redis: Redis) -> None:
    body = {"bot": "a", "portfolioValue": 12500, "maxDrawdown": 8.5, "orderLatencyMs": 38.5}
    client.post("/api/v1/performance", json=body)
    text = client.get("/metrics").text
    assert 'botwatch_bot_max_drawdown_ratio{bot="a",source="reported"} 0.085' in text
    assert 'botwatch_bot_order_latency_seconds{bot="a",source="reported"} 0.0385' in text
    assert 'botwatch_records_accepted_total{door="http",kind="performance"} 1.0' in text
    assert "botwatch_bot_sharpe_ratio{" not in text
    assert redis.ping()


def test_a_bots_name_cannot_break_the_metrics_text(client: FlaskClient) -> None:
    client.post("/api/v1/equity", json={"bot": 'a"} 1\\', "equity": 1})
    assert 'botwatch_bot_equity{bot="a\\"} 1\\\\"} 1' in client.get("/metrics").text


def test_records_of_the_wire_and_of_the_log_are_the_same(client: FlaskClient, redis: Redis) -> None:
    client.post("/api/v1/records", json={**EQUITY, "timestamp": "2026-01-31T12:00:00Z", "labels": {"v": "x"}})
    (record,) = logged(redis)
    assert isinstance(record, Equity)
    assert record.labels == {"v": "x"}


def test_a_redis_that_may_evict_the_log_is_unhealthy(client: FlaskClient, redis: Redis) -> None:
    assert client.get("/health").status_code == HTTPStatus.OK
    redis.config_set("maxmemory", "1gb")
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        answer = client.get("/health")
    finally:
        redis.config_set("maxmemory", "0")
        redis.config_set("maxmemory-policy", "noeviction")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "noeviction" in answer.text


def test_health_and_metrics_do_not_hang_with_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """They respond although Redis never does; else this test would hang too."""
    monkeypatch.setattr(http_module, "REDIS_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # takes connections and never answers
        settings = IngestionSettings(redis_url=f"redis://127.0.0.1:{hanging.getsockname()[1]}/0")
        client = create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client()
        assert client.get("/health").status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert client.get("/metrics").status_code == HTTPStatus.OK


def test_metrics_omit_the_log_while_redis_is_down() -> None:
    # Prometheus's rule BotwatchRedisAway: the door is up, `botwatch_log_entries` is absent.
    settings = IngestionSettings(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    answer = create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client().get("/metrics")
    assert answer.status_code == HTTPStatus.OK
    assert "botwatch_log_entries" not in answer.text


TOKEN = "3f5a9c0d7e1b2468"


@pytest.fixture
def client_with_token(redis: Redis, valkey_url: str) -> FlaskClient:
    assert redis.ping()
    settings = IngestionSettings(redis_url=valkey_url, ingest_token=TOKEN)
    return create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client()


@pytest.mark.parametrize("path", ["/api/v1/records", "/api/v1/equity"])
@pytest.mark.parametrize(
    "given", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}]
)
def test_a_missing_or_wrong_token_is_rejected(
    client_with_token: FlaskClient, redis: Redis, path: str, given: dict[str, str]
) -> None:
    answer = client_with_token.post(path, json=EQUITY, headers=given)
    assert answer.status_code == HTTPStatus.UNAUTHORIZED
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN not in answer.text
    assert logged(redis) == []


def test_a_valid_token_is_accepted(client_with_token: FlaskClient, redis: Redis) -> None:
    answer = client_with_token.post(
        "/api/v1/records", json=EQUITY, headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert len(logged(redis)) == 1


HOST = {"kind": "health", "host": "box", "cpuUsage": 1.0}
COMPUTED = {"kind": "performance", "bot": "a", "source": "computed", "maxDrawdown": 0}


@pytest.mark.parametrize(
    ("record", "path"),
    [
        (COMPUTED, "$.source"),
        (HOST, "$.kind"),
        ({"kind": "check", "host": "box", "check": "x", "type": "port", "status": "ok"}, "$.kind"),
    ],
)
def test_reserved_records(client: FlaskClient, redis: Redis, record: dict[str, Any], path: str) -> None:
    """What only Botwatch's own parts know is refused from bots with 403 and the path of the fault."""
    answer = client.post(f"/api/v1/{record['kind']}", json=record)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert answer.json is not None
    assert [fault["path"] for fault in answer.json["faults"]] == [path]
    lines = "\n".join(map(json.dumps, [record, {"kind": "equity"}, EQUITY]))
    answer = client.post("/api/v1/records?partial=1", data=lines, content_type="application/x-ndjson")
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert answer.json is not None
    paths = {fault["path"] for fault in answer.json["faults"]}
    assert paths == {"$[1].bot", "$[1].equity", path.replace("$", "$[0]")}
    assert [one.kind for one in logged(redis)] == ["equity"]


def test_tokens_of_bots_and_collectors(redis: Redis, valkey_url: str) -> None:
    """A bot's token writes that bot only, a collector's hosts only."""
    collector = TOKEN[::-1]
    settings = IngestionSettings(redis_url=valkey_url, ingest_tokens=f"{TOKEN}=a", collector_token=collector)
    client = create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client()

    def post(token: str, *records: object) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.post("/api/v1/records", json=records, headers=headers)
        return answer.status_code, answer.json

    status, answer = post(TOKEN, EQUITY, EQUITY | {"bot": "b"})
    assert status == HTTPStatus.FORBIDDEN
    assert answer["faults"] == [
        {"path": "$[1].bot", "message": "token is not allowed to write records of 'b'; see INGEST_TOKENS"}
    ]
    assert post(TOKEN, EQUITY)[0] == HTTPStatus.ACCEPTED
    assert post(TOKEN, HOST)[0] == HTTPStatus.FORBIDDEN
    assert post(collector, HOST)[0] == HTTPStatus.ACCEPTED
    assert post(collector, EQUITY)[0] == HTTPStatus.FORBIDDEN
    assert post("x" * 16, EQUITY)[0] == HTTPStatus.UNAUTHORIZED
    assert [record.kind for record in logged(redis)] == ["equity", "health"]


@pytest.mark.parametrize("path", ["/health", "/metrics"])
def test_health_and_metrics_need_no_token(client_with_token: FlaskClient, path: str) -> None:
    assert client_with_token.get(path).status_code == HTTPStatus.OK


LINE = json.dumps(EQUITY).encode() + b"\n"


def test_a_rejected_body_gets_its_size_and_the_limit(client: FlaskClient) -> None:
    answer = client.post("/api/v1/records", data="x" * 10_001, content_type="application/json")
    error = json.loads(answer.data)["error"]
    assert error == "request body is 10001 bytes (limit 10000); send smaller batches"


def test_a_body_past_the_limit_is_rejected_however_it_is_sent(served: int, redis: Redis) -> None:
    body = LINE * (2 * 2**20 // len(LINE) + 1)
    chunks = [body[:1_000_000], body[1_000_000:]]
    headers = {"Content-Type": "application/x-ndjson"}
    assert status(served, "POST", "/api/v1/records", body, headers) == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert status(served, "POST", "/api/v1/records", iter(chunks), headers) == 413
    packed = gzip.compress(LINE * 10) + b"x" * 3_000_000
    assert (
        status(served, "POST", "/api/v1/records", iter([packed]), headers | {"Content-Encoding": "gzip"})
        == 413
    )
    assert logged(redis) == []
    assert status(served, "POST", "/api/v1/records", iter([LINE * 10]), headers) == HTTPStatus.ACCEPTED
    assert len(logged(redis)) == 10


def test_limit_of_bots(redis: Redis, valkey_url: str) -> None:
    """New names past MAX_BOTS are refused with the limit and the setting; `partial` takes the others."""
    assert redis.ping()
    settings = IngestionSettings(redis_url=valkey_url, max_bots=2)
    workers = [
        create_ingestion_app(settings, port=9090, metrics_path="/metrics").test_client() for _ in range(2)
    ]
    assert workers[0].post("/api/v1/records", json=[EQUITY, EQUITY | {"bot": "b"}]).status_code == 202
    invented = [EQUITY, *(EQUITY | {"bot": f"invented-{n}"} for n in range(3))]
    answer = workers[1].post("/api/v1/records", json=invented)
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert answer.json is not None
    assert (answer.json["accepted"], answer.json["refused"]) == (0, 3)
    assert answer.json["faults"][0] == {
        "path": "$[1].bot",
        "message": "bot 'invented-0' is new, and the limit of 2 bots (MAX_BOTS) is reached: "
        "forget an unused bot or raise MAX_BOTS",
    }
    answer = workers[0].post("/api/v1/records?partial=true", json=invented)
    assert answer.status_code == HTTPStatus.ACCEPTED
    assert answer.json is not None
    assert (answer.json["accepted"], answer.json["refused"]) == (1, 3)
    assert [record.bot for record in logged(redis)] == ["a", "b", "a"]
    text = workers[0].get("/metrics").text
    assert "botwatch_bots 2.0" in text
    assert "botwatch_records_refused_bots_total 6.0" in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://evil.example//localhost"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "ingestion:9090"}, 202),
    ],
)
def test_only_allowed_hosts_and_origins_post_records(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    assert client.post("/api/v1/records", json=EQUITY, headers=headers).status_code == status


def test_a_byte_order_mark_before_json_is_accepted(client: FlaskClient) -> None:
    for content_type in ("application/json", "application/x-ndjson"):
        sent = b"\xef\xbb\xbf" + json.dumps(EQUITY).encode()
        assert client.post("/api/v1/records", data=sent, content_type=content_type).status_code == 202


def test_a_body_with_too_many_bad_records_lists_no_faults() -> None:
    decoded = decode(b"[" + b"0," * 200_000 + b"0]", arrival=clock.now())
    assert (decoded.records, decoded.refused, len(decoded.faults)) == ([], 200_001, 1)
    decoded = decode(b"0\n" * 200_000, arrival=clock.now(), lines=True)
    assert (decoded.records, decoded.refused, len(decoded.faults)) == ([], 200_000, 1)

"""Ingestion where access is required: API tokens, and the older tokens of the environment beside them."""

from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.engine import make_url

from services.ingestion.config import IngestionSettings
from services.ingestion.http_endpoint import create_ingestion_app
from shared.access.tokens import TokenRequest, create_token
from shared.store.database import Database

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OLD = "3f5a9c0d7e1b2468"
KEY = "a-secret-ping-key"


@pytest.fixture
def client(redis: Redis, valkey_url: str, health: Database, tmp_path: Path) -> FlaskClient:
    """Return a client of an endpoint that requires an identity."""
    assert redis.ping()
    document = f'{{"database": {{"path": "{make_url(health.url).database}"}}}}'
    (tmp_path / "health_monitor.json").write_text(document)
    settings = IngestionSettings(
        redis_url=valkey_url,
        access="required",
        internal_tokens=f"{'00' * 32} prometheus read",
        botwatch_config=tmp_path,
        ingest_tokens=f"{OLD}=old-*",
    )
    return create_ingestion_app(settings, 9090, "/metrics", heartbeats={KEY: "backup"}).test_client()


def post(client: FlaskClient, token: str, *records: dict[str, Any]) -> tuple[int, str]:
    response = client.post(
        "/api/v1/records", json=records, headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    return response.status_code, response.text


def create(health: Database, name: str, **given: Any) -> str:
    with health.write() as connection:
        wanted = TokenRequest(name=name, **{"scopes": ["ingest"], **given})
        return create_token(connection, wanted, "test", NOON).secret


def equity(bot: str) -> dict[str, Any]:
    return {"kind": "equity", "bot": bot, "equity": 1.0}


def host(name: str) -> dict[str, Any]:
    return {"kind": "health", "host": name, "cpuUsage": 1.0}


def test_a_token_writes_its_bots_only(client: FlaskClient, health: Database) -> None:
    """Records of another bot are refused with 403 and the path of the fault."""
    token = create(health, "desk", bots=["desk-*"])
    assert post(client, token, equity("desk-1"))[0] == HTTPStatus.ACCEPTED
    status, text = post(client, token, equity("desk-1"), equity("other"))
    assert status == HTTPStatus.FORBIDDEN
    assert "$[1].bot" in text
    assert post(client, token, host("desk-1"))[0] == HTTPStatus.FORBIDDEN


def test_no_record_needs_a_token_too(client: FlaskClient, health: Database) -> None:
    """The Python client posts none to find out whether its token and address are right."""
    assert post(client, create(health, "desk", bots=["desk-*"]))[0] == HTTPStatus.ACCEPTED
    assert [post(client, token)[0] for token in ("", "wrong")] == [HTTPStatus.UNAUTHORIZED] * 2


def test_a_collectors_token_writes_its_hosts_only(client: FlaskClient, health: Database) -> None:
    """A token with `hosts` is for collectors: it writes neither other hosts nor bots."""
    token = create(health, "web", hosts=["web-1"])
    assert post(client, token, host("web-1"))[0] == HTTPStatus.ACCEPTED
    status, text = post(client, token, host("web-2"))
    assert status == HTTPStatus.FORBIDDEN
    assert "token is not allowed to write records of host 'web-2'" in text
    status, text = post(client, token, equity("web-1"))
    assert status == HTTPStatus.FORBIDDEN
    assert "token:web may only write `health` and `check` records" in text


def test_other_requests_are_refused(client: FlaskClient, health: Database) -> None:
    """No token: 401; a token without `ingest`: 403 with its name; /metrics needs `read`."""
    status, text = post(client, "", equity("a"))
    assert status == HTTPStatus.UNAUTHORIZED
    assert "missing token" in text
    assert "INGEST_TOKEN" in text
    reader = create(health, "reader", scopes=["read"])
    client.application.extensions["botwatch"].access.authenticator.refresh()
    status, text = post(client, reader, equity("a"))
    assert status == HTTPStatus.FORBIDDEN
    assert "missing scope ingest: token:reader may not send records" in text
    assert client.get("/metrics").status_code == HTTPStatus.UNAUTHORIZED
    headers = {"Authorization": f"Bearer {reader}"}
    assert client.get("/metrics", headers=headers).status_code == HTTPStatus.OK


def test_older_tokens_and_pings_keep_working(client: FlaskClient) -> None:
    """INGEST_TOKENS are accepted beside API tokens, and a ping's address is secret enough."""
    assert post(client, OLD, equity("old-1"))[0] == HTTPStatus.ACCEPTED
    assert post(client, OLD, equity("new-1"))[0] == HTTPStatus.FORBIDDEN
    assert client.get(f"/ping/{KEY}").status_code == HTTPStatus.OK
    assert client.get("/health").json == {"part": "ingestion", "status": "ok"}
    headers = {"Authorization": f"Bearer {OLD}"}
    assert client.get("/metrics", headers=headers).status_code == HTTPStatus.FORBIDDEN

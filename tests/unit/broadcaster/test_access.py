"""The WebSocket where access is required: who may connect, and who is disconnected."""

import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from shared.access import sessions
from shared.access.identity import ROLES, Identity, Scope
from shared.access.tickets import issue_ticket
from shared.access.tokens import TokenRequest, create_token, revoke_token
from shared.runtime import clock
from shared.store.database import Database, sqlite_url
from shared.store.tables import users
from tests.support import time_until
from tests.unit.broadcaster.conftest import BroadcasterProcess, RestartableValkey

pytestmark = pytest.mark.integration

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Yield the health database of a home."""
    folder = tmp_path_factory.mktemp("home") / "data" / "monitoring"
    folder.mkdir(parents=True)
    shutil.copy(migrated / "health.db", folder / "system_health.db")
    found = Database(sqlite_url(folder / "system_health.db"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def closed(valkey: RestartableValkey, database: Database) -> Iterator[BroadcasterProcess]:
    """Yield a broadcaster that requires an identity."""
    home = Path(database.engine.url.database or "").parents[2]
    digests = f"{'00' * 32} prometheus read"
    process = BroadcasterProcess(
        valkey.url, ACCESS="required", BOTWATCH_HOME=str(home), INTERNAL_TOKENS=digests
    )
    yield process
    process.close()


def create(database: Database, name: str, scope: Scope = "read") -> dict[str, str]:
    """Create a token and return the header that carries it."""
    with database.write() as connection:
        new = create_token(connection, TokenRequest(name=name, scopes=[scope]), "test", NOON)
    return {"Authorization": f"Bearer {new.secret}"}


def status_of(address: str, headers: Mapping[str, str]) -> tuple[int, str, str]:
    """Return the status, the challenge and the text with which a connection is refused, or 101."""
    try:
        with connect(address, additional_headers=dict(headers), proxy=None):
            return 101, "", ""
    except InvalidStatus as error:
        response = error.response
        return response.status_code, response.headers.get("WWW-Authenticate", ""), str(response.body)


def test_a_client_without_a_token_is_refused_at_the_handshake(closed: BroadcasterProcess) -> None:
    """The response is 401 with a challenge, and says what is expected."""
    status, challenge, text = status_of(closed.address, {})
    assert (status, challenge) == (401, 'Bearer realm="Botwatch"')
    assert "?ticket=" in text
    assert status_of(closed.address, {"Authorization": "Bearer bw_wrong"})[0] == 401


def test_a_token_without_read_is_refused(closed: BroadcasterProcess, database: Database) -> None:
    """The response is 403 and names the missing scope."""
    header = create(database, "bot", "ingest")
    time_until(lambda: status_of(closed.address, header)[0] == 403)
    assert "missing scope read" in status_of(closed.address, header)[2]


def test_a_revoked_token_closes_its_connection(closed: BroadcasterProcess, database: Database) -> None:
    """Within two seconds of the revocation the client reads the code 4401; others stay connected."""
    header, other = create(database, "desk"), create(database, "other")
    time_until(lambda: status_of(closed.address, header)[0] == 101)
    with (
        connect(closed.address, additional_headers=header, proxy=None) as client,
        connect(f"{closed.address}?alive=true", additional_headers=other, proxy=None) as stays,
    ):
        client.recv(timeout=5)
        with database.write() as connection:
            revoke_token(connection, "desk", "test", clock.now())
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=5)
        assert raised.value.rcvd
        assert (raised.value.rcvd.code, raised.value.rcvd.reason) == (
            4401,
            "token or session no longer valid",
        )
        stays.recv(timeout=5)
        stays.recv(timeout=5)


def test_a_ticket_is_valid_once(closed: BroadcasterProcess, redis: Redis) -> None:
    """The page connects with a ticket that works a single time."""
    ticket = issue_ticket(redis, Identity("alice", "proxy", ROLES["viewer"]))
    assert status_of(f"{closed.address}?ticket={ticket}", {})[0] == 101
    status, _, text = status_of(f"{closed.address}?ticket={ticket}", {})
    assert status == 401
    assert "the ticket is unknown, was used or has expired" in text


def test_a_session_connects_and_its_end_disconnects(closed: BroadcasterProcess, database: Database) -> None:
    """The cookie of an open session is enough; after the logout the client reads the code 4401."""
    with database.write() as connection:
        row = {"name": "alice", "role": "viewer", "passwordHash": "-", "disabled": 0}
        stored_at = "2026-01-01 00:00:00.000"
        connection.execute(
            users.insert().values(row | {"createdAt": stored_at, "passwordChangedAt": stored_at})
        )
        session = sessions.start_session(connection, "alice", "127.0.0.1", "test", clock.now())
    header = {"Cookie": f"botwatch_session={session}"}
    time_until(lambda: status_of(closed.address, header)[0] == 101)
    with connect(closed.address, additional_headers=header, proxy=None) as client:
        client.recv(timeout=5)
        with database.write() as connection:
            sessions.end_sessions(connection, "alice", clock.now())
        with pytest.raises(ConnectionClosed) as raised:
            client.recv(timeout=5)
        assert raised.value.rcvd
        assert raised.value.rcvd.code == 4401


def test_a_ticket_without_read_is_refused(closed: BroadcasterProcess, redis: Redis) -> None:
    """As a token is: the response is 403 and names the missing scope."""
    ticket = issue_ticket(redis, Identity("bot", "proxy", frozenset({"ingest"})))
    status, challenge, text = status_of(f"{closed.address}?ticket={ticket}", {})
    assert status == 403
    assert 'error="insufficient_scope", scope="read"' in challenge
    assert "missing scope read" in text


def test_metrics_need_a_token_and_health_shows_no_details(
    closed: BroadcasterProcess, database: Database
) -> None:
    """Without a token /metrics is refused, and /health says only whether the part works."""
    url = f"http://127.0.0.1:{closed.port}"
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"{url}/metrics", timeout=5)
    refused.value.close()
    with urllib.request.urlopen(f"{url}/health", timeout=5) as response:
        assert response.read() == b'{"part":"broadcaster","status":"ok"}'
    header = create(database, "scraper")
    time_until(lambda: status_of(closed.address, header)[0] == 101)
    with urllib.request.urlopen(
        urllib.request.Request(f"{url}/metrics", headers=header), timeout=5
    ) as response:
        assert b'botwatch_access_denied_total{part="broadcaster",reason="missing"}' in response.read()


def test_too_many_bad_tokens_are_throttled(closed: BroadcasterProcess, database: Database) -> None:
    """The response is 429 and says when to try again; a valid token is still accepted. The last test here."""
    header = create(database, "valid")
    time_until(lambda: status_of(closed.address, header)[0] == 101)
    wrong = {"Authorization": "Bearer bw_wrong"}
    time_until(lambda: status_of(closed.address, wrong)[0] == 429)
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(closed.address, additional_headers=wrong, proxy=None),
    ):
        pass
    response = refused.value.response
    assert int(response.headers["Retry-After"]) > 0
    assert "too many requests with bad tokens" in str(response.body)
    assert status_of(closed.address, header)[0] == 101

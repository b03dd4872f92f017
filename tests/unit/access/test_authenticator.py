"""The authenticator: which tokens a part accepts, and how it refuses the others."""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from redis import Redis

from shared.access.access_events import MAX_DENIALS, AccessEvents, take_reports
from shared.access.authenticator import MAX_BAD_TOKENS, Authenticator
from shared.access.bearer_tokens import authorization_header, new_api_token
from shared.access.identity import OPEN, Scope
from shared.access.internal_tokens import format_internal_tokens
from shared.access.refusals import AccessDeniedError, Refusal
from shared.access.tokens import TokenRequest, create_token, revoke_token
from shared.store.database import Database
from tests.support import wait_until

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HERE = "127.0.0.1"
UNKNOWN = new_api_token()


@pytest.fixture
def access(health: Database) -> Authenticator:
    return Authenticator("probe", is_open=False, database=Path(health.engine.url.database or ""))


def create(health: Database, scope: Scope = "read", expires_at: datetime | None = None) -> str:
    wanted = TokenRequest(name="ci", scopes=[scope], expires_at=expires_at)
    with health.write() as connection:
        return create_token(connection, wanted, "alice", NOW).secret


def refusal(access: Authenticator, token: str | None, scope: Scope = "read", now: datetime = NOW) -> Refusal:
    header = None if token is None else authorization_header(token)
    with pytest.raises(AccessDeniedError) as raised:
        access.authenticate(header, HERE, scope, now)
    return raised.value.refusal


def test_open_access_asks_for_nothing() -> None:
    """Where access is open, nobody needs a token."""
    assert Authenticator("probe", is_open=True).authenticate(None, HERE, "admin", NOW) == OPEN


def test_a_token_is_accepted_for_its_scopes(access: Authenticator, health: Database) -> None:
    """A token has its scopes; for others the response is 403 and names the missing one."""
    header = authorization_header(create(health))
    assert access.authenticate(header, HERE, "read", NOW).name == "token:ci"
    with pytest.raises(AccessDeniedError) as raised:
        access.authenticate(header, HERE, "operate", NOW)
    found = raised.value.refusal
    assert found.status == HTTPStatus.FORBIDDEN
    assert found.message.startswith("missing scope operate: token:ci may not acknowledge")
    assert found.headers["WWW-Authenticate"].endswith('error="insufficient_scope", scope="operate"')


def test_a_request_without_a_token_is_refused(access: Authenticator) -> None:
    """The response is 401 without an error code, as RFC 6750 asks."""
    found = refusal(access, None)
    assert (found.status, found.reason) == (HTTPStatus.UNAUTHORIZED, "missing")
    assert found.headers["WWW-Authenticate"] == 'Bearer realm="Botwatch"'
    assert "scope read" in found.message


@pytest.mark.parametrize(
    ("token", "reason", "message"),
    [
        (UNKNOWN, "unknown", "the token is not known"),
        (UNKNOWN[:-1], "mistyped", "its checksum is wrong"),
        ("another-kind-of-token", "unknown", "the token is not known"),
    ],
    ids=["unknown", "mistyped", "foreign"],
)
def test_a_bad_token_is_refused(access: Authenticator, token: str, reason: str, message: str) -> None:
    """An unknown token and a typing error are told apart; neither is in the response."""
    found = refusal(access, token)
    assert (found.status, found.reason) == (HTTPStatus.UNAUTHORIZED, reason)
    assert message in found.message
    assert 'error="invalid_token"' in found.headers["WWW-Authenticate"]
    assert token not in str(found)


def test_an_expired_token_is_refused(access: Authenticator, health: Database) -> None:
    """A token ends at its expiry, without anything being read again."""
    token = create(health, expires_at=NOW + timedelta(seconds=5))
    access.authenticate(authorization_header(token), HERE, "read", NOW + timedelta(seconds=4))
    found = refusal(access, token, now=NOW + timedelta(seconds=5))
    assert found.message == "token:ci expired at 2026-11-28T12:00:05.000Z"


def test_a_revoked_token_is_refused_soon(access: Authenticator, health: Database) -> None:
    """A running part refuses a revoked token by itself, and says when it was revoked."""
    token = create(health)
    identity = access.authenticate(authorization_header(token), HERE, "read", NOW)
    access.start()
    try:
        with health.write() as connection:
            revoke_token(connection, "ci", "alice", NOW)
        wait_until(lambda: not access.is_valid(identity, NOW), "the token is refused")
    finally:
        access.close()
    assert refusal(access, token).message == "token:ci was revoked at 2026-11-28T12:00:00.000Z"


def test_tokens_stay_valid_while_the_database_is_away(access: Authenticator, health: Database) -> None:
    """A damaged database closes nobody out who was let in before."""
    header = authorization_header(create(health))
    access.authenticate(header, HERE, "read", NOW)
    path = Path(health.engine.url.database or "")
    health.close()
    path.write_bytes(b"not a database" * 1000)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    access.refresh()
    assert access.authenticate(header, HERE, "read", NOW).name == "token:ci"


def test_internal_tokens_need_no_database(tmp_path: Path) -> None:
    """Prometheus may read and send alerts, and nothing else, also in a part that cannot see the database."""
    token = new_api_token()
    digests = format_internal_tokens({"prometheus": token})
    assert token not in digests
    access = Authenticator("probe", is_open=False, internal_tokens=digests, database=tmp_path / "missing.db")
    identity = access.authenticate(authorization_header(token), HERE, "read", NOW)
    assert (identity.name, identity.may_send_alert("alpha")) == ("token:prometheus", True)
    assert not identity.may_send_bot("alpha")
    assert not identity.may_send_host("web-1")
    assert refusal(access, token, "operate").status == HTTPStatus.FORBIDDEN


def test_many_bad_tokens_are_throttled_but_valid_ones_are_not(
    access: Authenticator, health: Database
) -> None:
    """After a number of bad tokens an address gets 429; a valid token behind the same proxy works."""
    token = create(health)
    statuses = [refusal(access, "a-wrong-token-of-someone").status for _ in range(MAX_BAD_TOKENS + 1)]
    assert statuses == [HTTPStatus.UNAUTHORIZED] * MAX_BAD_TOKENS + [HTTPStatus.TOO_MANY_REQUESTS]
    found = refusal(access, "a-wrong-token-of-someone")
    assert 0 < int(found.headers["Retry-After"]) <= 60
    assert "limit 20 in a minute" in found.message
    assert access.authenticate(authorization_header(token), HERE, "read", NOW).name == "token:ci"


@pytest.fixture
def events(redis: Redis) -> AccessEvents:
    found = AccessEvents("probe")
    found.redis = redis
    return found


def test_events_are_reported_once_and_bounded(events: AccessEvents, redis: Redis) -> None:
    """Uses and refusals reach Redis as one report; a flood of them is a few counts."""
    events.note_use("token:1234", NOW)
    events.note_use("token:internal-prometheus", NOW)
    for number in range(1000):
        events.note_denial("unknown", f"10.0.{number // 250}.{number % 250}", "")
    events.flush()
    events.flush()
    [report] = take_reports(redis, 10)
    assert report.used == {"1234": NOW}
    assert len(report.denied) == MAX_DENIALS + 1
    assert sum(denial.count for denial in report.denied) == 1000
    assert take_reports(redis, 10) == []

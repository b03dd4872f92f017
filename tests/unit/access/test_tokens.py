"""API tokens in the health database."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from shared.access.bearer_tokens import PATTERN, digest, is_mistyped, new_api_token
from shared.access.identity import token_identity
from shared.access.tokens import (
    ApiToken,
    TokenRequest,
    create_token,
    find_token,
    list_tokens,
    mark_used,
    revoke_token,
)
from shared.schema.faults import InvalidError
from shared.store.database import Database

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def create(health: Database, **given: object) -> tuple[ApiToken, str]:
    wanted = TokenRequest(**{"name": "ci", "scopes": ["read"], **given})  # type: ignore[arg-type]
    with health.write() as connection:
        return create_token(connection, wanted, "alice", NOW)


def test_a_token_has_a_prefix_and_a_checksum() -> None:
    """A typing error is noticed; the token fits the pattern of all bearer tokens."""
    token = new_api_token()
    assert re.fullmatch(r"bw_[A-Za-z0-9_-]{43}[0-9a-f]{8}", token)
    assert re.fullmatch(PATTERN, token)
    assert not is_mistyped(token)
    assert is_mistyped(token[:-1] + ("0" if token[-1] != "0" else "1"))
    assert is_mistyped("bw_")
    assert not is_mistyped("a-token-of-another-kind")


def test_only_the_digest_is_stored(health: Database) -> None:
    """The database holds the SHA-256 of a token, and the token nowhere."""
    token, secret = create(health, bots=["scalper-*"], scopes=["ingest"])
    with health.read() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_tokens").mappings().all()
    assert rows[0]["digest"] == digest(secret).hex()
    assert secret not in str(rows)
    identity = token_identity(rows[0])
    assert (identity.name, identity.bots, identity.hosts) == ("token:ci", ("scalper-*",), ())
    assert identity.credential == f"token:{token.id}"


def test_ingest_without_a_list_is_for_all_bots(health: Database) -> None:
    """A token with `ingest` and no lists sends records of all bots, but of no host."""
    token, _ = create(health, scopes=["read", "ingest"])
    assert (token.scopes, token.bots, token.hosts) == (("ingest", "read"), ("*",), ())
    collector, _ = create(health, name="web-1", scopes=["ingest"], hosts=["web-1"])
    assert (collector.bots, collector.hosts) == ((), ("web-1",))


def test_a_token_expires(health: Database) -> None:
    """At its expiry a token is no longer active."""
    token, _ = create(health, expires_at=NOW + SECOND)
    assert token.state_at(NOW) == "active"
    assert token.state_at(NOW + SECOND) == "expired"


def test_a_token_is_revoked_by_name_or_id(health: Database) -> None:
    """A revoked token stays listed with who revoked it; its name is free again."""
    first, _ = create(health)
    with health.write() as connection:
        revoked = revoke_token(connection, "ci", "bob", NOW + SECOND)
        assert revoked
        assert (revoked.state_at(NOW), revoked.revoked_by) == ("revoked", "bob")
    second, _ = create(health)
    with health.write() as connection:
        assert revoke_token(connection, first.id, "eve", NOW) == revoked
        assert revoke_token(connection, "missing", "bob", NOW) is None
        assert find_token(connection, "ci") == second
        assert {token.id for token in list_tokens(connection)} == {first.id, second.id}


def test_an_active_name_is_taken(health: Database) -> None:
    """Two active tokens cannot have one name."""
    create(health)
    with pytest.raises(InvalidError, match="a token named 'ci' exists"):
        create(health)


def test_every_fault_of_a_request_is_named(health: Database) -> None:
    """A request with several faults gets them all."""
    with pytest.raises(InvalidError) as raised:
        create(health, name="two words", scopes=[], bots=["a"], expires_at=NOW)
    assert [fault.path for fault in raised.value.faults] == ["$.name", "$.scopes", "$.bots", "$.expiresAt"]


def test_the_last_use_only_moves_forward(health: Database) -> None:
    """Several parts report when a token was used; the latest time stays."""
    token, _ = create(health)
    with health.write() as connection:
        mark_used(connection, {token.id: NOW + SECOND})
        mark_used(connection, {token.id: NOW, "unknown": NOW})
        found = find_token(connection, token.id)
    assert found
    assert found.last_used_at == NOW + SECOND

"""Identities: scopes, roles, and in whose name an identity may act."""

import pytest

from shared.access.identity import (
    OPEN,
    ROLES,
    SCOPES,
    ForbiddenError,
    Identity,
    require_scope,
    resolve_actor,
)

ALICE = Identity("alice", "user", ROLES["operator"])
CI = Identity("token:ci", "token", frozenset(("operate",)))
BRIDGE = Identity("token:bridge", "token", frozenset(("operate",)), act_for_others=True)


def test_open_access_allows_everything() -> None:
    """The identity of open access has every scope and may name anyone."""
    assert all(map(OPEN.allows, SCOPES))
    assert resolve_actor(OPEN, "bob") == "bob"
    assert resolve_actor(OPEN, " ") is None


def test_roles_are_scopes() -> None:
    """An admin may do what an operator may, an operator what a viewer may; none of them sends records."""
    assert ROLES["viewer"] < ROLES["operator"] < ROLES["admin"]
    assert "ingest" not in ROLES["admin"]


def test_a_missing_scope_is_named() -> None:
    """The error names the scope, the identity and what it may not do."""
    with pytest.raises(ForbiddenError, match=r"missing scope admin: alice may not .*users") as raised:
        require_scope(ALICE, "admin")
    assert raised.value.scope == "admin"
    require_scope(ALICE, "operate")


@pytest.mark.parametrize(
    ("identity", "by", "actor"),
    [
        (ALICE, None, "alice"),
        (ALICE, "", "alice"),
        (ALICE, " alice ", "alice"),
        (CI, "ci", "token:ci"),
        (CI, "token:ci", "token:ci"),
        (BRIDGE, "bob", "bob"),
        (BRIDGE, None, "token:bridge"),
    ],
)
def test_the_signed_in_name_acts(identity: Identity, by: str | None, actor: str) -> None:
    """`by` may repeat the own name; who acts for others may name anyone."""
    assert resolve_actor(identity, by) == actor


@pytest.mark.parametrize("identity", [ALICE, CI])
def test_nobody_acts_in_anothers_name(identity: Identity) -> None:
    """Another's name is refused, and the error says which name is expected."""
    with pytest.raises(ForbiddenError, match=rf"by: expected '{identity.name}' or nothing, got 'bob'"):
        resolve_actor(identity, "bob")


def test_globs_limit_bots_and_hosts() -> None:
    """An identity sends records of the bots and hosts that match its globs, by default of none."""
    sender = Identity("token:desk", "token", frozenset(("ingest",)), ("desk-*",), hosts=("web-1",))
    assert sender.may_send_bot("desk-7")
    assert not sender.may_send_bot("other")
    assert sender.may_send_host("web-1")
    assert not sender.may_send_host("web-2")
    assert not ALICE.may_send_bot("desk-7")

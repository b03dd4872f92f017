"""One-time tickets: the dashboard gives one to its page, and the broadcaster takes it instead of a token.

Browsers cannot send headers with a WebSocket, and a token in its address would be in logs. A ticket is valid
for 30 seconds and once; Redis has its SHA-256 and the identity.
"""

import secrets

import msgspec
from redis import Redis

from shared.access.bearer_tokens import digest
from shared.access.identity import Identity
from shared.schema.redis_keys import ticket_key

LIFETIME_S = 30


def issue_ticket(redis: Redis, identity: Identity) -> str:
    """Return a new ticket for `identity`. Raises RedisError."""
    ticket = secrets.token_urlsafe(24)
    redis.set(stored_at(ticket), msgspec.json.encode(identity), ex=LIFETIME_S)
    return ticket


def stored_at(ticket: str) -> str:
    """Return the key of a ticket in Redis."""
    return ticket_key(digest(ticket).hex())


def ticket_identity(stored: bytes | str | None) -> Identity | None:
    """Return the identity of what Redis had of a ticket; None if it had nothing or something else."""
    try:
        return msgspec.json.decode(stored or b"", type=Identity)
    except msgspec.DecodeError:
        return None

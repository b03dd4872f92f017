"""Who may do what: a Redis user per part, one for bots, and which secrets of the environment a part sees.

Pure. Every part may read what Botwatch keeps in Redis and writes only its own keys; a bot may only publish.
Source of the rules' syntax: Redis's ACL documentation.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from shared.schema.redis_keys import (
    ALERTS,
    BOT_CHANNEL,
    BOT_STREAM,
    BOTS,
    COUNTERS,
    HOSTS,
    LATEST,
    PREFIX,
    RELOAD,
    RULES,
    WAKE,
    lease_key,
)

ALL_COMMANDS = "~* &* +@all"
_DATA = (
    "+@hash +@list +@set +@sortedset +@stream +@string +@transaction -@dangerous"
    " +eval +evalsha +script|load +exists +expire +pexpire +del +unlink +ttl +pttl +type"
    " +memory|usage +info +time +ping +client|setinfo +client|setname"
)
"""Commands on data: nothing that administers the server, lists or empties it."""
_PUBLISH = f"%W~{BOT_STREAM} &{BOT_CHANNEL} +ping +client|setinfo +xadd +publish"
_LOG = f"~{PREFIX}:records:* ~{LATEST}* ~{COUNTERS}* ~{BOTS}* ~{HOSTS}*"
_ALERTS = f"~{ALERTS}* ~{WAKE} ~{RELOAD}*"
_PINGS = f"~{PREFIX}:pings*"

_KEYS = {
    "broadcaster": "",
    "collector": _LOG,
    "dashboard": f"{_LOG} {_ALERTS}",
    "evaluator": f"{_LOG} {_ALERTS} ~{RULES}",
    "ingestion": f"{_LOG} {_PINGS}",
    "ingestion-redis": (
        f"{_LOG} {_PINGS} ~{PREFIX}:heartbeats* ~{PREFIX}:rejected ~{BOT_STREAM}"
        f" &{BOT_CHANNEL} +subscribe +unsubscribe"
    ),
    "jobs": "~rq:* +client|info +persist",
    "notifier": _ALERTS,
    "recorder": _LOG,
    "watchdog": f"~{PREFIX}:* ~{BOT_STREAM} +rename",
}
"""What a part writes besides its sign of life and the keys that begin with its name."""

USERS: Mapping[str, str] = {
    **{
        part: (
            f"{_DATA} %R~{PREFIX}:* ~{PREFIX}:parts ~{PREFIX}:{part}:* ~{lease_key(part)[:-1]}* {keys}"
        ).rstrip()
        for part, keys in _KEYS.items()
    },
    "bot": _PUBLISH,
    "demo": f"{_PUBLISH} ~demo:* +get +set",
    "botwatch": ALL_COMMANDS,
}
"""Redis users and their rights; `botwatch` is the operator's, and the command's."""

_CHANNELS = r"ALERT_\w+|HEARTBEAT_URL"
SECRETS: Mapping[str, str] = {
    "collector": "INGEST_TOKEN|COLLECTOR_TOKEN",
    "dashboard": "BOTWATCH_SECRET",
    "ingestion": "INGEST_TOKENS?|COLLECTOR_TOKEN",
    "notifier": rf"{_CHANNELS}|BOTWATCH_KEY|BOTWATCH_SECRET",
    "watchdog": rf"{_CHANNELS}|BOTWATCH_KEY|BOTWATCH_SECRET",
}
"""Patterns of the variables that are secret, by the part that needs them."""
_SECRET = re.compile(rf"(?:{'|'.join(SECRETS.values())})(?:_FILE)?\Z")


def acl_file(passwords: Mapping[str, str]) -> str:
    """Return Redis's ACL file for the users of `passwords`, which it holds as SHA-256 only.

    Nobody can log in as `default`, but it has every right: Redis 8 replays the transactions of its
    append-only file as this user, and drops what it may not do. `health` needs no password and may only PING.
    """
    lines = [
        f"user default off resetpass {ALL_COMMANDS}",
        "user health on nopass resetkeys resetchannels -@all +ping",
    ]
    for user, password in sorted(passwords.items()):
        digest = hashlib.sha256(password.encode()).hexdigest()
        lines.append(f"user {user} on #{digest} resetkeys resetchannels -@all {USERS[user]}")
    return "\n".join(lines) + "\n"


def acl_digest() -> str:
    """Return a digest of all rights; the compose file names it, so that Redis restarts when they change."""
    return hashlib.sha256(acl_file(dict.fromkeys(USERS, "")).encode()).hexdigest()[:12]


def filter_environment(
    part: str, environ: Mapping[str, str], private: Mapping[str, Collection[str]] = MappingProxyType({})
) -> dict[str, str]:
    """Return what `part` may see of an environment: everything but the secrets of other parts.

    `private` has further secrets: variable to the parts that need it.
    """
    own = re.compile(rf"(?:{SECRETS.get(part, '(?!)')})(?:_FILE)?\Z")
    foreign = {name for name, parts in private.items() if part not in parts}
    foreign |= {f"{name}_FILE" for name in foreign}
    return {
        name: value
        for name, value in environ.items()
        if name not in foreign and (own.match(name) or not _SECRET.match(name))
    }

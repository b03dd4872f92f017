"""Permissions: a Redis user per part, one for bots, and which secrets of the environment a part may see.

Pure. Every part may read all of Botwatch's keys in Redis and write only its own; a bot may only publish.
Source of the syntax of the rules: Redis's ACL documentation.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from types import MappingProxyType

from shared.schema.redis_keys import (
    ACCESS_EVENTS,
    ALERTS,
    BOT_CHANNEL,
    BOT_STREAM,
    BOTS,
    CHANNEL_TESTS,
    COUNTERS,
    HOSTS,
    JOB_REQUESTS,
    LATEST,
    PREFIX,
    RELOAD,
    RULES,
    WAKE,
    lease_key,
    ticket_key,
)

ALL_COMMANDS = "~* &* +@all"
_DATA = (
    "+@hash +@list +@set +@sortedset +@stream +@string +@transaction -@dangerous"
    " +eval +evalsha +script|load +exists +expire +pexpire +del +unlink +ttl +pttl +type"
    " +memory|usage +info +time +ping +client|setinfo +client|setname"
)
"""Commands on data: none that administers the server, lists all keys or deletes all data."""
_PUBLISH = f"%W~{BOT_STREAM} &{BOT_CHANNEL} +ping +client|setinfo +xadd +publish"
_LOG = f"~{PREFIX}:records:* ~{LATEST}* ~{COUNTERS}* ~{BOTS}* ~{HOSTS}*"
_ALERTS = f"~{ALERTS}* ~{WAKE} ~{RELOAD}*"
_PINGS = f"~{PREFIX}:pings*"

_KEYS = {
    "broadcaster": f"~{ticket_key('*')}",
    "collector": _LOG,
    "dashboard": f"{_LOG} {_ALERTS} ~{ticket_key('*')} ~{JOB_REQUESTS} ~{CHANNEL_TESTS}*",
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
"""The keys that a part writes besides its presence and the keys that start with its name."""

USERS: Mapping[str, str] = {
    **{
        part: (
            f"{_DATA} %R~{PREFIX}:* ~{PREFIX}:parts ~{ACCESS_EVENTS} ~{PREFIX}:{part}:*"
            f" ~{lease_key(part)[:-1]}* {keys}"
        ).rstrip()
        for part, keys in _KEYS.items()
    },
    "bot": _PUBLISH,
    "demo": f"{_PUBLISH} ~demo:* +get +set",
    "botwatch": ALL_COMMANDS,
}
"""Redis users and their rights; `botwatch` is for the operator and the command `botwatch`."""

_CHANNELS = r"ALERT_\w+|HEARTBEAT_URL"
SECRETS: Mapping[str, str] = {
    "collector": "INGEST_TOKEN|COLLECTOR_TOKEN|BOTWATCH_KEY",
    "dashboard": "BOTWATCH_SECRET",
    "ingestion": "INGEST_TOKENS?|COLLECTOR_TOKEN",
    "jobs": r"AUDIT_SYSLOG|AUDIT_WEBHOOK_\w+|BOTWATCH_KEY|BACKUP_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY)",
    "notifier": rf"{_CHANNELS}|BOTWATCH_KEY|BOTWATCH_SECRET",
    "watchdog": rf"{_CHANNELS}|BOTWATCH_KEY|BOTWATCH_SECRET",
}
"""Patterns of secret variables, by the part that needs them."""
_SECRET = re.compile(rf"(?:{'|'.join(SECRETS.values())})(?:_FILE)?\Z")


def acl_file(passwords: Mapping[str, str]) -> str:
    """Return Redis's ACL file for the users of `passwords`, with SHA-256 digests only.

    `default` cannot log in, but has every right: Redis 8 replays the transactions of its append-only file as
    this user, and drops commands that it may not run. `health` needs no password and may only PING.
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
    """Return a digest of all rights; it is in the compose file, so that Redis restarts when they change."""
    return hashlib.sha256(acl_file(dict.fromkeys(USERS, "")).encode()).hexdigest()[:12]


def filter_environment(
    part: str, environ: Mapping[str, str], private: Mapping[str, Collection[str]] = MappingProxyType({})
) -> dict[str, str]:
    """Return the environment for `part`: everything but the secrets of other parts.

    `private` has further secrets: names of variables to the parts that need them.
    """
    own = re.compile(rf"(?:{SECRETS.get(part, '(?!)')})(?:_FILE)?\Z")
    foreign = {name for name, parts in private.items() if part not in parts}
    foreign |= {f"{name}_FILE" for name in foreign}
    return {
        name: value
        for name, value in environ.items()
        if name not in foreign and (own.match(name) or not _SECRET.match(name))
    }

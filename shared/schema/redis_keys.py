"""Names of everything in Redis: streams, channels, groups and keys."""

from types import MappingProxyType

PREFIX = "botwatch"

BOT_CHANNEL = "bot:metrics"
"""Pub/sub: a bot publishes JSON records here; lost while nobody listens."""
BOT_STREAM = "bot:metrics:stream"
"""Durable: a bot XADDs entries with the field `data`; acknowledged after they are in the log."""
BOT_GROUP = f"{PREFIX}:ingestion"
REJECTED = f"{PREFIX}:rejected"
"""Stream of what did not validate: fields `data`, `reason`, `door`."""

ALERTS = f"{PREFIX}:alerts"
"""Stream of alert messages, field `data`."""
ALERTS_OPEN = f"{PREFIX}:alerts:open"
"""Hash of open alerts: id → JSON."""
ALERTS_CURSOR = f"{PREFIX}:alerts:cursor"
"""The last alert event that was announced on `ALERTS`."""

LATEST = f"{PREFIX}:latest"
"""Hash of latest records: `kind|subject|…` → 13 digits of epoch ms, then JSON.

Beside it `botwatch:latest:bot|NAME` and `…:host|NAME`: sorted sets of its fields by their moments."""
BOTS = f"{PREFIX}:bots"
HOSTS = f"{PREFIX}:hosts"
"""Sorted sets of the bots and hosts that count against the limit: name → when it reported last, epoch ms."""
COUNTERS = f"{PREFIX}:counters"
"""Hash of counts: `accepted|kind|door`, `rejected|door`, `clamped|door`, `evicted|why`, `refused-bots`."""
REFUSED_BOTS = "refused-bots"
EVICTED = ("evicted|each", "evicted|total")
RELOAD = f"{PREFIX}:reload"
"""Counter: each request to read the config documents again adds one."""
RULES = f"{PREFIX}:rules"
"""How each rule stands, as JSON (`RuleStatus`): at the evaluator's start, at a reload, every minute."""
RELOADED = f"{PREFIX}:reload:answers"
"""JSON: the last request that was answered, and what came of it."""
WAKE = f"{PREFIX}:wakes"
"""List: holds at most one wake for the notifier."""
CHANNEL_TESTS = f"{PREFIX}:notifier:tests"
"""List of channel tests that the notifier is asked for; the answers are lists `…:<id>` of one entry."""
PARTS = f"{PREFIX}:parts"
"""Hash of running parts: name → JSON status."""

PINGS = f"{PREFIX}:pings"
"""Stream of pings that were taken and not yet judged: field `data`, a `Ping` as MessagePack."""
HEARTBEAT_STATES = f"{PREFIX}:heartbeats"
"""Hash: a heartbeat's name → its `HeartbeatState` as JSON."""
HEARTBEAT_BODIES = f"{PREFIX}:heartbeats:bodies"
"""Hash: a heartbeat's name → the end of what it posted last."""
MISPLACED = f"{PREFIX}:wrong-type:"
"""What stood in the place of another key, of a type that it cannot have: this, then the key's name."""

FIELD = b"data"
"""The one field of an entry."""
BEAT = b"beat"
"""The further field of an entry of the log that is the watchdog's beat, and has no records: whole seconds
since the epoch."""

FORGET = b"forget"
"""The further field of an entry of the log that has every reader forget a bot: its name."""

RECORDER_GROUP = "recorder"
EVALUATOR_GROUP = "evaluator"


def lease_key(part: str) -> str:
    """Return the key that says which process of a part works: the others stand by."""
    return f"{PREFIX}:lease:{part}:0"


def record_stream() -> str:
    """Return the name of the record stream: the log."""
    return f"{PREFIX}:records:0"


TYPES = MappingProxyType(
    {
        **dict.fromkeys((BOT_STREAM, REJECTED, ALERTS, PINGS, record_stream()), "stream"),
        **dict.fromkeys(
            (ALERTS_OPEN, LATEST, COUNTERS, RELOADED, PARTS, HEARTBEAT_STATES, HEARTBEAT_BODIES), "hash"
        ),
        **dict.fromkeys((BOTS, HOSTS), "zset"),
        **dict.fromkeys((WAKE, CHANNEL_TESTS), "list"),
        **dict.fromkeys((ALERTS_CURSOR, RELOAD, RULES), "string"),
    }
)
"""What `TYPE` answers for each key whose name is fixed. Leases and indices are repaired where used."""

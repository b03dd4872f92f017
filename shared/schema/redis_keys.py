"""Names of all streams, channels, groups and keys in Redis."""

from types import MappingProxyType

PREFIX = "botwatch"

BOT_CHANNEL = "bot:metrics"
"""Pub/sub: a bot publishes JSON records here; lost without a subscriber."""
BOT_STREAM = "bot:metrics:stream"
"""Durable: a bot XADDs entries with the field `data`; acked after they are in the log."""
BOT_GROUP = f"{PREFIX}:ingestion"
REJECTED = f"{PREFIX}:rejected"
"""Stream of rejected records: fields `data`, `reason`, `door`."""

ALERTS = f"{PREFIX}:alerts"
"""Stream of alert messages, field `data`."""
ALERTS_OPEN = f"{PREFIX}:alerts:open"
"""Hash of open alerts: id → JSON."""
ALERTS_CURSOR = f"{PREFIX}:alerts:cursor"
"""The last alert event that was published on `ALERTS`."""

LOG_CLOCK = f"{PREFIX}:records:clock"
"""By how much the log's clock is ahead of its machine's, and the machine's time of the newest entry, in
milliseconds; only after the machine's clock was set back."""

LATEST = f"{PREFIX}:latest"
"""Hash of latest records: `kind|subject|…` → 13 digits of epoch ms, then JSON.

Beside it `botwatch:latest:bot|NAME` and `…:host|NAME`: sorted sets of its fields by time."""
BOTS = f"{PREFIX}:bots"
HOSTS = f"{PREFIX}:hosts"
"""Sorted sets of bots and hosts that count towards the limit: name → time of the last record, epoch ms."""
COUNTERS = f"{PREFIX}:counters"
"""Hash of counts: `accepted|kind|door`, `rejected|door`, `clamped|door`, `evicted|why`, `refused-bots`,
`event|level|bot`."""
REFUSED_BOTS = "refused-bots"
EVICTED = ("evicted|each", "evicted|total")
RELOAD = f"{PREFIX}:reload"
"""Counter of reload requests."""
RULES = f"{PREFIX}:rules"
"""Status of the rules as JSON (`RuleStatus`): written at the evaluator's start, at a reload, every minute."""
RELOADED = f"{PREFIX}:reload:answers"
"""JSON: the last reload request with a reply, and the reply."""
WAKE = f"{PREFIX}:wakes"
"""List: at most one wake for the notifier."""
CHANNEL_TESTS = f"{PREFIX}:notifier:tests"
"""List of requested channel tests; the results are lists `…:<id>` with one entry."""
CHANNELS = f"{PREFIX}:notifier:channels"
"""Status of the channels as JSON (`ChannelStatuses`)."""
PARTS = f"{PREFIX}:parts"
"""Hash of running parts: name → JSON status."""
JOB_REQUESTS = f"{PREFIX}:jobs:requests"
"""Set of names of jobs to run at once; the jobs part takes them."""

PINGS = f"{PREFIX}:pings"
"""Stream of pings that were accepted and not yet processed: field `data`, a `Ping` as MessagePack."""
HEARTBEAT_STATES = f"{PREFIX}:heartbeats"
"""Hash: a heartbeat's name → its `HeartbeatState` as JSON."""
HEARTBEAT_BODIES = f"{PREFIX}:heartbeats:bodies"
"""Hash: a heartbeat's name → the end of its last body."""
ACCESS_EVENTS = f"{PREFIX}:access:events"
"""List: uses of tokens and refused requests, from every part to the dashboard, which stores them."""
MISPLACED = f"{PREFIX}:wrong-type:"
"""Prefix of keys that were moved aside because of their type: this, then the key's name."""

FIELD = b"data"
"""The field of an entry."""
BEAT = b"beat"
"""The additional field of a log entry that is a watchdog beat and has no records: whole epoch seconds."""

FORGET = b"forget"
"""The additional field of a log entry that makes every reader forget a bot: its name."""

AHEAD = b"ahead"
"""The additional field of a log entry that was written while the log's clock was ahead of its machine's: by
how much, milliseconds."""

RECORDER_GROUP = "recorder"
EVALUATOR_GROUP = "evaluator"


def lease_key(part: str) -> str:
    """Return the key of a part's lease: its holder is active, the others are on standby."""
    return f"{PREFIX}:lease:{part}:0"


def ticket_key(digest: str) -> str:
    """Return the key of a one-time ticket for the WebSocket, by its SHA-256; the value is its identity."""
    return f"{PREFIX}:access:tickets:{digest}"


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
        **dict.fromkeys((WAKE, CHANNEL_TESTS, ACCESS_EVENTS), "list"),
        **dict.fromkeys((ALERTS_CURSOR, CHANNELS, LOG_CLOCK, RELOAD, RULES), "string"),
        JOB_REQUESTS: "set",
    }
)
"""The `TYPE` of each key with a fixed name. Leases and indexes are repaired where they are used."""

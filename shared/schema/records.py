"""Records: everything a bot, a collector or a client reports. From: producers. To: every reader of the log.

These structs are the only definition of the wire: decoding, validation, JSON Schema, table columns and
Prometheus names all come from them.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from shared.schema.timestamps import from_wire
from shared.schema.units import (
    BasisPoints,
    Bytes,
    BytesPerSecond,
    Count,
    Days,
    Flag,
    Milliseconds,
    Money,
    Number,
    Percent,
    Seconds,
    SignedMilliseconds,
)

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
"""A bot's, host's, symbol's or metric's name: 1 to 128 characters, none of them a control character."""
Text = Annotated[str, Meta(max_length=4096)]
LabelName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,62}\Z")]
Labels = Annotated[dict[LabelName, Annotated[str, Meta(max_length=256)]], Meta(max_length=16)]
Quantity = Annotated[float, Meta(gt=0)]
Side = Literal["buy", "sell"]
Timestamp = Annotated[datetime, Meta(tz=True)]


class Record(
    msgspec.Struct,
    kw_only=True,
    rename="camel",
    tag_field="kind",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """Fields common to every record."""

    timestamp: Timestamp | int | None = None
    """When it was so: ISO-8601 with a zone, or epoch milliseconds; the door fills in the arrival."""
    id: Name | None = None
    """The producer's own identifier; makes sending the same record twice harmless."""
    labels: Labels = {}

    def __post_init__(self) -> None:
        if self.timestamp is not None:
            try:
                self.timestamp = from_wire(self.timestamp)
            except ValueError as error:
                raise ValueError(f"`timestamp`: {error}") from error

    @property
    def kind(self) -> str:
        """The tag on the wire."""
        return str(self.__struct_config__.tag)

    @property
    def at(self) -> datetime:
        """The record's moment in UTC; every record that passed a door has one."""
        if not isinstance(self.timestamp, datetime):
            raise TypeError("the record has no timestamp: it was not decoded by ingestion")
        return self.timestamp


class BotRecord(Record, kw_only=True):
    """A record about one bot."""

    bot: Name

    @property
    def subject(self) -> str:
        """Whom the record is about."""
        return self.bot


class HostRecord(Record, kw_only=True):
    """A record about one host, or from one that looked at something."""

    host: Name

    @property
    def subject(self) -> str:
        """Whom the record is about."""
        return self.host


class Undefined(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Why a figure has no value, and of how many returns, trades or orders it would have been made."""

    reason: Name
    """In snake case: `no_trades`, `no_losses`, `too_few_returns`, …"""
    n: Count = 0


class Difference(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A figure that a bot reports otherwise than Botwatch computes it, both at the same moment."""

    reported: Number
    computed: Number


class Performance(BotRecord, kw_only=True, tag="performance"):
    """A bot's figures at one moment. From: bots, recorder (computed). To: all readers.

    `shared.analytics` defines each figure that is computed; a bot may report any of them by its own terms.
    """

    portfolio_value: Money | None = None
    total_pnl: Money | None = field(default=None, name="totalPnL")
    realized_pnl: Money | None = field(default=None, name="realizedPnL")
    unrealized_pnl: Money | None = field(default=None, name="unrealizedPnL")
    net_flows: Money | None = None
    """Deposits minus withdrawals since the start."""
    sharpe_ratio: Number | None = None
    sortino_ratio: Number | None = None
    calmar_ratio: Number | None = None
    annual_return: Percent | None = None
    volatility: Percent | None = None
    trading_days: Count | None = None
    """How many daily returns the ratios are made of."""
    max_drawdown: Percent | None = None
    current_drawdown: Percent | None = None
    drawdown_duration: Seconds | None = None
    """Since the last peak."""
    longest_drawdown: Seconds | None = None
    var95: Percent | None = None
    var99: Percent | None = None
    cvar95: Percent | None = None
    parametric_var95: Percent | None = None
    parametric_var99: Percent | None = None
    var95_amount: Money | None = None
    var99_amount: Money | None = None
    cvar95_amount: Money | None = None
    win_rate: Percent | None = None
    profit_factor: Number | None = None
    expectancy: Money | None = None
    expectancy_ratio: Number | None = None
    total_trades: Count | None = None
    trades24h: Count | None = None
    """Closed in the last 24 hours."""
    trades_per_day: Number | None = None
    average_trade_duration: Seconds | None = None
    total_orders: Count | None = None
    slippage_bps: BasisPoints | None = None
    slippage_p50_bps: BasisPoints | None = None
    slippage_p95_bps: BasisPoints | None = None
    slippage_p99_bps: BasisPoints | None = None
    order_latency_ms: Milliseconds | None = None
    """From submitted to acknowledged: the mean."""
    order_latency_p50_ms: Milliseconds | None = None
    order_latency_p95_ms: Milliseconds | None = None
    order_latency_p99_ms: Milliseconds | None = None
    first_fill_latency_p50_ms: Milliseconds | None = None
    """From acknowledged to the first fill."""
    first_fill_latency_p95_ms: Milliseconds | None = None
    first_fill_latency_p99_ms: Milliseconds | None = None
    last_fill_latency_p50_ms: Milliseconds | None = None
    """From submitted to the last fill."""
    last_fill_latency_p95_ms: Milliseconds | None = None
    last_fill_latency_p99_ms: Milliseconds | None = None
    cancel_latency_p50_ms: Milliseconds | None = None
    """From submitted to cancelled."""
    cancel_latency_p95_ms: Milliseconds | None = None
    cancel_latency_p99_ms: Milliseconds | None = None
    dropped_latencies: Count | None = None
    """Latencies left out because they were negative: more than one clock was at work."""
    fill_rate: Percent | None = None
    quantity_fill_rate: Percent | None = None
    reject_rate: Percent | None = None
    exposure: Percent | None = None
    """Gross notional, as a share of the equity."""
    net_exposure: Percent | None = None
    leverage: Number | None = None
    disagreements: Count | None = None
    """How many figures the bot reports otherwise than they are computed, at two comparisons in a row.

    `differences` has both values, those of the latest comparison.
    """
    undefined: Annotated[dict[Name, Undefined], Meta(max_length=128)] = {}
    """Why a figure has no value, by the figure's name on the wire."""
    low_confidence: Annotated[dict[Name, Count], Meta(max_length=128)] = {}
    """Figures made of too few returns to lean on, and of how many."""
    differences: Annotated[dict[Name, Difference], Meta(max_length=128)] = {}
    source: Literal["reported", "computed"] = "reported"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.portfolio_value is None and self.source == "reported":
            raise ValueError("`portfolioValue`: required in a reported record, but missing")


class Equity(BotRecord, kw_only=True, tag="equity"):
    """The account's worth at one moment. From: bots. To: recorder, evaluator."""

    equity: Money
    net_flow: Money = 0.0
    """Deposits minus withdrawals since the previous point, account currency."""
    cash: Money | None = None
    unrealized_pnl: Money | None = field(default=None, name="unrealizedPnL")


OrderStatus = Literal[
    "submitted", "acknowledged", "partially_filled", "filled", "cancelled", "rejected", "expired"
]


class Order(BotRecord, kw_only=True, tag="order"):
    """One step in an order's life. From: bots. To: recorder."""

    order_id: Name
    symbol: Name
    side: Side
    type: Name = "market"
    quantity: Quantity
    limit_price: Number | None = None
    decision_price: Number | None = None
    """The price at which the strategy decided: the reference of slippage."""
    status: OrderStatus
    reason: Text | None = None


class Fill(BotRecord, kw_only=True, tag="fill"):
    """One execution of an order. From: bots. To: recorder."""

    order_id: Name
    fill_id: Name
    symbol: Name
    side: Side
    quantity: Quantity
    price: Number
    fee: Money = 0.0
    fee_currency: Name | None = None


STOPPED, RETIRED, UNRETIRED = "stopped", "retired", "expected"


class Heartbeat(BotRecord, kw_only=True, tag="heartbeat"):
    """A sign of life. From: bots, dashboard (retire, unretire). To: recorder, evaluator.

    Three values of `status` have a meaning, and none of these is a sign of life. `stopped`: the bot ended on
    purpose, and its absence opens no alert until its next record. `retired`: it ended for good; its open
    alerts are resolved as well. `expected`: an operator took the retirement back. Any other is the bot's own
    word.
    """

    status: Name = "ok"
    interval_seconds: Annotated[float, Meta(gt=0)] | None = None
    """How often the bot means to send one."""

    @property
    def ends(self) -> bool:
        """Whether the bot says that it stops, for now or for good."""
        return self.status in (STOPPED, RETIRED)


class Disk(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One mounted file system."""

    mount: Text
    usage: Percent
    total_bytes: Bytes
    free_bytes: Bytes
    inode_usage: Percent | None = None
    full_days: Days | None = None
    """Until it is full, if it goes on as of late; None where it does not fill."""
    read_only: bool = False
    """It should be writable, or was, and is not."""


Status = Literal["HEALTHY", "WARNING", "CRITICAL", "UNKNOWN"]


class Health(HostRecord, kw_only=True, tag="health"):
    """A host snapshot. From: collector. To: all readers."""

    system_health: Status = "UNKNOWN"
    reasons: list[Text] = []
    """Why `systemHealth` is not HEALTHY, one sentence each."""
    cpu_usage: Percent | None = None
    cpu_per_core: list[float] = []
    """Percent busy of each core; empty where it is not known."""
    cpu_steal: Percent | None = None
    """Taken by the hypervisor for others."""
    cpu_iowait: Percent | None = None
    cpu_cores: Count | None = None
    cpu_pressure: Percent | None = None
    """Of the time since the previous sample, in which something waited for a processor; so below."""
    memory_pressure: Percent | None = None
    """In which all work stood still for want of memory."""
    io_pressure: Percent | None = None
    """In which all work stood still until a disk answered."""
    load1: Number | None = None
    load5: Number | None = None
    load15: Number | None = None
    memory_usage: Percent | None = None
    memory_total_bytes: Bytes | None = None
    memory_available_bytes: Bytes | None = None
    swap_usage: Percent | None = None
    disk_usage: Percent | None = None
    """Of the fullest file system in `disks`."""
    inode_usage: Percent | None = None
    """Of the file system that has the fewest left."""
    disk_full_days: Days | None = None
    """Until the first file system is full, if it goes on as of late; None where none fills."""
    disks: list[Disk] = []
    read_only_disks: Count | None = None
    """File systems that should be writable, or were, and are not."""
    disk_read_bytes_per_second: BytesPerSecond | None = None
    disk_written_bytes_per_second: BytesPerSecond | None = None
    disk_busy: Percent | None = None
    """Of the busiest disk."""
    network_received_bytes_per_second: BytesPerSecond | None = None
    network_sent_bytes_per_second: BytesPerSecond | None = None
    network_errors_per_second: Number | None = None
    network_drops_per_second: Number | None = None
    network_latency: Milliseconds | None = None
    """To connect to an exchange: the median of those that are checked."""
    processes: Count | None = None
    zombies: Count | None = None
    open_files_usage: Percent | None = None
    """File descriptors of all processes, of the system's limit."""
    temperature_celsius: Number | None = None
    """Of the hottest sensor."""
    clock_offset_ms: SignedMilliseconds | None = None
    """How far the clock is ahead of the time that NTP knows; None where it does not tell the kernel."""
    clock_synchronised: Flag | None = None
    """1 while NTP keeps the clock."""
    oom_kills: Count | None = None
    """Processes that the kernel ended for want of memory, since the previous sample.

    In a container with a limit that watches only itself: its own.
    """
    cgroup_throttled: Percent | None = None
    """Of the periods in which the container's own processor limit held it back."""
    uptime_seconds: Seconds | None = None


CheckType = Literal[
    "process", "port", "http", "tcp", "dns", "database", "systemd", "container", "exchange", "status_page",
    "certificate", "logins", "listening", "sudo", "file", "secret", "heartbeat",
]  # fmt: skip
CheckStatus = Literal["ok", "warning", "critical", "unknown"]
CheckReason = Literal[
    "dns", "refused", "unreachable", "timeout", "tls", "http", "rate_limited", "protocol", "slow", "skewed",
    "not_running", "zombie", "changed", "expiring", "expired", "untrusted", "wrong_host", "weak", "denied",
    "late", "never_came", "ran_too_long", "failed", "too_many", "corrupt", "other",
]  # fmt: skip
"""Why a check is not ok, for machines; its `text` says it to people."""


CHECK_STATE = "checkState"
"""The status of a check as a figure in rules."""


class Check(HostRecord, kw_only=True, tag="check"):
    """One look at one thing: a process, a service, an exchange, a certificate, a heartbeat that is expected.

    From: collector, ingestion (heartbeats). To: all readers.
    """

    check: Name
    """Its name, unique on the host."""
    type: CheckType
    status: CheckStatus
    reason: CheckReason | None = None
    text: Text = ""
    """What was seen, one sentence."""
    check_latency_ms: Milliseconds | None = None
    dns_ms: Milliseconds | None = None
    connect_ms: Milliseconds | None = None
    tls_ms: Milliseconds | None = None
    web_socket_ms: Milliseconds | None = None
    """From a ping to its pong."""
    latency_p50_ms: Milliseconds | None = None
    """Of the last 100 looks; so the others."""
    latency_p95_ms: Milliseconds | None = None
    latency_p99_ms: Milliseconds | None = None
    availability: Percent | None = None
    clock_skew_ms: SignedMilliseconds | None = None
    """How far the other clock is ahead of this host's."""
    status_code: Count | None = None
    certificate_days: Days | None = None
    instances: Count | None = None
    """Processes that fit."""
    process_cpu_usage: Percent | None = None
    """Of one core, of all instances together; so the others."""
    process_memory_bytes: Bytes | None = None
    process_threads: Count | None = None
    process_open_files: Count | None = None
    process_uptime_seconds: Seconds | None = None
    """Of the youngest."""
    restarts: Count | None = None
    """Since the collector began to look."""
    size_bytes: Bytes | None = None
    wal_bytes: Bytes | None = None
    occurrences: Count | None = None
    """How often it happened since the previous look: failed logins, uses of sudo, changed files."""
    per_minute: Number | None = None
    late_seconds: Seconds | None = None
    run_seconds: Seconds | None = None

    @property
    def state(self) -> int | None:
        """The status as a figure: 0 ok, 1 warning, 2 critical, None unknown.

        That a certificate expires is judged by `certificateDays`: in steps, each told once. So is that it has
        expired, where that is the one whose days are known.
        """
        has_expired = self.reason == "expired" and (self.certificate_days or 0.0) < 0
        if self.reason == "expiring" or has_expired:
            return 0
        return {"ok": 0, "warning": 1, "critical": 2}.get(self.status)


class Metric(BotRecord, kw_only=True, tag="metric"):
    """Anything else worth a graph or a rule. From: bots. To: all readers."""

    name: Name
    value: Number
    unit: Annotated[str, Meta(max_length=32)] = ""


class Event(BotRecord, kw_only=True, tag="event"):
    """Something that happened; the page shows a bot's latest. From: bots. To: recorder, broadcaster."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    title: Annotated[str, Meta(min_length=1, max_length=256)]
    text: Text = ""


AnyRecord = Performance | Equity | Order | Fill | Heartbeat | Health | Check | Metric | Event
KINDS: dict[str, type[Record]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (Performance, Equity, Order, Fill, Heartbeat, Health, Check, Metric, Event)
}


_encoder = msgspec.json.Encoder()
_frame_decoder = msgspec.json.Decoder(list[AnyRecord])


def encode_frame(records: list[AnyRecord]) -> bytes:
    """Return one entry of the log: the records of one request as a JSON array."""
    return _encoder.encode(records)


def decode_frame(frame: bytes) -> list[AnyRecord]:
    """Read what `encode_frame` wrote."""
    return _frame_decoder.decode(frame)


def encode_record(record: AnyRecord) -> bytes:
    """Return the record's JSON object."""
    return _encoder.encode(record)

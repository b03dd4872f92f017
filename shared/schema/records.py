"""Records: everything that bots, collectors and clients report. From: producers. To: all readers of the log.

These structs are the only definition of the wire: decoding, validation, JSON Schema, table columns and
Prometheus names are derived from them.
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
PositionSide = Literal["long", "short"]
ContractType = Literal["spot", "linear", "inverse", "quanto", "option"]
"""How the P&L of a symbol is made. `linear`: in the quote currency; `inverse`: in the base currency."""
TradeMatching = Literal["flat-to-flat", "fifo", "lifo", "average", "reported"]
"""What counts as a closed trade: see docs/metrics.md."""
Currency = Annotated[str, Meta(min_length=1, max_length=16)]
Timestamp = Annotated[datetime, Meta(tz=True)]
Sequence = Annotated[int, Meta(ge=0, le=2**53)]
"""Orders a bot's records of the same millisecond."""


def _from_wire(moment: datetime | int | None, field_name: str) -> datetime | None:
    """Return the time in UTC; ValueError names the field."""
    try:
        return None if moment is None else from_wire(moment)
    except ValueError as error:
        raise ValueError(f"`{field_name}`: {error}") from error


class Record(
    msgspec.Struct,
    kw_only=True,
    rename="camel",
    tag_field="kind",
    forbid_unknown_fields=True,
    omit_defaults=True,
    gc=False,  # no record refers to itself; else decoding a batch would take twice as long
):
    """Fields common to every record."""

    timestamp: Timestamp | int | None = None
    """ISO-8601 with a zone, or epoch milliseconds; default: the arrival time, set by ingestion."""
    id: Name | None = None
    """An identifier set by the producer: a record that is sent twice with it counts once."""
    labels: Labels = {}

    def __post_init__(self) -> None:
        self.timestamp = _from_wire(self.timestamp, "timestamp")

    @property
    def kind(self) -> str:
        """The tag on the wire."""
        return str(self.__struct_config__.tag)

    @property
    def at(self) -> datetime:
        """The record's timestamp in UTC; every record in the log has one."""
        if not isinstance(self.timestamp, datetime):
            raise TypeError("the record has no timestamp: it was not decoded by ingestion")
        return self.timestamp


class BotRecord(Record, kw_only=True):
    """A record about one bot."""

    bot: Name

    @property
    def subject(self) -> str:
        """The name of the bot."""
        return self.bot


class HostRecord(Record, kw_only=True):
    """A record about one host, or of a check that ran on it."""

    host: Name

    @property
    def subject(self) -> str:
        """The name of the host."""
        return self.host


class Undefined(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Why a metric has no value, and how many returns, trades or orders there are."""

    reason: Name
    """In snake case: `no_trades`, `no_losses`, `too_few_returns`, …"""
    n: Count = 0


class Difference(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The reported and the computed value of a metric, at the same time."""

    reported: Number
    computed: Number


class Performance(BotRecord, kw_only=True, tag="performance"):
    """A bot's metrics at one time. From: bots, recorder (computed). To: all readers.

    `shared.analytics` computes each metric by its definition; a bot may report any of them by its own.
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
    """Number of daily returns behind the ratios."""
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
    """Negative latencies that were left out: their timestamps come from different clocks."""
    fill_rate: Percent | None = None
    quantity_fill_rate: Percent | None = None
    reject_rate: Percent | None = None
    exposure: Percent | None = None
    """Gross notional as a share of the equity."""
    net_exposure: Percent | None = None
    leverage: Number | None = None
    concentration: Percent | None = None
    """Notional of the largest symbol as a share of the gross notional."""
    open_positions: Count | None = None
    margin_used: Money | None = None
    margin_ratio: Percent | None = None
    """Maintenance margin as a share of the equity; positions are liquidated at 100%."""
    liquidation_distance: Percent | None = None
    """How far the price of the position nearest to its liquidation is away from it."""
    fees_paid: Money | None = None
    funding_paid: Money | None = None
    """Funding, swap and interest: paid minus received."""
    turnover: Number | None = None
    """Traded notional over the mean equity, per day."""
    maker_share: Percent | None = None
    cost_share: Percent | None = None
    """Fees, slippage and funding as a share of the gross profit."""
    consecutive_losses: Count | None = None
    """Losing trades in a row until now."""
    recovery_factor: Number | None = None
    ulcer_index: Percent | None = None
    time_under_water: Percent | None = None
    """Share of the time below the peak."""
    skewness: Number | None = None
    kurtosis: Number | None = None
    """Excess kurtosis of daily returns."""
    tail_ratio: Number | None = None
    beta: Number | None = None
    alpha: Percent | None = None
    information_ratio: Number | None = None
    position_differences: Count | None = None
    """Positions that differed from the broker's within the last hour."""
    trade_differences: Count | None = None
    """Reported closed trades whose P&L differs from that of the fills, in the last 24 hours."""
    disagreements: Count | None = None
    """Number of metrics whose reported and computed values differed in two comparisons in a row.

    `differences` has both values of the latest comparison.
    """
    undefined: Annotated[dict[Name, Undefined], Meta(max_length=128)] = {}
    """Why a metric has no value, by its name on the wire."""
    low_confidence: Annotated[dict[Name, Count], Meta(max_length=128)] = {}
    """Metrics with too few samples to rely on, and the number of samples."""
    differences: Annotated[dict[Name, Difference], Meta(max_length=128)] = {}
    currency: Currency | None = None
    """The account's currency."""
    benchmark: Name | None = None
    """The symbol behind `beta`, `alpha` and `informationRatio`."""
    trade_matching: TradeMatching | None = None
    warnings: Annotated[list[Name], Meta(max_length=32)] = []
    """What is doubtful about the computed metrics, in snake case: `guessed_currency`, …"""
    source: Literal["reported", "computed"] = "reported"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.portfolio_value is None and self.source == "reported":
            raise ValueError("`portfolioValue`: required in a reported record, but missing")


class Equity(BotRecord, kw_only=True, tag="equity"):
    """The account's worth at one time. From: bots. To: recorder, evaluator."""

    equity: Money
    net_flow: Money = 0.0
    """Deposits minus withdrawals since the previous point, account currency."""
    cash: Money | None = None
    unrealized_pnl: Money | None = field(default=None, name="unrealizedPnL")
    currency: Currency | None = None
    """The account's currency; default: `currency` of the bot's settings, else the symbols' quote currency."""
    margin_used: Money | None = None
    """Initial margin of all open positions."""
    maintenance_margin: Money | None = None
    sequence: Sequence | None = None


OrderStatus = Literal[
    "submitted", "acknowledged", "partially_filled", "filled", "cancelled", "rejected", "expired"
]


class Order(BotRecord, kw_only=True, tag="order"):
    """One change of an order's status. From: bots. To: recorder."""

    order_id: Name
    symbol: Name
    side: Side
    type: Name = "market"
    quantity: Quantity
    limit_price: Number | None = None
    decision_price: Number | None = None
    """The price when the strategy decided: the reference of slippage."""
    status: OrderStatus
    reason: Text | None = None
    sequence: Sequence | None = None


class SymbolRecord(BotRecord, kw_only=True):
    """A record about a symbol, with the terms of its contract; settings have defaults for these terms."""

    symbol: Name
    position_side: PositionSide | None = None
    """In hedge mode: which of the symbol's two positions."""
    position_id: Name | None = None
    """Of brokers that keep each position of a symbol apart."""
    contract_type: ContractType | None = None
    multiplier: Quantity | None = None
    """Units of the base currency (`inverse`: of the quote currency) per contract; default 1."""
    lot_size: Quantity | None = None
    """The smallest quantity that can be traded."""
    base_currency: Currency | None = None
    quote_currency: Currency | None = None
    sequence: Sequence | None = None


class Fill(SymbolRecord, kw_only=True, tag="fill"):
    """One execution of an order. From: bots. To: recorder."""

    order_id: Name
    fill_id: Name
    side: Side
    quantity: Quantity
    price: Number
    fee: Money = 0.0
    fee_currency: Name | None = None
    liquidity: Literal["maker", "taker"] | None = None


class PositionSnapshot(SymbolRecord, kw_only=True, tag="position"):
    """A position as the broker has it at one time: an opening balance, and a check of the fills.

    From: bots. To: recorder.
    """

    quantity: Number
    """0 is flat; negative is short, unless `side` is given."""
    side: PositionSide | None = None
    entry_price: Number | None = None
    """Average price of the held quantity."""
    mark_price: Number | None = None
    liquidation_price: Number | None = None
    margin: Money | None = None
    """Margin of this position, account currency."""
    unrealized_pnl: Money | None = field(default=None, name="unrealizedPnL")
    opened_at: Timestamp | int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.opened_at = _from_wire(self.opened_at, "openedAt")

    @property
    def signed_quantity(self) -> float:
        """The quantity, negative if short."""
        side = self.side or self.position_side
        return self.quantity if side is None else abs(self.quantity) * (1 if side == "long" else -1)


class ReportedTrade(SymbolRecord, kw_only=True, tag="trade"):
    """A closed trade as the bot or its broker counts it; `timestamp` is when it closed.

    From: bots. To: recorder.
    """

    side: PositionSide
    quantity: Quantity
    entry_price: Number
    exit_price: Number
    pnl: Money
    """Net of fees and funding, account currency."""
    opened_at: Timestamp | int | None = None
    fees: Money = 0.0
    funding: Money = 0.0
    """Funding, swap and interest paid; negative is received."""
    reason: Text | None = None
    """Why it was closed: `stop_loss`, `take_profit`, …"""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.opened_at = _from_wire(self.opened_at, "openedAt")


class FundingPayment(BotRecord, kw_only=True, tag="funding"):
    """A payment for holding a position or borrowed money. From: bots. To: recorder."""

    amount: Money
    """What the account received; negative is paid."""
    type: Literal["funding", "swap", "interest"] = "funding"
    symbol: Name | None = None
    """The position it is paid for; None: the account."""
    position_side: PositionSide | None = None
    position_id: Name | None = None
    currency: Currency | None = None
    """Default: the account's."""
    rate: Percent | None = None
    sequence: Sequence | None = None


class CashFlow(BotRecord, kw_only=True, tag="flow"):
    """Money moved into the account or out of it. From: bots. To: recorder.

    Report a flow either so or as `netFlow` of an `equity` record, not both.
    """

    amount: Money
    """Positive into the account."""
    type: Literal["deposit", "withdrawal", "transfer", "bonus"] = "transfer"
    currency: Currency | None = None
    """Default: the account's."""
    sequence: Sequence | None = None


STOPPED, RETIRED, UNRETIRED = "stopped", "retired", "expected"


class Heartbeat(BotRecord, kw_only=True, tag="heartbeat"):
    """A heartbeat. From: bots, dashboard (retire, unretire). To: recorder, evaluator.

    Three values of `status` are special and do not count as a heartbeat. `stopped`: the bot stopped on
    purpose, and its absence opens no alert until its next record. `retired`: it stopped for good; its open
    alerts are also resolved. `expected`: an operator undid the retirement. Any other value is the bot's own.
    """

    status: Name = "ok"
    interval_seconds: Annotated[float, Meta(gt=0)] | None = None
    """The interval at which the bot sends heartbeats."""

    @property
    def ends(self) -> bool:
        """Whether the bot announces that it stops, temporarily or for good."""
        return self.status in (STOPPED, RETIRED)


class Disk(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One mounted file system."""

    mount: Text
    usage: Percent
    total_bytes: Bytes
    free_bytes: Bytes
    inode_usage: Percent | None = None
    full_days: Days | None = None
    """Days until it is full at the current rate; None if it does not fill."""
    read_only: bool = False
    """Whether it is read-only but should be writable, or was."""


Status = Literal["HEALTHY", "WARNING", "CRITICAL", "UNKNOWN"]


class Health(HostRecord, kw_only=True, tag="health"):
    """A host snapshot. From: collector. To: all readers."""

    system_health: Status = "UNKNOWN"
    reasons: list[Text] = []
    """Why `systemHealth` is not HEALTHY, one sentence each."""
    cpu_usage: Percent | None = None
    cpu_per_core: list[float] = []
    """Usage of each core in percent; empty if unknown."""
    cpu_steal: Percent | None = None
    """Time that the hypervisor gave to other machines."""
    cpu_iowait: Percent | None = None
    cpu_cores: Count | None = None
    cpu_pressure: Percent | None = None
    """PSI `some`: share of the time since the previous sample in which a task waited for CPU."""
    memory_pressure: Percent | None = None
    """PSI `full`: share of the time in which all tasks were stalled on memory."""
    io_pressure: Percent | None = None
    """PSI `full`: share of the time in which all tasks were stalled on I/O."""
    load1: Number | None = None
    load5: Number | None = None
    load15: Number | None = None
    memory_usage: Percent | None = None
    memory_total_bytes: Bytes | None = None
    memory_available_bytes: Bytes | None = None
    swap_usage: Percent | None = None
    disk_usage: Percent | None = None
    """Usage of the fullest file system in `disks`."""
    inode_usage: Percent | None = None
    """Usage of the file system with the smallest share of free inodes."""
    disk_full_days: Days | None = None
    """Days until the first file system is full at the current rate; None if none fills."""
    disks: list[Disk] = []
    read_only_disks: Count | None = None
    """Number of file systems that are read-only but should be writable, or were."""
    disk_read_bytes_per_second: BytesPerSecond | None = None
    disk_written_bytes_per_second: BytesPerSecond | None = None
    disk_busy: Percent | None = None
    """Busy time of the busiest disk."""
    network_received_bytes_per_second: BytesPerSecond | None = None
    network_sent_bytes_per_second: BytesPerSecond | None = None
    network_errors_per_second: Number | None = None
    network_drops_per_second: Number | None = None
    network_latency: Milliseconds | None = None
    """Time to connect to an exchange: the median of the checked exchanges."""
    processes: Count | None = None
    zombies: Count | None = None
    open_files_usage: Percent | None = None
    """Open file descriptors of all processes, as a share of the system's limit."""
    temperature_celsius: Number | None = None
    """Temperature of the hottest sensor."""
    clock_offset_ms: SignedMilliseconds | None = None
    """Offset of the clock from NTP time, positive is ahead; None if the kernel does not know it."""
    clock_synchronised: Flag | None = None
    """1 while NTP synchronises the clock."""
    oom_kills: Count | None = None
    """Number of OOM kills since the previous sample.

    In a container that monitors only itself: those of its own cgroup.
    """
    cgroup_throttled: Percent | None = None
    """Share of the periods in which the container was throttled by its CPU limit."""
    uptime_seconds: Seconds | None = None


CheckType = Literal[
    "process", "port", "http", "tcp", "dns", "database", "systemd", "container", "exchange", "status_page",
    "certificate", "logins", "listening", "sudo", "file", "secret", "heartbeat",
]  # fmt: skip
EVENT_CHECKS: frozenset[CheckType] = frozenset(("file", "listening", "logins", "secret", "sudo"))
"""Checks of what happens: they are never up or down."""
CheckStatus = Literal["ok", "warning", "critical", "unknown"]
CheckReason = Literal[
    "dns", "refused", "unreachable", "timeout", "tls", "http", "rate_limited", "protocol", "slow", "skewed",
    "not_running", "zombie", "changed", "expiring", "expired", "untrusted", "wrong_host", "weak", "denied",
    "late", "never_came", "ran_too_long", "failed", "too_many", "corrupt", "other",
]  # fmt: skip
"""Why a check is not ok, for machines; `text` is for people."""


PING_ID = "ping-"
"""How the IDs of check records begin that a ping led to; others of a heartbeat say how it stands."""
CHECK_STATE = "checkState"
"""Name of a check's status as a metric in rules."""


class Check(HostRecord, kw_only=True, tag="check"):
    """The result of one run of a check: a process, a service, an exchange, a certificate, a heartbeat.

    From: collector, ingestion (heartbeats). To: all readers.
    """

    check: Name
    """The name of the check, unique on the host."""
    type: CheckType
    status: CheckStatus
    reason: CheckReason | None = None
    text: Text = ""
    """The result in one sentence."""
    check_latency_ms: Milliseconds | None = None
    dns_ms: Milliseconds | None = None
    connect_ms: Milliseconds | None = None
    tls_ms: Milliseconds | None = None
    web_socket_ms: Milliseconds | None = None
    """Time from ping to pong."""
    latency_p50_ms: Milliseconds | None = None
    """Over the last 100 runs, like the other percentiles."""
    latency_p95_ms: Milliseconds | None = None
    latency_p99_ms: Milliseconds | None = None
    availability: Percent | None = None
    clock_skew_ms: SignedMilliseconds | None = None
    """How far the remote clock is ahead of this host's."""
    status_code: Count | None = None
    certificate_days: Days | None = None
    instances: Count | None = None
    """Number of matching processes."""
    process_cpu_usage: Percent | None = None
    """Of one core, summed over all instances, like the other `process` fields."""
    process_memory_bytes: Bytes | None = None
    process_threads: Count | None = None
    process_open_files: Count | None = None
    process_uptime_seconds: Seconds | None = None
    """Uptime of the newest instance."""
    restarts: Count | None = None
    """Number of restarts since the collector started."""
    size_bytes: Bytes | None = None
    wal_bytes: Bytes | None = None
    occurrences: Count | None = None
    """Number since the previous run: failed logins, uses of sudo, changed files."""
    per_minute: Number | None = None
    late_seconds: Seconds | None = None
    run_seconds: Seconds | None = None
    interval_seconds: Annotated[float, Meta(gt=0)] | None = None
    """The interval of the check's results: without another one it counts for three of them."""
    last_ping_at: Timestamp | int | None = None
    """Of a heartbeat: when the last run ended."""
    next_due_at: Timestamp | int | None = None
    """Of a heartbeat: when the next ping is expected."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.last_ping_at = _from_wire(self.last_ping_at, "lastPingAt")
        self.next_due_at = _from_wire(self.next_due_at, "nextDueAt")

    @property
    def state(self) -> int | None:
        """The status as a number: 0 ok, 1 warning, 2 critical, None unknown.

        The expiry of a certificate is evaluated by `certificateDays`, in steps that notify once each; so is
        an expired certificate whose days are known.
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


AnyRecord = (
    Performance
    | Equity
    | Order
    | Fill
    | PositionSnapshot
    | ReportedTrade
    | FundingPayment
    | CashFlow
    | Heartbeat
    | Health
    | Check
    | Metric
    | Event
)
KINDS: dict[str, type[Record]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (
        Performance, Equity, Order, Fill, PositionSnapshot, ReportedTrade, FundingPayment, CashFlow,
        Heartbeat, Health, Check, Metric, Event,
    )
}  # fmt: skip


_encoder = msgspec.json.Encoder()
_frame_decoder = msgspec.json.Decoder(list[AnyRecord])


def encode_frame(records: list[AnyRecord]) -> bytes:
    """Return one entry of the log: the records of one request as a JSON array."""
    return _encoder.encode(records)


def decode_frame(frame: bytes) -> list[AnyRecord]:
    """Decode what `encode_frame` returned."""
    return _frame_decoder.decode(frame)


def encode_record(record: AnyRecord) -> bytes:
    """Return the record's JSON object."""
    return _encoder.encode(record)

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
    Milliseconds,
    Money,
    Number,
    Percent,
    Seconds,
)

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+\Z")]
"""A bot's, host's, symbol's or metric's name: 1 to 128 characters, none of them a control character."""
Text = Annotated[str, Meta(max_length=4096)]
LabelName = Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,62}\Z")]
Labels = Annotated[dict[LabelName, Annotated[str, Meta(max_length=256)]], Meta(max_length=16)]
Quantity = Annotated[float, Meta(gt=0)]
Side = Literal["buy", "sell"]
Moment = Annotated[datetime, Meta(tz=True)]


class Record(
    msgspec.Struct,
    kw_only=True,
    rename="camel",
    tag_field="kind",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """Fields common to every record."""

    timestamp: Moment | int | None = None
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
            raise TypeError("the record has not passed a door: it has no timestamp")
        return self.timestamp


class BotRecord(Record, kw_only=True):
    """A record about one bot."""

    bot: Name

    @property
    def subject(self) -> str:
        """Whom the record is about."""
        return self.bot


class Performance(BotRecord, kw_only=True, tag="performance"):
    """A bot's figures at one moment. From: bots, recorder (computed). To: all readers."""

    portfolio_value: Money | None = None
    total_pnl: Money | None = field(default=None, name="totalPnL")
    realized_pnl: Money | None = field(default=None, name="realizedPnL")
    unrealized_pnl: Money | None = field(default=None, name="unrealizedPnL")
    sharpe_ratio: Number | None = None
    sortino_ratio: Number | None = None
    calmar_ratio: Number | None = None
    volatility: Percent | None = None
    max_drawdown: Percent | None = None
    current_drawdown: Percent | None = None
    var95: Percent | None = None
    var99: Percent | None = None
    cvar95: Percent | None = None
    win_rate: Percent | None = None
    profit_factor: Number | None = None
    expectancy: Money | None = None
    total_trades: Count | None = None
    trades_per_day: Number | None = None
    average_trade_duration: Seconds | None = None
    slippage_bps: BasisPoints | None = None
    order_latency_ms: Milliseconds | None = None
    fill_rate: Percent | None = None
    reject_rate: Percent | None = None
    exposure: Percent | None = None
    leverage: Number | None = None
    source: Literal["reported", "computed"] = "reported"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.portfolio_value is None and self.source == "reported":
            raise ValueError("`portfolioValue`: required of a reported record, but missing")


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


class Heartbeat(BotRecord, kw_only=True, tag="heartbeat"):
    """A sign of life. From: bots. To: evaluator."""

    status: Name = "ok"
    interval_seconds: Annotated[float, Meta(gt=0)] | None = None
    """How often the bot means to send one."""


class Disk(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One mounted file system."""

    mount: Text
    usage: Percent
    total_bytes: Bytes
    free_bytes: Bytes


Status = Literal["HEALTHY", "WARNING", "CRITICAL", "UNKNOWN"]


class Health(Record, kw_only=True, tag="health"):
    """A host snapshot. From: collector. To: all readers."""

    host: Name
    system_health: Status = "UNKNOWN"
    reasons: list[Text] = []
    """Why `systemHealth` is not HEALTHY, one sentence each."""
    cpu_usage: Percent | None = None
    cpu_cores: Count | None = None
    load1: Number | None = None
    load5: Number | None = None
    load15: Number | None = None
    memory_usage: Percent | None = None
    memory_total_bytes: Bytes | None = None
    memory_available_bytes: Bytes | None = None
    swap_usage: Percent | None = None
    disk_usage: Percent | None = None
    """Of the fullest file system in `disks`."""
    disks: list[Disk] = []
    network_received_bytes_per_second: BytesPerSecond | None = None
    network_sent_bytes_per_second: BytesPerSecond | None = None
    network_latency: Milliseconds | None = None
    processes: Count | None = None
    uptime_seconds: Seconds | None = None

    @property
    def subject(self) -> str:
        """Whom the record is about."""
        return self.host


class Metric(BotRecord, kw_only=True, tag="metric"):
    """Anything else worth a graph or a rule. From: bots. To: all readers."""

    name: Name
    value: Number
    unit: Annotated[str, Meta(max_length=32)] = ""


class Event(BotRecord, kw_only=True, tag="event"):
    """Something that happened, shown on charts as an annotation. From: bots. To: recorder, broadcaster."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    title: Annotated[str, Meta(min_length=1, max_length=256)]
    text: Text = ""


AnyRecord = Performance | Equity | Order | Fill | Heartbeat | Health | Metric | Event
KINDS: dict[str, type[Record]] = {
    str(kind.__struct_config__.tag): kind
    for kind in (Performance, Equity, Order, Fill, Heartbeat, Health, Metric, Event)
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

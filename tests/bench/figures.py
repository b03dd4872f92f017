"""Figures of a measurement, and the lines that show them. Pure."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Latencies:
    """How long each of `sent` breaches took to reach the receiver, in ms; what never arrived is missing."""

    name: str
    sent: int
    ms: Sequence[float]

    @property
    def lost(self) -> int:
        """How many never arrived."""
        return self.sent - len(self.ms)

    def quantile(self, share: float) -> float:
        """Return the latency that `share` of the breaches stayed within; what never arrived took forever."""
        rank = math.ceil(share * self.sent)
        return sorted(self.ms)[rank - 1] if rank <= len(self.ms) else math.inf


@dataclass(frozen=True)
class Round:
    """One round of a throughput measurement: `records` taken by the door, then in SQLite; and raw, in s."""

    records: int
    taken_s: float
    stored_s: float
    raw_s: float


@dataclass(frozen=True)
class Throughput:
    """Rounds of the same measurement; each figure is the median of them, in records a second."""

    name: str
    rounds: Sequence[Round]

    @property
    def taken(self) -> float:
        """How fast the door took them."""
        return median(one.records / one.taken_s for one in self.rounds)

    @property
    def stored(self) -> float:
        """How fast they were in SQLite."""
        return median(one.records / one.stored_s for one in self.rounds)

    @property
    def raw(self) -> float:
        """How fast `executemany` writes the same rows."""
        return median(one.records / one.raw_s for one in self.rounds)

    @property
    def ratio(self) -> float:
        """Which share of raw `executemany` is reached, round by round."""
        return median(one.raw_s / one.stored_s for one in self.rounds)


@dataclass(frozen=True)
class BenchHistory:
    """How long answers about so many minutes took, and how long it takes to read their rows, ms."""

    minutes: int
    answers: Sequence[Latencies]
    naive_ms: float
    rollup_us: float
    """What it took to roll a row up."""


@dataclass(frozen=True)
class Cost:
    """What the figures of one bot cost after `events` events."""

    events: int
    fold_us: float
    """Per event."""
    record_us: float
    """Per computed record."""
    both_us: float
    """Per event, a computed record once a second included."""
    dumped: int
    """Bytes of the state as JSON."""
    held: int
    """Bytes of the state in memory."""


def history_table(found: BenchHistory) -> list[str]:
    """Show answers, a line each."""
    lines = [f"{f'{found.minutes:,} minutes of a bot':<50}{'p50 ms':>10}{'p99 ms':>10}{'ratio':>8}"]
    for one in found.answers:
        ratio = found.naive_ms / one.quantile(0.5)
        lines.append(f"{one.name:<50}{one.quantile(0.5):>10,.1f}{one.quantile(0.99):>10,.1f}{ratio:>8,.0f}")
    naive = f"ratio: to reading the rows and keeping the last of each day, {found.naive_ms:,.0f} ms"
    return [*lines, f"{naive}; a row is rolled up in {found.rollup_us:.1f} µs"]


def cost_table(found: Sequence[Cost]) -> list[str]:
    """Show what figures cost after histories of growing length, a line each."""
    lines = [
        f"{'figures of a bot, after':<30}{'µs/event':>10}{'ratio':>8}{'µs/record':>11}{'both':>8}{'KiB':>8}"
    ]
    for one in found:
        ratio = one.fold_us / found[0].fold_us
        kib = max(one.dumped, one.held) / 1024
        name = f"{one.events:,} events"
        lines.append(
            f"{name:<30}{one.fold_us:>10.1f}{ratio:>8.2f}{one.record_us:>11,.0f}{one.both_us:>8.1f}{kib:>8,.0f}"
        )
    return [*lines, "both: an event's share of a record a second included, at 100 events a second"]


def latency_table(found: Iterable[Latencies]) -> list[str]:
    """Show latencies, a line each."""
    lines = [f"{'breach → webhook':<50}{'arrived':>9}{'p50 ms':>10}{'p99 ms':>10}"]
    for one in found:
        arrived = f"{len(one.ms)}/{one.sent}"
        lines.append(f"{one.name:<50}{arrived:>9}{one.quantile(0.5):>10,.1f}{one.quantile(0.99):>10,.1f}")
    return lines


def throughput_table(found: Iterable[Throughput]) -> list[str]:
    """Show throughputs, a line each."""
    lines = [f"{'records/s':<50}{'taken':>9}{'in SQLite':>10}{'raw':>10}{'ratio':>8}"]
    lines += [
        f"{one.name:<50}{one.taken:>9,.0f}{one.stored:>10,.0f}{one.raw:>10,.0f}{one.ratio:>8.2f}"
        for one in found
    ]
    return [*lines, "raw: executemany of the same rows into an equal table, a commit per 1,000 rows"]


def verdict(doors: Sequence[Latencies], peer: Latencies) -> str:
    """Say how much quicker than the peer Botwatch is, by its slowest and by its quickest door."""
    halves = [door.quantile(0.5) for door in doors]
    slowest, quickest = (peer.quantile(0.5) / half for half in (max(halves), min(halves)))
    return (
        f"Botwatch is {slowest:,.0f} times quicker by its slowest door, {quickest:,.0f} by its quickest (p50)"
    )

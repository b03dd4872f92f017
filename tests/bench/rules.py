"""Cost of the rules: records a second against ever more rules, and what is remembered of bots.

The pure engine alone, as the evaluator calls it: decoded records in, events out. Ten rules concern every
record; the others are on figures, bots and labels that it does not have.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.rules.engine import Engine
from shared.rules.loader import rule_from_condition
from shared.rules.rule import Rule
from shared.schema.conditions import Condition
from shared.schema.records import AnyRecord, Performance
from shared.schema.timestamps import EPOCH, MILLISECOND
from tests.bench.analytics import BEGIN, deep_size

CONCERN = 10
RULES = (10, 100, 1000)
BOTS = 100
PER_ENTRY = 10
"""Records in an entry of the log."""
HELD_BOTS = 20
"""For what a thousand bots take, so many are looked at, after `SECONDS` with a record each."""
SECONDS = 300
STEP_MS = 10
"""Between two entries: each bot reports once in a tenth of a second."""
TARGET = 50_000
"""Records a second against 100 rules, on one core."""
FIGURES = {
    "max_drawdown": "maxDrawdown", "current_drawdown": "currentDrawdown", "sharpe_ratio": "sharpeRatio",
    "volatility": "volatility", "var95": "var95", "win_rate": "winRate", "slippage_bps": "slippageBps",
    "order_latency_ms": "orderLatencyMs", "reject_rate": "rejectRate", "leverage": "leverage",
}  # fmt: skip
WINDOW = {"aggregate": "avg", "window": "5m"}
MIX: tuple[dict[str, Any], ...] = (
    {},
    {"levels": [{"threshold": 120, "severity": "CRITICAL"}], "clearThreshold": 90},
    {"for": "1m"},
    WINDOW,
    {"aggregate": "max", "window": "1m"},
    {"aggregate": "quantile", "quantile": 0.95, "window": "1m"},
    {"times": 3, "of": 5},
    {"comparedWith": {"metricName": "volatility"}},
    {"comparedWith": {"offset": "1h"}, "window": "5m"},
    {"kind": "absence", "period": "30s", "grace": "10s"},
)
"""What is added to a plain threshold: one rule of each kind."""
WINDOWS: tuple[dict[str, Any], ...] = (
    WINDOW,
    {"aggregate": "max", "window": "5m"},
    {"aggregate": "min", "window": "5m"},
    {"aggregate": "sum", "window": "5m"},
    {"aggregate": "count", "window": "5m"},
    {"aggregate": "quantile", "quantile": 0.95, "window": "5m"},
    {"aggregate": "change", "window": "5m"},
    {"aggregate": "avg", "window": "1h"},
    {"aggregate": "max", "window": "1h"},
    {"aggregate": "quantile", "quantile": 0.99, "window": "1h"},
)
"""Ten rules on windows."""
WINDOW_TARGET = 30_000
"""Records a second against ten rules on windows, on one core."""
WINDOW_BOTS = 10
WINDOW_STEP_MS = 1_000
"""Each bot reports once a second, so that the windows are full."""


Entries = Sequence[tuple[int, list[AnyRecord]]]


@dataclass(frozen=True)
class Rate:
    """How many records a second were judged by ten of so many rules."""

    name: str
    rules: int
    per_s: float


@dataclass(frozen=True)
class Held:
    """What a thousand bots with twenty rules each take, bytes: in memory and in the store."""

    held: int
    stored: int


@dataclass(frozen=True)
class RuleCost:
    """What the rules cost."""

    plain: Sequence[Rate]
    mixed: Sequence[Rate]
    windows: Rate
    thresholds: Held
    kinds: Held


def measure(*, records: int, rounds: int) -> RuleCost:
    """Judge `records` against each number of rules, best of `rounds`."""
    entries = make_entries(records, BOTS)
    plain = [_rate("plain thresholds", plain_rules(count), entries, rounds) for count in RULES]
    mixed = [_rate("one rule of each kind", mixed_rules(count), entries, rounds) for count in RULES]
    full = make_entries(records, WINDOW_BOTS, WINDOW_STEP_MS)
    windows = _rate("rules on windows of 5 minutes and an hour", window_rules(), full, rounds)
    seconds = make_entries(HELD_BOTS * SECONDS, HELD_BOTS, 1000 * PER_ENTRY // HELD_BOTS)
    return RuleCost(
        plain,
        mixed,
        windows,
        _held([*plain_rules(CONCERN, "a"), *plain_rules(CONCERN, "b")], seconds),
        _held([*mixed_rules(CONCERN, "a"), *mixed_rules(CONCERN, "b")], seconds),
    )


def table(cost: RuleCost) -> list[str]:
    """Show rates, a line each, and what is held."""
    lines = [f"{'rules, ten of which concern a record':<50}{'rules':>9}{'records/s':>12}{'ratio':>8}"]
    for rates in (cost.plain, cost.mixed):
        lines += [
            f"{one.name:<50}{one.rules:>9,}{one.per_s:>12,.0f}{one.per_s / rates[0].per_s:>8.2f}"
            for one in rates
        ]
    against = next(one.per_s for one in cost.plain if one.rules == 100)
    lines.append(f"ratio: to ten rules; of the target ({TARGET:,}/s, 100 rules): {against / TARGET:.2f}")
    one = cost.windows
    lines.append(f"{one.name:<50}{one.rules:>9,}{one.per_s:>12,.0f}{one.per_s / WINDOW_TARGET:>8.2f}")
    lines.append(f"ratio: of the target ({WINDOW_TARGET:,}/s)")
    lines += [
        f"1,000 bots with 20 {name}: {one.held / 2**20:.1f} MiB in memory, {one.stored / 2**20:.1f} stored"
        for name, one in (("thresholds", cost.thresholds), ("rules, two of each kind", cost.kinds))
    ]
    return lines


def plain_rules(count: int, prefix: str = "rule") -> list[Rule]:
    """Return ten thresholds that concern every record, and others up to `count`."""
    mine = [_rule(f"{prefix}-{name}", name) for name in FIGURES.values()]
    return [*mine, *_strangers(count - CONCERN)]


def mixed_rules(count: int, prefix: str = "rule") -> list[Rule]:
    """Return a rule of each kind that concerns every record, and others up to `count`."""
    pairs = zip(FIGURES.values(), MIX, strict=True)
    return [*(_rule(f"{prefix}-{name}", name, **more) for name, more in pairs), *_strangers(count - CONCERN)]


def window_rules() -> list[Rule]:
    """Return ten rules on windows that concern every record."""
    pairs = zip(FIGURES.values(), WINDOWS, strict=True)
    return [_rule(f"window-{name}", name, threshold=1e6, **more) for name, more in pairs]


def _strangers(count: int) -> list[Rule]:
    """Return rules that concern no record: by their figure, their bots or their labels."""
    names = list(FIGURES.values())
    others: tuple[dict[str, Any], ...] = (
        {"metricName": "somethingElse"}, {"bots": ["other-*"]}, {"labels": {"venue": "x*"}},
    )  # fmt: skip
    return [
        _rule(f"stranger-{number}", names[number % CONCERN], **others[number % len(others)])
        for number in range(count)
    ]


def _rule(name: str, metric: str, **further: Any) -> Rule:
    wire = {"name": name, "metricName": metric, "severity": "HIGH"}
    limit = {} if "kind" in further else {"operator": ">", "threshold": 100.0}
    return rule_from_condition(msgspec.convert({**wire, **limit, **further}, Condition))


def make_entries(records: int, bots: int, step_ms: int = STEP_MS) -> Entries:
    """Return entries of the log: bots in turn, figures that change and stay within their limits."""
    chance = random.Random(1)
    found = []
    for number in range(records // PER_ENTRY):
        at = BEGIN + number * step_ms
        moment = EPOCH + at * MILLISECOND
        piece: list[AnyRecord] = []
        for one in range(PER_ENTRY):
            values: dict[str, Any] = {name: round(50 * chance.random(), 3) for name in FIGURES}
            bot = f"bot-{(number * PER_ENTRY + one) % bots}"
            piece.append(Performance(bot=bot, portfolio_value=1.0, timestamp=moment, **values))
        found.append((at, piece))
    return found


def _rate(name: str, rules: Sequence[Rule], entries: Entries, rounds: int) -> Rate:
    took = min(_fold(Engine(rules), entries) for _ in range(rounds))
    return Rate(name, len(rules), sum(len(records) for _, records in entries) / took)


def _fold(engine: Engine, entries: Entries) -> float:
    """Return the CPU time that the engine takes, seconds."""
    begun = time.process_time()
    for at, records in entries:
        for _ in engine.process(records, at):
            pass
    return time.process_time() - begun


def _held(rules: Sequence[Rule], entries: Entries) -> Held:
    engine = Engine(rules)
    _fold(engine, entries)
    kept = engine.changed().kept
    stored = sum(len(key) + len(data) for key, data in kept.items())
    return Held(deep_size(engine.states) * 1000 // HELD_BOTS, stored * 1000 // HELD_BOTS)

"""The demo bot over the whole real data: what it earns, and that the server understands all it says."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

import msgspec
import pytest

from botwatch.demo.bot import TradingBot
from botwatch.demo.prices import load_bars
from botwatch.demo.replay import replay
from shared.schema.decoding import decode

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BARS = load_bars()
Batches = list[list[dict[str, Any]]]


def batches(reject_rate: float, count: int) -> Batches:
    """Return the records of the first bars, a tenth of a second apart."""
    moments: Iterator[datetime] = (NOON + timedelta(seconds=0.1 * i) for i in range(count + 10))
    made = replay("b", "s", BARS, Random(1), lambda: next(moments), reject_rate=reject_rate)
    return list(islice(made, count))


@pytest.fixture(scope="module")
def honest() -> Batches:
    return batches(0.0, len(BARS))


@pytest.fixture(scope="module")
def rejecting() -> Batches:
    return batches(0.1, len(BARS) + 2)


def test_the_strategy_makes_167_trades_and_loses_about_8_4_percent(honest: Batches) -> None:
    bot = TradingBot("b", "r", Random(1), reject_rate=0.0)
    for index, bar in enumerate(BARS):
        bot.on_open(bar.open, NOON)
        bot.on_close(bar, NOON, last=index == len(BARS) - 2)
    assert len(BARS) == 5000
    assert len(bot.account.closed) == 167
    assert bot.account.position == 0
    assert bot.account.cash / bot.account.start - 1 == pytest.approx(-0.0844, abs=0.0005)
    last = honest[-1][-1]
    assert (last["totalTrades"], last["totalPnL"]) == (167, pytest.approx(bot.account.cash - 10_000))
    assert last["winRate"] == pytest.approx(100 * 56 / 167)
    assert last["maxDrawdown"] == pytest.approx(10.9, abs=0.05)


def test_everything_said_is_valid_on_the_server(honest: Batches, rejecting: Batches) -> None:
    for run in (honest, rejecting):
        everything = msgspec.json.encode([record for batch in run for record in batch])
        assert decode(everything, arrival=NOON).faults == []


def test_every_bar_gives_one_equity_and_one_performance_record_of_the_same_worth(honest: Batches) -> None:
    for batch in honest:
        (equity,) = (record for record in batch if record["kind"] == "equity")
        (performance,) = (record for record in batch if record["kind"] == "performance")
        assert performance["portfolioValue"] == equity["equity"]
        assert performance["totalPnL"] == pytest.approx(
            performance["realizedPnL"] + performance["unrealizedPnL"], abs=1e-6
        )


def test_figures_that_are_undefined_are_left_out(honest: Batches) -> None:
    first = honest[0][-1]
    assert (
        not {"sharpeRatio", "winRate", "profitFactor", "slippageBps", "fillRate", "rejectRate"} & first.keys()
    )
    assert {"sharpeRatio", "winRate", "profitFactor", "slippageBps", "fillRate"} <= honest[-1][-1].keys()


def test_an_order_is_decided_at_a_close_and_filled_at_the_next_open(honest: Batches) -> None:
    index = next(i for i, batch in enumerate(honest) if any(r["kind"] == "order" for r in batch))
    (submitted,) = (record for record in honest[index] if record["kind"] == "order")
    acknowledged, fill, filled = honest[index + 1][:3]
    assert [r["status"] for r in (submitted, acknowledged, filled)] == ["submitted", "acknowledged", "filled"]
    assert submitted["decisionPrice"] == BARS[index].close
    assert fill["price"] == BARS[index + 1].open
    assert fill["fee"] == pytest.approx(0.0002 * fill["quantity"] * fill["price"])
    assert submitted["timestamp"] < acknowledged["timestamp"] <= filled["timestamp"]
    assert acknowledged["labels"]["simulated"] == "true"


def test_rejects_are_labelled_and_the_order_is_sent_again(rejecting: Batches) -> None:
    orders = [record for batch in rejecting for record in batch if record["kind"] == "order"]
    statuses = Counter(order["status"] for order in orders)
    assert 5 < statuses["rejected"] < 40
    assert statuses["submitted"] - statuses["rejected"] - statuses["cancelled"] == statuses["filled"]
    rejected = next(order for order in orders if order["status"] == "rejected")
    assert rejected["labels"]["simulated"] == "true"
    assert rejected["reason"].startswith("simulated")
    again = orders[orders.index(rejected) + 1]
    assert (again["status"], again["quantity"]) == ("submitted", rejected["quantity"])
    assert again["orderId"] != rejected["orderId"]


def test_a_new_run_says_so_and_says_what_was_paid_in(rejecting: Batches) -> None:
    ended, begun, after = rejecting[-3:]
    event, equity = begun[:2]
    assert (rejecting[0][0]["title"], event["title"]) == ("replay begins", "replay begins again")
    assert equity["equity"] == 10_000
    assert equity["netFlow"] == pytest.approx(10_000 - ended[-1]["portfolioValue"])
    assert [record["netFlow"] for record in after if record["kind"] == "equity"] == [0]


def test_ids_of_orders_are_unique_across_runs() -> None:
    made = replay("b", "s", BARS[:200], Random(1), lambda: NOON, reject_rate=0.0)
    records = [record for batch in islice(made, 600) for record in batch]
    submitted = [r["orderId"] for r in records if r["kind"] == "order" and r["status"] == "submitted"]
    assert len(submitted) > 6
    assert len(set(submitted)) == len(submitted)

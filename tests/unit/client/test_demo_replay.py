"""The demo bot over the whole real data: what it earns, when things happen, and that its books are right."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count, islice, pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from botwatch import typed_json
from botwatch.demo.prices import load_bars
from botwatch.demo.replay import ReplayPosition, Step, batch_history, replay, seeded_exchange
from botwatch.demo.simulated_exchange import SimulatedExchange
from shared.schema.decoding import decode

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
BARS = load_bars()
HISTORY = 2500
FEW = BARS[:400]


def perfect(run: int) -> SimulatedExchange:
    return SimulatedExchange(Random(run), reject_rate=0.0, partial_rate=0.0, miss_rate=0.0)


def harsh(run: int) -> SimulatedExchange:
    return SimulatedExchange(Random(run), reject_rate=0.3, partial_rate=0.3, miss_rate=0.3)


def clock(*, every_s: float = 0.1, begin: datetime = NOON) -> Callable[[], datetime]:
    """Return a clock that goes on by `every_s` whenever it is read."""
    moments: Iterator[datetime] = (begin + timedelta(seconds=every_s * i) for i in count(1))
    return lambda: next(moments)


def session(history: int = 0) -> ReplayPosition:
    return ReplayPosition(session="s", history=history, began=NOON, at=NOON)


def records_of(steps: list[Step]) -> list[dict[str, Any]]:
    return [record for _, made in steps for record in made]


def of_kind(steps: list[Step], kind: str) -> list[dict[str, Any]]:
    return [record for record in records_of(steps) if record["kind"] == kind]


def time_of(record: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(record["timestamp"])


def signed(fill: dict[str, Any]) -> float:
    return float(fill["quantity"]) * (1 if fill["side"] == "buy" else -1)


def positions(steps: list[Step]) -> list[float]:
    """Return the position after each fill, beginning with none."""
    held = [0.0]
    for fill in of_kind(steps, "fill"):
        held.append(held[-1] + signed(fill))
    return held


@pytest.fixture(scope="module")
def whole() -> list[Step]:
    """Return the demo as it is: half of the bars as history, and a little more than two runs in all."""
    return list(islice(replay("b", session(HISTORY), BARS, clock()), 2 * len(BARS) + 10))


@pytest.fixture(scope="module")
def rough() -> list[Step]:
    """Return two runs and a bit over few bars, on an exchange that rejects and fills in parts often."""
    return list(islice(replay("b", session(100), FEW, clock(), harsh), 2 * len(FEW) + 10))


def test_a_perfect_exchange_gives_167_trades() -> None:
    """And a loss of 8.4%, as the documentation says."""
    steps = list(islice(replay("b", session(), BARS, clock(), perfect), len(BARS)))
    held = positions(steps)
    assert len(BARS) == 5000
    assert sum(before != 0 and before * after <= 0 for before, after in pairwise(held)) == 167
    assert held[-1] == 0
    assert of_kind(steps, "equity")[-1]["equity"] / 10_000 - 1 == pytest.approx(-0.0844, abs=0.0005)


def test_only_raw_events_are_published(whole: list[Step]) -> None:
    """The server decodes all of them; metrics are computed by Botwatch."""
    made = records_of(whole)
    assert decode(msgspec.json.encode(made), arrival=NOON).faults == []
    assert {record["kind"] for record in made} == {"equity", "order", "fill", "position", "metric", "event"}
    assert {record["labels"]["replay"] for record in made} == {"EURUSD 1h"}


def test_equity_follows_from_fills_fees_and_deposits(whole: list[Step], rough: list[Step]) -> None:
    """Each equity record is cash plus the value of the position."""
    for bars, steps in ((BARS, whole), (FEW, rough)):
        cash, position = 10_000.0, 0.0
        for index, (_, made) in enumerate(steps):
            for fill in (record for record in made if record["kind"] == "fill"):
                cash -= signed(fill) * fill["price"] + fill["fee"]
                position += signed(fill)
                assert fill["feeCurrency"] == "USD"
            (equity,) = (record for record in made if record["kind"] == "equity")
            cash += equity["netFlow"]
            assert equity["cash"] == pytest.approx(cash, abs=1e-6)
            worth = cash + position * bars[index % len(bars)].close
            assert equity["equity"] == pytest.approx(worth, abs=1e-6)


def test_positions_and_prices_are_those_of_the_account(rough: list[Step]) -> None:
    """A price per bar; the position when it has changed and every 50 bars, flat at the end of a run."""
    held, cost = 0.0, 0.0
    reported, told = 0.0, []
    for index, (_, made) in enumerate(rough):
        bar = index % len(FEW)
        for fill in (record for record in made if record["kind"] == "fill"):
            assert fill["liquidity"] == "taker"
            if held * (held + signed(fill)) <= 0:
                cost = fill["price"]
            elif abs(held + signed(fill)) > abs(held):
                cost = (cost * held + signed(fill) * fill["price"]) / (held + signed(fill))
            held += signed(fill)
        (price,) = (record for record in made if record["kind"] == "metric")
        assert (price["name"], price["value"], price["unit"]) == ("EURUSD", FEW[bar].close, "price")
        found = [record for record in made if record["kind"] == "position"]
        assert len(found) == (held != reported or (bar + 1) % 50 == 0)
        for position in found:
            reported = held
            assert (position["quantity"], position["markPrice"]) == (held, FEW[bar].close)
            assert position.get("entryPrice") == (pytest.approx(cost) if held else None)
            told.append(held)
    assert reported == held
    assert 0.0 in told
    assert {equity["currency"] for equity in of_kind(rough, "equity")} == {"USD"}


def test_the_history_keeps_the_spacing_of_the_bars(whole: list[Step]) -> None:
    """It ends when the session began."""
    closes = [time_of(equity) for equity in of_kind(whole, "equity")]
    assert closes[HISTORY - 1] == NOON
    spacing = [after - before for before, after in pairwise(closes[:HISTORY])]
    assert spacing == [after.time - before.time for before, after in pairwise(BARS[:HISTORY])]
    assert closes[HISTORY] == NOON + timedelta(seconds=0.1)


def test_the_history_is_long_enough_for_var_99(whole: list[Step]) -> None:
    """It has at least 100 daily returns."""
    days = {time_of(equity).date() for equity in of_kind(whole[:HISTORY], "equity")}
    assert len(days) - 1 >= 100


@pytest.mark.parametrize("every_s", [0.0, 0.001, 0.1, 60.0])
def test_times_never_decrease_and_are_not_in_the_future(every_s: float) -> None:
    """Over history and live bars."""
    seen = NOON
    now = clock(every_s=every_s)

    def watched() -> datetime:
        nonlocal seen
        seen = now()
        return seen

    last = NOON - timedelta(days=365)
    for position, made in islice(replay("b", session(100), FEW, watched, harsh), 2 * len(FEW)):
        for record in made:
            assert last <= time_of(record) <= seen
            last = time_of(record)
        assert position.at <= seen


def test_a_clock_that_is_set_back() -> None:
    """Records keep the time of the last bar."""
    set_back = clock(begin=NOON - timedelta(hours=1))
    for position, made in islice(replay("b", session(), FEW, set_back), 100):
        assert position.at == NOON
        assert {time_of(record) for record in made} == {NOON}


def test_an_order_fills_at_the_open_after_its_decision() -> None:
    """Its decision price is the close before."""
    steps = list(islice(replay("b", session(HISTORY), BARS, clock(), perfect), 500))
    index = next(i for i, (_, made) in enumerate(steps) if made[-1]["kind"] == "order")
    submitted = steps[index][1][-1]
    acknowledged, fill, filled = steps[index + 1][1][:3]
    assert [r["status"] for r in (submitted, acknowledged, filled)] == ["submitted", "acknowledged", "filled"]
    assert submitted["decisionPrice"] == BARS[index].close
    assert fill["price"] == BARS[index + 1].open
    assert fill["fee"] == pytest.approx(0.0002 * fill["quantity"] * fill["price"])
    assert submitted["timestamp"] < acknowledged["timestamp"] < fill["timestamp"] == filled["timestamp"]
    assert time_of(filled) - time_of(submitted) < timedelta(seconds=1)
    assert submitted["labels"].keys() == {"replay"}
    assert acknowledged["labels"]["simulated"] == fill["labels"]["simulated"] == "timestamp"


def test_one_order_in_ten_fills_in_two_parts(whole: list[Step]) -> None:
    """The second part at a slightly worse price."""
    fills: dict[str, list[dict[str, Any]]] = {}
    for fill in of_kind(whole, "fill"):
        fills.setdefault(fill["orderId"], []).append(fill)
    orders = {order["orderId"]: order for order in of_kind(whole, "order")}
    parts = {order: found for order, found in fills.items() if len(found) > 1}
    assert 0.05 < len(parts) / len(fills) < 0.15
    partly = [order["orderId"] for order in of_kind(whole, "order") if order["status"] == "partially_filled"]
    assert partly == list(parts)
    for name, (first, second) in parts.items():
        assert first["quantity"] + second["quantity"] == orders[name]["quantity"]
        assert orders[name]["status"] == "filled"
        worse = signed(second) * (second["price"] - first["price"])
        assert worse == pytest.approx(0.00005 * second["quantity"])
        assert first["timestamp"] <= second["timestamp"]
        assert second["labels"]["simulated"] == "timestamp quantity price"


def test_rejects_are_labelled_and_sent_again(rough: list[Step]) -> None:
    """The label `simulated` names the fields that were drawn."""
    orders = of_kind(rough, "order")
    statuses = Counter(order["status"] for order in orders)
    assert statuses["rejected"] > 3
    assert statuses["submitted"] == statuses["rejected"] + statuses["cancelled"] + statuses["filled"]
    rejected = next(order for order in orders if order["status"] == "rejected")
    assert rejected["labels"]["simulated"] == "timestamp status reason"
    assert rejected["reason"].startswith("simulated")
    again, acknowledged = islice(orders, orders.index(rejected) + 1, orders.index(rejected) + 3)
    assert (again["status"], again["quantity"]) == ("submitted", rejected["quantity"])
    assert again["orderId"] == acknowledged["orderId"] != rejected["orderId"]
    assert acknowledged["status"] == "acknowledged"


def test_few_orders_are_cancelled_and_most_are_filled(whole: list[Step]) -> None:
    """As on a real exchange."""
    statuses = Counter(order["status"] for order in of_kind(whole, "order"))
    assert statuses["submitted"] == statuses["rejected"] + statuses["cancelled"] + statuses["filled"]
    assert 0.01 < statuses["rejected"] / statuses["submitted"] < 0.06


def test_a_new_run_has_an_event_and_a_net_flow(whole: list[Step]) -> None:
    """The loss of the previous run is paid in."""
    assert positions(whole[: len(BARS)])[-1] == 0
    ended = of_kind(whole[: len(BARS)], "equity")[-1]
    begun, after = of_kind(whole[len(BARS) : len(BARS) + 2], "equity")
    assert begun["equity"] == 10_000
    assert begun["netFlow"] == pytest.approx(10_000 - ended["equity"])
    assert after["netFlow"] == 0
    titles = [event["title"] for event in of_kind(whole, "event")]
    assert titles == ["replay started", "replay restarted", "replay restarted"]


def test_a_run_ends_flat_even_if_orders_are_rejected() -> None:
    """The position is closed at the last open."""
    for count_of_bars in range(60, 120):
        bars = BARS[:count_of_bars]
        run = replay("b", session(), bars, clock(), lambda _: SimulatedExchange(Random(1), reject_rate=1.0))
        steps = list(islice(run, count_of_bars))
        assert positions(steps)[-1] == 0
        last = {order["orderId"]: order["status"] for order in of_kind(steps, "order")}
        assert set(last.values()) <= {"filled", "rejected", "cancelled"}


def test_ids_are_unique_across_runs(whole: list[Step]) -> None:
    """Of records, fills and orders."""
    ids = [record["id"] for record in records_of(whole)]
    fills = [fill["fillId"] for fill in of_kind(whole, "fill")]
    sent = [order["orderId"] for order in of_kind(whole, "order") if order["status"] == "submitted"]
    for names in (ids, fills, sent):
        assert len(set(names)) == len(names) > 300


@cache
def three_runs(exchange: Callable[[int], SimulatedExchange]) -> list[Step]:
    """Return what comes without a restart."""
    return list(islice(replay("b", session(100), FEW, clock(), exchange), 1250))


@pytest.mark.parametrize("exchange", [seeded_exchange, harsh])
@pytest.mark.parametrize("done", [1, 57, 100, 101, 273, 399, 400, 401, 650, 800, 1234])
def test_a_restart_continues_with_the_same_records(
    done: int, exchange: Callable[[int], SimulatedExchange]
) -> None:
    """From any position, through JSON, on any exchange."""
    steps = three_runs(exchange)
    kept = typed_json.decode(typed_json.encode(vars(steps[done - 1][0])), ReplayPosition)
    later = clock(begin=NOON + timedelta(days=1))
    resumed = list(islice(replay("b", kept, FEW, later, exchange), 1250 - done))
    assert [position.step for position, _ in resumed] == [position.step for position, _ in steps[done:]]
    for (position, expected), (_, made) in zip(steps[done:], resumed, strict=True):
        aside = {"timestamp"} if position.is_live else set()
        assert [_without(record, aside) for record in made] == [
            _without(record, aside) for record in expected
        ]


def _without(record: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def test_a_restart_does_not_add_to_an_orders_latency() -> None:
    """The order's times are those without a restart."""
    steps = list(islice(replay("b", session(), FEW, clock(), perfect), len(FEW)))
    index = next(i for i, (_, made) in enumerate(steps) if made[-1]["kind"] == "order")
    position, (*_, submitted) = steps[index]
    a_day_later = clock(begin=NOON + timedelta(days=1))
    ((_, (acknowledged, *_)),) = islice(replay("b", position, FEW, a_day_later, perfect), 1)
    assert (acknowledged["orderId"], acknowledged["status"]) == (submitted["orderId"], "acknowledged")
    assert timedelta(0) < time_of(acknowledged) - time_of(submitted) < timedelta(seconds=1)


def test_the_history_is_batched_and_live_bars_are_not() -> None:
    """A batch has at most BARS_AT_ONCE bars."""
    steps = list(islice(replay("b", session(HISTORY), BARS, clock(), harsh), HISTORY + 20))
    gathered = list(batch_history(steps))
    assert records_of(gathered) == records_of(steps)
    assert [position.step for position, _ in gathered[-21:]] == list(range(HISTORY, HISTORY + 21))
    assert len(gathered) == HISTORY / 50 + 20
    assert max(len(made) for _, made in gathered) <= 500
    assert [position.step for position, _ in batch_history(steps[:70])] == [50, 70]

"""An account as a whole: nothing that is sent breaks it, and its state restores to the last bit."""

import math
from itertools import islice, pairwise
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.analytics.account import Account
from shared.analytics.events import (
    LARGEST,
    EquityPoint,
    Event,
    Execution,
    OrderStep,
    Quote,
    event_of,
    order_of,
)
from shared.analytics.execution import WINDOW
from shared.analytics.settings import Settings
from shared.schema.records import Equity, Fill, Metric, decode_frame, encode_frame
from shared.schema.timestamps import epoch_ms
from tests.bench.analytics import deep_size, mixed_events
from tests.unit.analytics.bot import BTC, NOON, Bot
from tests.unit.analytics.hostile import CURRENCIES, EVENTS

SETTINGS = st.builds(Settings, start_equity=st.sampled_from([None, 0.0, 1000.0, -1e18]), currency=CURRENCIES)
T = epoch_ms(NOON)
TINY = 1e-170
"""Its square is too small for a number."""


def folded(settings: Settings, events: list[Event]) -> Account:
    account = Account(settings)
    for event in events:
        account.take(event)
    return account


def restored(account: Account) -> Account:
    found = Account.load(account.dump(), account.state.settings)
    assert found is not None
    return found


def check_numbers(account: Account) -> None:
    """Fail where a figure is no number, or where the record cannot go over the wire."""
    for name, value in account.values().items():
        assert not isinstance(value, float) or math.isfinite(value), name
    record = account.performance("b")
    assert record is not None
    assert decode_frame(encode_frame([record])) == [record]
    for trade in account.trades:
        assert all(map(math.isfinite, (trade.entry_price, trade.exit_price, trade.fees, trade.pnl)))
        assert trade.quantity > 0


@given(SETTINGS, EVENTS)
@example(Settings(), [Execution(T, "1", BTC, "buy", TINY, 1.0), Execution(T, "1", BTC, "sell", TINY, 2.0)])
@example(
    Settings(), [OrderStep(T, "1", BTC, "buy", 5e-324, "filled"), Execution(T, "1", BTC, "buy", 1e18, 1.0)]
)
def test_whatever_passes_the_doors_makes_numbers_and_a_state_that_restores(
    settings: Settings, events: list[Event]
) -> None:
    account = Account(settings)
    for event in events:
        account.take(event)
        check_numbers(account)
        copy = restored(account)
        assert copy.dump() == account.dump()
        assert copy.values() == account.values()


@given(SETTINGS, EVENTS, st.data())
def test_a_state_restored_anywhere_goes_on_to_the_last_bit(
    settings: Settings, events: list[Event], data: st.DataObject
) -> None:
    whole = folded(settings, events)
    at = data.draw(st.integers(0, len(events)))
    before = folded(settings, events[:at])
    after = restored(before)
    for event in events[at:]:
        after.take(event)
    assert after.dump() == whole.dump()
    assert before.trades + after.trades == whole.trades
    assert before.minutes | after.minutes == whole.minutes
    assert before.hours | after.hours == whole.hours


@given(SETTINGS, EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    settings: Settings, events: list[Event], chance: Random
) -> None:
    places = {order_of(event): event for event in events}  # one of each kind at a moment
    shuffled = list(places.values())
    chance.shuffle(shuffled)
    ordered = sorted(shuffled, key=order_of)
    assert folded(settings, ordered).dump() == folded(settings, [*places.values()]).dump()


def test_at_one_moment_quotes_come_before_orders_fills_and_equity() -> None:
    bot = Bot(start_equity=1000)
    at = bot.at
    events: list[Event] = [
        EquityPoint(at, 1010),
        Execution(at, "1", BTC, "buy", 1, 101),
        OrderStep(at, "1", BTC, "buy", 1, "submitted"),
        Quote(at, BTC, 100),
    ]
    for event in sorted(events, key=order_of):
        bot.account.take(event)
    assert bot.number("slippage_bps") == pytest.approx(100)
    assert bot.number("unrealized_pnl") == 10


def test_an_event_from_before_the_latest_is_refused() -> None:
    bot = Bot().equity(100)
    head = bot.account.head
    with pytest.raises(ValueError, match="comes before"):
        bot.account.take(EquityPoint(head[0] - 1, 100))
    with pytest.raises(ValueError, match="comes before"):
        bot.account.take(Quote(head[0], BTC, 100))
    assert bot.account.head == head


def test_amounts_that_no_account_holds_are_left_out() -> None:
    too_much = 10 * LARGEST
    for equity, flow in ((too_much, 0), (-too_much, 0), (1, too_much)):
        assert event_of(Equity(bot="b", timestamp=NOON, equity=equity, net_flow=flow)) is None
    for quantity, price, fee in ((too_much, 1e-9, 0), (1, -too_much, 0), (1e10, 1e10, 0), (1, 1, too_much)):
        fill = Fill(
            bot="b", timestamp=NOON, order_id="1", fill_id="1", symbol=BTC, side="buy",
            quantity=quantity, price=price, fee=fee,
        )  # fmt: skip
        assert event_of(fill) is None
    for price in (0.0, -1.0, too_much):
        assert event_of(Metric(bot="b", timestamp=NOON, name=BTC, value=price, unit="price")) is None
    assert event_of(Metric(bot="b", timestamp=NOON, name=BTC, value=1, unit="")) is None


def test_a_state_stays_small_whatever_comes() -> None:
    account = Account(Settings(currency="USDT"))
    symbols = [f"COIN{number}/USDT" for number in range(3000)]
    for event in islice(mixed_events(symbols=symbols), 30_000):
        account.take(event)
    half = len(account.dump()), deep_size(account.state)
    for number in range(2 * WINDOW):
        at = account.head[0] + 60_000
        account.take(OrderStep(at, f"open-{number}", symbols[number], "buy", 1, "submitted"))
        account.take(Execution(at, f"fee-{number}", symbols[number], "buy", 1, 1, 1, f"FEE{number}"))
        account.take(Execution(at, f"fee-{number}", symbols[number], "sell", 3, 1))
        account.take(EquityPoint(at, 1000 + number))
    assert max(len(account.dump()), deep_size(account.state)) < 1024**2
    assert half[0] > 100_000


def test_a_state_of_another_version_or_of_other_settings_is_made_anew() -> None:
    dump = Bot().equity(100.5).account.dump()
    assert Account.load(dump, Settings(annualisation=252)) is not None
    for settings in (Settings(start_equity=1), Settings(currency="EUR"), Settings(time_zone="Asia/Tokyo")):
        assert Account.load(dump, settings) is None
    older = dump.replace(b'"version":3', b'"version":2')
    assert Account.load(older, Settings()) is None
    upgraded = Account.load(older, Settings(), oldest_version=2)
    assert upgraded is not None
    assert upgraded.dump() == dump
    assert Account.load(dump.replace(b'"version":3', b'"version":1'), Settings(), oldest_version=2) is None
    for broken in (b"", b"{}", b"[]", dump[:-1], dump.replace(b"100.5", b'"x"')):
        assert Account.load(broken, Settings()) is None


def test_minutes_and_hours_come_out_when_they_end() -> None:
    bot = Bot()
    for equity in (100, 90, 95):
        bot.equity(equity)
    assert bot.account.minutes == {}
    bot.wait(minutes=1).equity(120, 20).wait(hours=1).equity(110)
    first, second = bot.account.minutes.values()
    assert (first.open, first.high, first.low, first.close, first.points) == (100, 100, 90, 95, 3)
    assert (first.drawdown, first.last_drawdown) == pytest.approx((0.1, 0.05))
    assert (second.open, second.net_flow) == (120, 20)
    assert second.peak == pytest.approx(120)  # 100 was earned without what was paid in
    [hour] = bot.account.hours.values()
    assert (hour.open, hour.high, hour.low, hour.close, hour.points) == (100, 120, 90, 120, 4)
    assert hour.net_flow == 20
    assert all(one.begin < other.begin for one, other in pairwise([first, second]))

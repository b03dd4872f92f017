"""Account: no input breaks it, and its state restores to the last bit."""

import math
from itertools import islice, pairwise
from random import Random

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.analytics.account import BotAccount
from shared.analytics.events import (
    MAX,
    ContractTerms,
    EquityPoint,
    Execution,
    OrderUpdate,
    Quote,
    TradingEvent,
    event_from_record,
    event_order,
)
from shared.analytics.execution import WINDOW
from shared.analytics.settings import AnalyticsSettings
from shared.analytics.value import undefined
from shared.schema.records import Equity, Fill, Metric, OrderStatus, decode_frame, encode_frame
from shared.schema.timestamps import epoch_ms
from tests.bench.analytics import deep_size, mixed_events
from tests.unit.analytics.extreme_records import CURRENCIES, EVENTS
from tests.unit.analytics.fake_bot import BTC, NOON, FakeBot

SETTINGS = st.builds(
    AnalyticsSettings, start_equity=st.sampled_from([None, 0.0, 1000.0, -1e18]), currency=CURRENCIES
)
T = epoch_ms(NOON)
TINY = 1e-170
"""Its square is too small for a number."""


def folded(settings: AnalyticsSettings, events: list[TradingEvent]) -> BotAccount:
    account = BotAccount(settings)
    for event in events:
        account.apply(event)
    return account


def restored(account: BotAccount) -> BotAccount:
    found = BotAccount.from_json(account.to_json(), account.state.settings)
    assert found is not None
    return found


def check_numbers(account: BotAccount) -> None:
    """Fail where a figure is no number, or where the record cannot go over the wire."""
    for name, value in account.values().items():
        assert not isinstance(value, float) or math.isfinite(value), name
    record = account.performance("b")
    assert record is not None
    assert decode_frame(encode_frame([record])) == [record]
    for trade in account.trades:
        assert all(map(math.isfinite, (trade.entry_price, trade.exit_price, trade.fees, trade.pnl or 0.0)))
        assert trade.quantity > 0


@given(SETTINGS, EVENTS)
@example(
    AnalyticsSettings(),
    [
        Execution(T, "1", BTC, "sell", 5e-324, 1.0, terms=ContractTerms(multiplier=5e-324)),
        EquityPoint(T + 1, 1.0),
    ],
)
@example(
    AnalyticsSettings(), [Execution(T, "1", BTC, "buy", TINY, 1.0), Execution(T, "1", BTC, "sell", TINY, 2.0)]
)
@example(
    AnalyticsSettings(),
    [OrderUpdate(T, "1", BTC, "buy", 5e-324, "filled"), Execution(T, "1", BTC, "buy", 1e18, 1.0)],
)
def test_all_accepted_records_give_finite_metrics_and_a_restorable_state(
    settings: AnalyticsSettings, events: list[TradingEvent]
) -> None:
    account = BotAccount(settings)
    for event in events:
        account.apply(event)
        check_numbers(account)
        copy = restored(account)
        assert copy.to_json() == account.to_json()
        assert copy.values() == account.values()


@given(SETTINGS, EVENTS, st.data())
def test_a_state_restored_at_any_point_continues_to_the_last_bit(
    settings: AnalyticsSettings, events: list[TradingEvent], data: st.DataObject
) -> None:
    whole = folded(settings, events)
    at = data.draw(st.integers(0, len(events)))
    before = folded(settings, events[:at])
    after = restored(before)
    for event in events[at:]:
        after.apply(event)
    assert after.to_json() == whole.to_json()
    assert before.trades + after.trades == whole.trades
    assert before.minutes | after.minutes == whole.minutes
    assert before.hours | after.hours == whole.hours


@given(SETTINGS, EVENTS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    settings: AnalyticsSettings, events: list[TradingEvent], chance: Random
) -> None:
    places = {event_order(event): event for event in events}  # one of each kind at a moment
    shuffled = list(places.values())
    chance.shuffle(shuffled)
    ordered = sorted(shuffled, key=event_order)
    assert folded(settings, ordered).to_json() == folded(settings, [*places.values()]).to_json()


def test_at_equal_times_quotes_precede_orders_fills_and_equity() -> None:
    bot = FakeBot(start_equity=1000)
    at = bot.at
    events: list[TradingEvent] = [
        EquityPoint(at, 1010),
        Execution(at, "1", BTC, "buy", 1, 101),
        OrderUpdate(at, "1", BTC, "buy", 1, "submitted"),
        Quote(at, BTC, 100),
    ]
    for event in sorted(events, key=event_order):
        bot.account.apply(event)
    assert bot.number("slippage_bps") == pytest.approx(100)
    assert bot.number("unrealized_pnl") == 10


def test_a_sequence_orders_records_of_the_same_millisecond() -> None:
    """Sold at 100 and bought back at 90, told together: a short trade of +10, not a long one of -10."""
    at = T + 1
    told: list[TradingEvent] = [
        Execution(at, "2", BTC, "buy", 1, 90, sequence=8),
        Execution(at, "1", BTC, "sell", 1, 100, sequence=7),
    ]
    account = folded(AnalyticsSettings(), sorted(told, key=event_order))
    assert [(trade.side, trade.pnl) for trade in account.trades] == [("sell", 10)]


def test_an_orders_first_status_comes_before_its_last_one() -> None:
    """All of them at the same millisecond, in the wrong order: the order is filled, not open."""
    statuses: tuple[OrderStatus, ...] = ("filled", "partially_filled", "acknowledged", "submitted")
    told: list[TradingEvent] = [OrderUpdate(T, "1", BTC, "buy", 1, status) for status in statuses]
    account = folded(AnalyticsSettings(), sorted(told, key=event_order))
    found = account.values()
    assert (found["total_orders"], found["fill_rate"], found["order_latency_ms"]) == (1, 1, 0)


def test_an_event_from_before_the_latest_is_refused() -> None:
    bot = FakeBot().equity(100)
    head = bot.account.last_event
    with pytest.raises(ValueError, match="comes before"):
        bot.account.apply(EquityPoint(head[0] - 1, 100))
    with pytest.raises(ValueError, match="comes before"):
        bot.account.apply(Quote(head[0], BTC, 100))
    assert bot.account.last_event == head


def test_amounts_that_no_account_holds_are_left_out() -> None:
    too_much = 10 * MAX
    for equity, flow in ((too_much, 0), (-too_much, 0), (1, too_much)):
        assert event_from_record(Equity(bot="b", timestamp=NOON, equity=equity, net_flow=flow)) is None
    for quantity, price, fee in ((too_much, 1e-9, 0), (1, -too_much, 0), (1e10, 1e10, 0), (1, 1, too_much)):
        fill = Fill(
            bot="b", timestamp=NOON, order_id="1", fill_id="1", symbol=BTC, side="buy",
            quantity=quantity, price=price, fee=fee,
        )  # fmt: skip
        assert event_from_record(fill) is None
    for price in (0.0, -1.0, too_much):
        assert event_from_record(Metric(bot="b", timestamp=NOON, name=BTC, value=price, unit="price")) is None
    assert event_from_record(Metric(bot="b", timestamp=NOON, name=BTC, value=1, unit="")) is None


def test_a_state_stays_small_whatever_comes() -> None:
    account = BotAccount(AnalyticsSettings(currency="USDT"))
    symbols = [f"COIN{number}/USDT" for number in range(3000)]
    for event in islice(mixed_events(symbols=symbols), 30_000):
        account.apply(event)
    half = len(account.to_json()), deep_size(account.state)
    for number in range(2 * WINDOW):
        at = account.last_event[0] + 60_000
        account.apply(OrderUpdate(at, f"open-{number}", symbols[number], "buy", 1, "submitted"))
        account.apply(Execution(at, f"fee-{number}", symbols[number], "buy", 1, 1, 1, f"FEE{number}"))
        account.apply(Execution(at, f"fee-{number}", symbols[number], "sell", 3, 1))
        account.apply(EquityPoint(at, 1000 + number))
    assert max(len(account.to_json()), deep_size(account.state)) < 1024**2
    assert half[0] > 100_000


def test_a_state_of_another_version_or_other_settings_is_not_restored() -> None:
    dump = FakeBot().equity(100.5).account.to_json()
    assert BotAccount.from_json(dump, AnalyticsSettings(annualisation=252)) is not None
    for settings in (
        AnalyticsSettings(start_equity=1),
        AnalyticsSettings(currency="EUR"),
        AnalyticsSettings(time_zone="Asia/Tokyo"),
    ):
        assert BotAccount.from_json(dump, settings) is None
    older = dump.replace(b'"version":5', b'"version":2')
    assert BotAccount.from_json(older, AnalyticsSettings()) is None
    upgraded = BotAccount.from_json(older, AnalyticsSettings(), oldest_version=2)
    assert upgraded is not None
    assert upgraded.to_json() == dump
    assert (
        BotAccount.from_json(
            dump.replace(b'"version":5', b'"version":1'), AnalyticsSettings(), oldest_version=2
        )
        is None
    )
    older_and_broken = older.replace(b"100.5", b'"x"')
    for broken in (older_and_broken, b"", b"{}", b"[]", dump[:-1], dump.replace(b"100.5", b'"x"')):
        assert BotAccount.from_json(broken, AnalyticsSettings()) is None


def of_version_3(account: BotAccount) -> bytes:
    """Return the state as the release before stored it."""
    state = msgspec.json.decode(account.to_json())
    returns, drawdown = state["returns"], state["drawdown"]
    returns["flow"] = 0.0
    for name in ("growth", "has_return", "approximated_at"):
        del returns[name]
    del returns["ended"][6:]
    names = ("under_ms", "counted_from", "best_pnl", "deepest_amount", "squares", "days")
    for name in names:
        del drawdown[name]
    for name in ("benchmark", "pending_flows", "unconverted_flows"):
        del state[name]
    state["head"] = [state["head"][0], state["head"][2] // 10]
    return msgspec.json.encode(state | {"version": 3})


def test_a_state_of_version_3_continues_within_its_day() -> None:
    bot = FakeBot().days(1000, 1010, 990, 1040, 1030).equity(1040)
    upgraded = BotAccount.from_json(of_version_3(bot.account), AnalyticsSettings(), oldest_version=2)
    assert upgraded is not None
    assert upgraded.values()["time_under_water"] == undefined("too_short")  # counted from here on
    for account in (upgraded, bot.account):
        account.apply(EquityPoint(bot.at, 51_040, 50_000))
        account.apply(EquityPoint(bot.at + 1000, 50_529.6))
    names = ("skewness", "kurtosis", "sharpe_ratio", "var95", "max_drawdown", "recovery_factor")
    for name in names:
        assert upgraded.values()[name] == pytest.approx(bot.number(name), rel=1e-9), name
    assert upgraded.state.returns.latest() == bot.account.state.returns.latest()
    assert upgraded.state.returns.latest()[-1] == pytest.approx(1040 / 1030 * 0.99 - 1)


def test_a_day_of_version_3_with_a_flow_is_approximate() -> None:
    bot = FakeBot().days(1000, 1010).equity(1020)
    old = msgspec.json.decode(of_version_3(bot.account))
    old["returns"] |= {"close": 51_020.0, "flow": 50_000.0}
    account = BotAccount.from_json(msgspec.json.encode(old), AnalyticsSettings(), oldest_version=2)
    assert account is not None
    account.apply(EquityPoint(bot.at, 50_509.8))
    # (51020 − 50000) / 1010 as before, then 50509.8 / 51020 = 0.99
    assert account.state.returns.current() == pytest.approx(1020 / 1010 * 0.99 - 1)
    record = account.performance("b")
    assert record is not None
    assert record.warnings == ["approximate_return"]


def test_older_returns_have_the_shape_of_those_that_are_kept() -> None:
    bot = FakeBot()
    worth = 1000.0
    for day in range(500):
        worth *= 1 + (0.01, -0.02, 0.03, 0.0, -0.01)[day % 5]
        bot.equity(worth).advance(days=1)
    upgraded = BotAccount.from_json(of_version_3(bot.account), AnalyticsSettings(), oldest_version=2)
    assert upgraded is not None
    for name in ("skewness", "kurtosis"):
        assert upgraded.values()[name] == pytest.approx(bot.number(name), rel=0.02)


def test_minutes_and_hours_come_out_when_they_end() -> None:
    bot = FakeBot()
    for equity in (100, 90, 95):
        bot.equity(equity)
    assert bot.account.minutes == {}
    bot.advance(minutes=1).equity(120, 20).advance(hours=1).equity(110)
    first, second = bot.account.minutes.values()
    assert (first.open, first.high, first.low, first.close, first.points) == (100, 100, 90, 95, 3)
    assert (first.drawdown, first.last_drawdown) == pytest.approx((0.1, 0.05))
    assert (second.open, second.net_flow) == (120, 20)
    assert second.peak == pytest.approx(120)  # 100 was earned without what was paid in
    [hour] = bot.account.hours.values()
    assert (hour.open, hour.high, hour.low, hour.close, hour.points) == (100, 120, 90, 120, 4)
    assert hour.net_flow == 20
    assert all(one.begin < other.begin for one, other in pairwise([first, second]))

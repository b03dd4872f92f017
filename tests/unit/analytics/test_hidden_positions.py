"""Hidden positions: price moves give them away in any account, and never accuse an honest one."""

import math
import random
from typing import Any

import pytest

from shared.analytics.account import BotAccount
from shared.analytics.events import PositionReport
from tests.unit.analytics.fake_bot import FakeBot
from tests.unit.analytics.simulated_account import STRATEGIES, SimulatedAccount

STEPS = 200


def honest(seed: int) -> SimulatedAccount:
    """Return an account that holds what its fills say, and reports it as badly as bots do."""
    chance = random.Random(seed)
    count = chance.choice((1, 1, 2, 3, 5, 14))
    return SimulatedAccount(
        chance=chance,
        symbols=[f"COIN{number}/USDT:USDT" for number in range(count)],
        strategy=chance.choice(STRATEGIES),
        volatility=chance.choice((0.001, 0.004, 0.02)),
        late=chance.choice((0, 0, 1, 3)),
        rounding=chance.choice((0, 0.01, 10)),
        unknown_fee=chance.choice((0, 0.0002, 0.001)),
        bounce=chance.choice((0, 0.0003, 0.002)),
        quoted=chance.choice((1.0, 1.0, 0.5, 0.0)),
        multiplier=chance.choice((1.0, 1.0, 0.1, 10.0)),
        flow=chance.choice((0, 0, 0.01)),
        reports=chance.choice(
            (lambda one: one.worth, lambda one: one.worth - one.unrealized, lambda one: one.cash)
        ),
    )


def test_no_honest_account_is_accused_however_badly_it_reports() -> None:
    """Late, rounded, without fees, without unrealised P&L, of a wrong multiplier, with unknown deposits."""
    assert [seed for seed in range(8) if honest(seed).run(STEPS)] == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_hidden_positions_among_several_symbols_are_found(strategy: str) -> None:
    """The account is never flat in all symbols at once; fees are unknown and quotes are off by 0.01 %."""
    for seed in range(2):
        chance = random.Random(seed)
        hidden = {"COIN0/USDT:USDT": 2.0, "COIN2/USDT:USDT": chance.choice((-1.5, 1.5))}
        account = SimulatedAccount(
            chance=chance, strategy=strategy, hidden=hidden, unknown_fee=0.0001, bounce=0.0001
        )
        assert account.run(600), (strategy, seed)


def test_a_hidden_inverse_position_is_found() -> None:
    inverse: dict[str, Any] = {
        "symbols": ["BTC/USD:BTC"],
        "currency": "BTC",
        "is_inverse": True,
        "start": 1.0,
    }
    assert not SimulatedAccount(chance=random.Random(1), **inverse).run(STEPS)
    assert SimulatedAccount(chance=random.Random(1), hidden={"BTC/USD:BTC": 3.0}, **inverse).run(STEPS)


def test_a_hidden_position_in_a_currency_with_a_known_rate_is_found() -> None:
    """USD/JPY in an account in dollars: what is gained or lost in yen is worth that over the price."""

    def dollars(account: SimulatedAccount) -> float:
        return account.start + (account.worth - account.start) / account.prices["USD/JPY"]

    yen: dict[str, Any] = {"symbols": ["USD/JPY"], "currency": "USD", "reports": dollars}
    assert not SimulatedAccount(chance=random.Random(2), **yen).run(STEPS)
    assert SimulatedAccount(chance=random.Random(2), hidden={"USD/JPY": 200.0}, **yen).run(STEPS)


def test_coins_spent_in_another_market_are_no_hidden_position() -> None:
    """Bitcoins pay for ether: the fills of BTC/USDT still have them, the account does not."""
    chance, bot = random.Random(3), FakeBot(currency="USDT")
    bitcoin, ether = 60_000.0, 0.05
    bot.quote(bitcoin).quote(ether, symbol="ETH/BTC").buy(5, bitcoin, of="USDT")
    for side, price in ((bot.buy, 0.05), (bot.sell, 0.02)):  # 3 of the 5 bitcoins are lost
        side(100, price, of="BTC", symbol="ETH/BTC")
    dollars, bitcoins = 400_000 - 5 * bitcoin, 2.0
    for _ in range(200):
        bitcoin *= math.exp(chance.gauss(0, 0.004))
        bot.quote(bitcoin)
        if chance.random() < 0.3:
            change = chance.choice((0.0, 2.0, 9.0)) - bitcoins
            if change:
                (bot.buy if change > 0 else bot.sell)(abs(change), bitcoin, of="USDT")
            dollars, bitcoins = dollars - change * bitcoin, bitcoins + change
        bot.equity(dollars + bitcoins * bitcoin).advance(minutes=1)
    assert "unknown_opening_position" not in bot.warnings()
    assert bot.account.state.hidden.pause_ms > 0  # it was examined


@pytest.mark.parametrize("wanders", [False, True])
def test_a_price_that_only_goes_to_and_fro_proves_nothing(*, wanders: bool) -> None:
    """Where it alternates, an equity that is late looks like a position of the opposite side."""
    chance, bot, held = random.Random(1), FakeBot(), 0.0
    bot.buy(1, 1, symbol="ETH/USDT").sell(1, 1, symbol="ETH/USDT")
    price = cash = 1000.0
    for step in range(100):
        price *= 1 + (chance.gauss(0, 0.01) if wanders else 0.01 if step % 2 else -1 / 101)
        bot.quote(price)
        if chance.random() < 0.3:
            change = -held or 1.0
            (bot.buy if change > 0 else bot.sell)(1, price)
            cash, held = cash - change * price, held + change
        bot.equity(cash + (held - 2) * price).advance(minutes=1)
    assert bot.warnings() == (["unknown_opening_position"] if wanders else [])


def found() -> SimulatedAccount:
    """Return an account with a hidden position that was found."""
    account = SimulatedAccount(chance=random.Random(4), hidden={"COIN1/USDT:USDT": 2.0}, strategy="flip")
    assert account.run(600)
    return account


def test_figures_of_a_hidden_position_are_undefined_until_it_is_reported() -> None:
    account = found()
    record = account.bot.performance("b")
    assert record is not None
    assert record.warnings == ["unknown_opening_position"]
    assert record.undefined["winRate"].reason == "unknown_opening_position"
    account.bot.apply(PositionReport(account.bot.last_event[0] + 1, "COIN1/USDT:USDT", 2.0, 1.0))
    record = account.bot.performance("b")
    assert record is not None
    assert record.warnings == []


def test_first_trades_are_taken_back_without_their_result() -> None:
    account = found()
    undefined = {trade.number for trade in account.bot.trades if trade.undefined}
    assert {1, 2, 3} <= undefined


def test_an_examination_goes_on_in_the_restored_state_to_the_last_bit() -> None:
    whole, restored = (SimulatedAccount(chance=random.Random(5)) for _ in range(2))
    whole.run(40)
    restored.run(40)
    assert whole.bot.state.hidden.regression.rows > 0
    account = BotAccount.from_json(restored.bot.to_json(), restored.bot.state.settings, restored.rates)
    assert account is not None
    restored.bot = account
    whole.run(40)
    restored.run(40)
    assert restored.bot.to_json() == whole.bot.to_json()

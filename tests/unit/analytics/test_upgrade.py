"""States of earlier releases: their positions are read into those of today."""

import json
from typing import Any

from shared.analytics.account import BotAccount
from shared.analytics.settings import AnalyticsSettings
from tests.unit.analytics.fake_bot import BTC, FakeBot

OLD_BOOK: dict[str, Any] = {
    "positions": {
        "BTC/USDT": {
            "quantity": 1.0, "cost": 100.0, "opened_at": 1769860801000, "largest": 2.0, "entered": 2.0,
            "entered_for": 200.0, "left": 1.0, "left_for": 110.0, "earned": 10.0, "fees": 1.0, "side": 1,
        },
        "ETH/USDT": {
            "quantity": 0.0005, "cost": 50.0, "opened_at": 0, "largest": 0.0005, "entered": 0.0,
            "entered_for": 0.0, "left": 0.0, "left_for": 0.0, "earned": 0.0, "fees": 0.0, "side": 0,
        },
    },
    "prices": {"BTC/USDT": 110, "ETH/USDT": 60}, "quotes": {}, "earned": 19.995, "fees": 1.0, "fills": 4,
    "traded_at": 1769860804000, "trades": 1, "unconverted": {},
}  # fmt: skip
"""As release 0.2.0 wrote it: bought 2 BTC at 100 (fee 1) and sold 1 at 110; of ETH a rest is left."""


def test_open_positions_of_an_earlier_release_go_on() -> None:
    settings = AnalyticsSettings(currency="USDT")
    state = json.loads(FakeBot(currency="USDT").account.to_json()) | {"version": 3, "book": OLD_BOOK}
    account = BotAccount.from_json(json.dumps(state), settings, oldest_version=2)
    assert account is not None
    book = account.state.book
    assert [(held.symbol, held.quantity, held.cost) for held in book.open_positions()] == [(BTC, 1, 100)]
    assert (book.positions["ETH/USDT"].dust, book.positions["ETH/USDT"].dust_cost) == (0.0005, 50)
    bot = FakeBot(currency="USDT")
    bot.account = account
    bot.sell(1, 120)
    [trade] = account.trades
    assert (trade.number, trade.quantity, trade.pnl) == (2, 2, 29)  # 10 + 20 − 1
    assert BotAccount.from_json(account.to_json(), settings) is not None


def test_a_state_of_version_4_is_examined_from_now_on() -> None:
    """It knew neither hidden positions nor when a price came."""
    settings = AnalyticsSettings(currency="USDT")
    bot = FakeBot(currency="USDT").equity(1000).buy(2, 100).equity(1000)
    state = json.loads(bot.account.to_json()) | {"version": 4}
    del state["hidden"]
    state["opening"] |= {"exact": True}
    del state["opening"]["scaled"]
    state["book"]["positions"] = {BTC: state["book"]["positions"][BTC][:-1]}
    account = BotAccount.from_json(json.dumps(state), settings, oldest_version=2)
    assert account is not None
    [held] = account.state.book.open_positions()
    assert (held.quantity, held.cost, held.priced_at) == (2, 100, 0)
    assert account.state.version == bot.account.state.version

"""The accounting identity, compared with an exchange account kept in exact fractions."""

from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.analytics.exact_account import ExactAccount, ExactHolding, Feed
from tests.unit.analytics.fake_bot import FakeBot

SYMBOLS = ("BTC/USDT", "ETH/USDT", "XRP/USDT")
START = Fraction(10_000)


class GeneratedFill(NamedTuple):
    """A fill in eighths of a coin, cents and hundredths of a percent."""

    symbol: str
    eighths: int
    cents: int
    fee: int
    paid_in: Feed


class Mark(NamedTuple):
    """Prices in cents, after which the equity is told, with what was paid in, in whole money."""

    cents: tuple[int, int, int]
    flow: int


PRICES = st.integers(100, 20_000)
FILLS = st.builds(
    GeneratedFill,
    st.sampled_from(SYMBOLS),
    st.integers(-800, 800).filter(bool),
    PRICES,
    st.integers(-2, 30),
    st.sampled_from(["money", "money", "asset"]),
)
MARKS = st.builds(Mark, st.tuples(PRICES, PRICES, PRICES), st.sampled_from([0, 0, 5000, -3000]))
STEPS = st.lists(FILLS | MARKS, max_size=25)


def trade(bot: FakeBot, exchange: ExactAccount, fill: GeneratedFill) -> None:
    """Fill at the exchange, and let the bot tell it."""
    quantity, price = Fraction(fill.eighths, 8), Fraction(fill.cents, 100)
    rate, paid_in = Fraction(fill.fee, 10_000), fill.paid_in
    left = exchange.holdings.get(fill.symbol, ExactHolding()).quantity + quantity
    if paid_in == "asset" and left < abs(quantity) * rate:  # there must be something to take it from
        paid_in = "money"
    fee = abs(quantity) * rate * (price if paid_in == "money" else 1)
    exchange.marks[fill.symbol] = price
    exchange.fill(fill.symbol, quantity, price, fee, paid_in)
    of = "USDT" if paid_in == "money" else fill.symbol.partition("/")[0]
    tell = bot.buy if quantity > 0 else bot.sell
    tell(abs(float(quantity)), float(price), fee=float(fee), of=of, symbol=fill.symbol)


def mark(bot: FakeBot, exchange: ExactAccount, point: Mark) -> None:
    """Let every price move, and the bot tell the prices and its equity."""
    for symbol, cents in zip(SYMBOLS, point.cents, strict=True):
        exchange.marks[symbol] = Fraction(cents, 100)
        bot.quote(cents / 100, symbol)
    exchange.flow(Fraction(point.flow))
    bot.equity(float(exchange.equity), point.flow)


def check(bot: FakeBot, exchange: ExactAccount, start: Fraction) -> None:
    """Fail where the figures are not those of the exchange."""
    total = exchange.equity - start - exchange.paid_in
    size = 1e-9 * max(abs(float(exchange.equity)), 1e6)
    found = [bot.number(name) for name in ("total_pnl", "realized_pnl", "unrealized_pnl")]
    assert found[0] == pytest.approx(found[1] + found[2], rel=1e-12, abs=1e-12 * size)
    assert found == pytest.approx(
        [float(total), float(exchange.realized), float(exchange.unrealized)], abs=size
    )
    book = bot.account.state.book
    assert book.unrealized() == pytest.approx(float(exchange.unrealized), abs=size)
    for symbol, held in exchange.holdings.items():
        known = book.positions[symbol].quantity if symbol in book.positions else 0.0
        assert known == pytest.approx(float(held.quantity), abs=1e-6)


@given(STEPS)
def test_total_is_realised_and_unrealised_is_equity_less_start_less_flows(
    steps: list[GeneratedFill | Mark],
) -> None:
    exchange = ExactAccount(cash=START)
    bot = FakeBot(start_equity=float(START), currency="USDT")
    for step in steps:
        if isinstance(step, GeneratedFill):
            trade(bot, exchange, step)
            continue
        mark(bot, exchange, step)
        if bot.account.state.book.fills:
            check(bot, exchange, START)


@given(st.lists(FILLS, max_size=8), MARKS, STEPS)
def test_the_default_start_equity_is_the_equity_before_the_first_fills(
    before: list[GeneratedFill], first: Mark, steps: list[GeneratedFill | Mark]
) -> None:
    exchange = ExactAccount(cash=START)
    bot = FakeBot(currency="USDT")
    for fill in before:
        trade(bot, exchange, fill)
    mark(bot, exchange, first)
    exchange.paid_in = Fraction(0)
    start = START + first.flow  # what was paid in until the first equity is part of the start
    assert bot.account.state.start == pytest.approx(float(start), abs=1e-5)
    for step in steps:
        if isinstance(step, GeneratedFill):
            trade(bot, exchange, step)
        else:
            mark(bot, exchange, step)
            if bot.account.state.book.fills:
                check(bot, exchange, start)


@given(st.lists(FILLS.map(lambda fill: fill._replace(paid_in="money")), max_size=25))
def test_closed_trades_and_parts_of_open_ones_add_up_to_realised_pnl(
    fills: list[GeneratedFill],
) -> None:
    exchange, bot = ExactAccount(cash=START), FakeBot(currency="USDT")
    for fill in fills:
        trade(bot, exchange, fill)
    closed = sum(one.pnl or 0.0 for one in bot.account.trades)
    open_parts = sum(held.earned - held.fees for held in bot.account.state.book.positions.values())
    assert closed + open_parts == pytest.approx(float(exchange.realized), rel=1e-9, abs=1e-6)
    if not any(held.quantity for held in exchange.holdings.values()) and bot.account.trades:
        assert bot.number("expectancy") * bot.number("total_trades") == pytest.approx(closed)


def test_funding_and_interest_are_realised_once_no_trade_is_open() -> None:
    bot = (
        FakeBot(start_equity=1000).quote(100).buy(1, 100).quote(110).equity(1005)
    )  # 10 gained, 5 of funding paid
    assert (bot.number("realized_pnl"), bot.number("unrealized_pnl")) == (0, 5)
    bot.sell(1, 110).equity(1005)
    assert (bot.number("realized_pnl"), bot.number("unrealized_pnl")) == (5, 0)


def test_without_fills_the_bots_own_unrealised_profit_parts_the_total() -> None:
    bot = FakeBot(start_equity=1000).equity(1050, 10, unrealized=15)
    found = [bot.number(name) for name in ("total_pnl", "realized_pnl", "unrealized_pnl", "net_flows")]
    assert found == [40, 25, 15, 10]
    assert FakeBot().equity(1000).undefined_reason("realized_pnl") == ("no_fills", 0)


def test_without_equity_profit_is_that_of_the_fills_at_the_latest_prices() -> None:
    bot = FakeBot().buy(2, 100, fee=1).sell(1, 110, fee=1).quote(120)
    found = [bot.number(name) for name in ("total_pnl", "realized_pnl", "unrealized_pnl")]
    assert found == [28, 8, 20]  # 10 − 2 and 1 · (120 − 100)
    assert bot.undefined_reason("portfolio_value") == bot.undefined_reason("sharpe_ratio") == ("no_equity", 0)

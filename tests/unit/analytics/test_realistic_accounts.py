"""Every risk figure of realistic accounts, compared with empyrical, quantstats and scipy."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice, pairwise
from random import Random

import msgspec
import pytest

from botwatch.demo.prices import load_bars
from botwatch.demo.replay import ReplayPosition, replay
from shared.analytics.events import EquityPoint, Execution, Quote, event_from_record, event_order
from shared.schema.decoding import decode
from shared.schema.records import AnyRecord
from tests.unit.analytics.fake_bot import NOON, FakeBot
from tests.unit.analytics.oracles import of_empyrical, of_quantstats, of_scipy

DAY = 86_400_000
FIGURES = {
    "sharpe_ratio": "sharpe_ratio",
    "sortino_ratio": "sortino_ratio",
    "volatility": "annual_volatility",
    "annual_return": "annual_return",
}


def check_risk(bot: FakeBot, returns: Sequence[float], a: int) -> None:
    """Compare all figures of daily returns with those of the oracles."""
    assert bot.account.state.returns.latest() == pytest.approx(list(returns)[-365:], rel=1e-9, abs=1e-12)
    assert bot.number("trading_days") == len(returns)
    for name, figure in FIGURES.items():
        expected = of_empyrical(figure, returns, annualization=a)
        assert bot.number(name) == pytest.approx(expected, rel=1e-9), name
    latest = list(returns)[-365:]
    for name, cutoff in (("var95", 0.05), ("var99", 0.01)):
        assert bot.number(name) == pytest.approx(-of_empyrical("value_at_risk", latest, cutoff=cutoff))
    assert bot.number("cvar95") == pytest.approx(-of_empyrical("conditional_value_at_risk", latest))
    for name, confidence in (("parametric_var95", 0.95), ("parametric_var99", 0.99)):
        expected = -of_quantstats("value_at_risk", latest, confidence=confidence)
        assert bot.number(name) == pytest.approx(expected), name
    assert bot.number("tail_ratio") == pytest.approx(of_empyrical("tail_ratio", latest))
    for name, figure in (("skewness", "skew"), ("kurtosis", "kurtosis")):
        assert bot.number(name) == pytest.approx(of_scipy(figure, returns), rel=1e-8), name


def check_benchmark(bot: FakeBot, pairs: Sequence[tuple[float, float]], a: int) -> None:
    returns, prices = [one for one, _ in pairs], [one for _, one in pairs]
    beta = of_empyrical("beta", returns, prices)
    assert bot.number("beta") == pytest.approx(beta, rel=1e-8)
    alpha = (math.fsum(returns) - beta * math.fsum(prices)) / len(pairs) * a
    assert bot.number("alpha") == pytest.approx(alpha, rel=1e-8)
    ratio = of_empyrical("excess_sharpe", returns, prices) * math.sqrt(a)
    assert bot.number("information_ratio") == pytest.approx(ratio, rel=1e-8)


def changes(levels: Sequence[float]) -> list[float]:
    return [after / before - 1 for before, after in pairwise(levels)]


def closes(points: Sequence[tuple[int, float]]) -> list[float]:
    """Return the last value of each UTC day."""
    return list({at // DAY: value for at, value in points}.values())


def demo_records() -> list[AnyRecord]:
    began = datetime(2026, 1, 31, tzinfo=UTC)
    bars = load_bars()
    begin = ReplayPosition(session="s", history=len(bars), began=began, at=began)
    steps = islice(replay("b", begin, bars, lambda: began), len(bars))
    made = msgspec.json.encode([record for _, some in steps for record in some])
    return decode(made, arrival=began).records


def test_the_demos_run_over_eurusd() -> None:
    records = demo_records()
    events = [event for record in records if (event := event_from_record(record))]
    events.sort(key=event_order)
    bot = FakeBot(start_equity=10_000, annualisation=252, currency="USD")
    for event in events:
        bot.account.apply(event)
    points = [(one.at, one.equity) for one in events if isinstance(one, EquityPoint)]
    equity = [value for _, value in points]
    check_risk(bot, changes([10_000, *closes(points)]), 252)
    every_point = changes([10_000, *equity])
    assert bot.number("max_drawdown") == pytest.approx(-of_empyrical("max_drawdown", every_point))
    peak = deepest = 0.0
    for pnl in (one - 10_000 for one in equity):
        peak = max(peak, pnl)
        deepest = max(deepest, peak - pnl)
    assert bot.number("recovery_factor") == pytest.approx((equity[-1] - 10_000) / deepest)
    # before the first fill, it is not known which symbol the bot trades
    first = min(one.at for one in events if isinstance(one, Execution)) // DAY * DAY
    since = [(at, value) for at, value in points if at >= first]
    priced = [(one.at, one.price) for one in events if isinstance(one, Quote | Execution) and one.at >= first]
    pairs = list(zip(changes(closes(since)), changes(closes(priced)), strict=True))
    check_benchmark(bot, pairs, 252)


def test_a_random_account_with_flows_equals_a_fund_of_units() -> None:
    """Units are bought and sold at the fund's price: the price never sees a flow."""
    chance, bot = Random(14), FakeBot(NOON, start_equity=10_000, annualisation=252)
    units, price, paid_in = 100.0, 100.0, 0.0
    points, prices = list[tuple[int, float]](), list[tuple[int, float]]()
    for _ in range(40 * 12):
        bot.advance(hours=chance.choice((1, 2, 3)), minutes=chance.randrange(60))
        price *= 1 + chance.gauss(0.0005, 0.01)
        flow = chance.choice((0, 0, 0, 0, 1, -1)) * chance.uniform(0.05, 0.5) * units * price
        by_record = flow and chance.random() < 0.5
        if by_record:
            bot.flow(flow)
        units += flow / price
        paid_in += flow
        prices.append((bot.at, price))
        bot.equity(units * price, 0.0 if by_record else flow)
        points.append((bot.at, units * price))
    check_risk(bot, changes([100, *closes(prices)]), 252)
    every_price = changes([100, *(one for _, one in prices)])
    assert bot.number("max_drawdown") == pytest.approx(-of_empyrical("max_drawdown", every_price))
    assert bot.number("net_flows") == pytest.approx(paid_in)
    assert bot.number("total_pnl") == pytest.approx(points[-1][1] - 10_000 - paid_in)

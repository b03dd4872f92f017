"""A backtest result of freqtrade: its totals are those of the replay."""

import io
import json
import zipfile
from itertools import accumulate
from typing import Any

import pytest

from tests.unit.recorder.replay.conftest import Replayer

HOUR = 3_600_000
BEGIN = 1_767_225_600_000


def trade(pair: str, opened: int, closed: int, rates: tuple[float, float], **more: Any) -> dict[str, Any]:
    return {
        "pair": pair, "stake_amount": 1000.0, "max_stake_amount": 1000.0, "amount": 0.1,
        "open_date": "2026-01-01 00:00:00+00:00", "close_date": "2026-01-01 01:00:00+00:00",
        "open_rate": rates[0], "close_rate": rates[1], "fee_open": 0.001, "fee_close": 0.001,
        "trade_duration": 60, "exit_reason": "roi", "is_open": False, "enter_tag": "", "leverage": 1.0,
        "is_short": False, "open_timestamp": BEGIN + opened * HOUR, "close_timestamp": BEGIN + closed * HOUR,
        "orders": [], "funding_fees": 0.0, **more,
    }  # fmt: skip


def order(hour: int, amount: float, price: float, *, is_entry: bool) -> dict[str, Any]:
    return {
        "amount": amount, "safe_price": price, "ft_order_side": "buy" if is_entry else "sell",
        "order_filled_timestamp": BEGIN + hour * HOUR, "ft_is_entry": is_entry, "cost": amount * price,
    }  # fmt: skip


TRADES = [
    # 0.1·42000·0.999 - 0.1·40000·1.001 = 191.8
    trade("BTC/USDT:USDT", 1, 10, (40_000, 42_000), profit_abs=191.8),
    # 3·2000·0.9995 - 3·2100·1.0005 - 1.5 = -307.65
    trade(
        "ETH/USDT:USDT", 2, 30, (2_000, 2_100), amount=3.0, fee_open=0.0005, fee_close=0.0005, is_short=True,
        leverage=3.0, funding_fees=-1.5, profit_abs=-307.65,
    ),
    # It opens when the first one closes. 0.1·41800·0.999 - (0.05·42000 + 0.05·41000)·1.001 = 21.67
    trade(
        "BTC/USDT:USDT", 10, 50, (41_500, 41_800), profit_abs=21.67,
        orders=[
            order(10, 0.05, 42_000, is_entry=True), order(20, 0.05, 41_000, is_entry=True),
            order(50, 0.1, 41_800, is_entry=False),
        ],
    ),
]  # fmt: skip
PROFITS = [191.8, -307.65, 21.67]


def result(**more: Any) -> dict[str, Any]:
    strategy = {
        "trades": TRADES, "stake_currency": "USDT", "starting_balance": 10_000.0, "total_trades": 3,
        "backtest_start_ts": BEGIN, "profit_total_abs": sum(PROFITS), "final_balance": 10_000 + sum(PROFITS),
    }  # fmt: skip
    return {"strategy": {"Sma": strategy | more}, "strategy_comparison": []}


def test_a_replay_has_the_totals_of_the_backtest(replayer: Replayer) -> None:
    """Profit, final balance, wins and each trade's profit are those of freqtrade."""
    found = replayer.result(replayer.file("r.json", json.dumps(result())))
    figures = found["performance"]
    assert figures["portfolioValue"] == pytest.approx(10_000 + sum(PROFITS))
    assert figures["totalPnL"] == pytest.approx(sum(PROFITS))
    assert figures["realizedPnL"] == pytest.approx(sum(PROFITS))
    assert figures["totalTrades"] == 3
    assert figures["winRate"] == pytest.approx(200 / 3)
    assert figures["profitFactor"] == pytest.approx((191.8 + 21.67) / 307.65)
    assert [row["pnl"] for row in found["trades"]] == pytest.approx(PROFITS)
    assert figures["fundingPaid"] == pytest.approx(1.5)
    assert figures["tradeDifferences"] == 0
    assert found["warnings"] == []
    balances = list(accumulate(PROFITS, initial=10_000.0))
    assert figures["maxDrawdown"] == pytest.approx(100 * (balances[1] - balances[2]) / balances[1])
    assert "freqtrade: 3 closed trades, 2 wins, profit -94.18 USDT." in found["files"][0]["notes"]


def test_fills_of_a_moment_are_in_the_order_of_the_trades(replayer: Replayer) -> None:
    """A pair that closes and opens again in one candle has two trades, and its profits are those told."""
    found = replayer.result(replayer.file("r.json", json.dumps(result(trades=TRADES[::-2]))))
    assert [row["pnl"] for row in found["trades"]] == pytest.approx(PROFITS[::2])


def test_the_zip_file_of_a_backtest(replayer: Replayer) -> None:
    """It also has the config, the strategy and market data."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("backtest-result-2026.json", json.dumps(result()))
        archive.writestr("backtest-result-2026_config.json", "{}")
        archive.writestr("backtest-result-2026_Sma.py", "class Sma: ...")
    found = replayer.result(replayer.file("r.zip", packed.getvalue()))
    assert found["performance"]["totalTrades"] == 3
    assert found["files"][0]["format"] == "freqtrade"


def test_totals_that_the_trades_contradict_are_noted(replayer: Replayer) -> None:
    """They are not used."""
    found = replayer.result(replayer.file("r.json", json.dumps(result(profit_total_abs=500.0))))
    [note] = [note for note in found["files"][0]["notes"] if "profit_total_abs" in note]
    assert note == "Its profit_total_abs is 500 USDT, which its trades do not add up to."


def test_the_strategy_is_chosen_by_name(replayer: Replayer) -> None:
    """If there are several."""
    several = result()
    several["strategy"]["Ema"] = {**several["strategy"]["Sma"], "trades": TRADES[:1]}
    path = replayer.file("r.json", json.dumps(several))
    assert replayer.faults(path) == ["r.json: expected --strategy to be one of Ema, Sma"]
    assert replayer.result(path, "--strategy", "Ema")["performance"]["totalTrades"] == 1


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"trades": [TRADES[0] | {"close_rate": None}]}, "r.json: trade 1 (BTC/USDT:USDT): expected close_"),
        (
            {"trades": [TRADES[0] | {"amount": -1}]},
            "r.json: trade 1 (BTC/USDT:USDT): expected an amount and ",
        ),
        ({"trades": [TRADES[0] | {"amount": "x"}]}, "r.json: expected a backtest result of freqtrade: "),
        ({"starting_balance": None}, "r.json: expected a backtest result of freqtrade: "),
    ],
)
def test_a_wrong_result_is_refused(more: dict[str, Any], expected: str, replayer: Replayer) -> None:
    """With the trade and the field."""
    assert replayer.faults(replayer.file("r.json", json.dumps(result(**more))))[0].startswith(expected)


def test_a_zip_file_without_a_result(replayer: Replayer) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "")
    [fault] = replayer.faults(replayer.file("r.zip", packed.getvalue()))
    assert fault == "r.zip: expected one backtest result (.json) below 2 GiB in the ZIP file, got none"
